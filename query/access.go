package query

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"time"

	"annals/internal/access"
	"annals/internal/problem"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// need is what an operation needs of who asks: one of some scopes, and where.
type need struct {
	anyOf  access.Scopes // 0: it is open to everybody
	where  func(f *filter) string
	hidden func(f *filter) error                // what is said of a workspace that the token doesn't name; nil: that there is none
	only   func(f *filter, o *access.Only) bool // whether a token for one user or object is for this; nil: it is not
	large  bool                                 // it is open, and costs
	face   bool                                 // the path has no room for the workspace: see [API.place]
}

// open is what shows nothing of what was recorded. openDocument is such a thing of many
// pages: an address has it as often as it may show bad tokens.
var open, openDocument = need{}, need{large: true}

// inWorkspace is what is about the workspace of the path.
func inWorkspace(anyOf access.Scopes) need {
	return need{anyOf: anyOf, where: func(f *filter) string { return f.workspace }}
}

// aRecord is what is about one entry of it: an entry that may not be seen is
// answered like one that is not there.
func aRecord(anyOf access.Scopes) need {
	n := inWorkspace(anyOf)
	n.hidden = noSuchRecord
	return n
}

// ofUser is what is about the user of the path.
func ofUser(anyOf access.Scopes) need {
	n := inWorkspace(anyOf)
	n.only = func(f *filter, o *access.Only) bool { return o.User != "" && o.User == f.pathID }
	return n
}

// ofObject is what is about the object of the path.
func ofObject(anyOf access.Scopes) need {
	n := inWorkspace(anyOf)
	n.only = func(f *filter, o *access.Only) bool {
		return o.ObjectID != "" && o.ObjectType == f.typ && o.ObjectID == f.pathID
	}
	return n
}

// anywhere is what shows nothing of any workspace.
func anywhere(anyOf access.Scopes) need {
	return need{anyOf: anyOf, where: func(*filter) string { return access.Anywhere }}
}

// everywhere is what is about all workspaces at once.
func everywhere(anyOf access.Scopes) need {
	return need{anyOf: anyOf, where: func(*filter) string { return access.Everywhere }}
}

// problems are the codes of those who are not let in.
func (n *need) problems() []problem.Code {
	switch {
	case n.large:
		return []problem.Code{problem.TokenInURL, problem.RateLimited}
	case n.anyOf == 0:
		return []problem.Code{problem.TokenInURL}
	}
	return []problem.Code{problem.TokenInURL, problem.Unauthenticated, problem.MissingScope, problem.NoSuchWorkspace, problem.RateLimited, problem.TooManyAtOnce}
}

// securityName is what the OpenAPI document calls the one way to authenticate.
const securityName = "bearer"

func (n *need) document(op *huma.Operation) {
	if n.anyOf == 0 {
		return
	}
	op.Security = []map[string][]string{{securityName: {}}}
	op.Description += "\n\nScope: " + n.anyOf.String() + "."
}

// enter finds out who asks, unless anybody may.
func (a *API) enter(w http.ResponseWriter, r *http.Request, n *need) (*http.Request, error) {
	if n.large {
		return r, a.o.Access.Stranger(r)
	}
	if n.anyOf == 0 {
		return r, nil
	}
	p, err := a.o.Access.Enter(w, r)
	if err != nil {
		return r, err
	}
	return r.WithContext(access.With(r.Context(), p)), nil
}

// authorize decides by the token and the path alone, before anything is looked up.
func (n *need) authorize(gate *access.Gate, r *http.Request, operation string, f *filter) error {
	if n.anyOf == 0 {
		return nil
	}
	p, where := access.From(r.Context()), n.where(f)
	err := gate.Authorize(r, p, n.anyOf, operation, where)
	if err == nil && p.Only != nil && where != access.Anywhere && (n.only == nil || !n.only(f, p.Only)) {
		err = problem.New(problem.NoSuchWorkspace, "") // what it is not about is not there
	}
	if n.hidden != nil && problem.Is(err, problem.NoSuchWorkspace) {
		return n.hidden(f)
	}
	return err
}

// counted answers while the work is counted in, where it is of a kind that is.
func (a *API) counted(op *operation, w http.ResponseWriter, r *http.Request, f *filter) error {
	if op.work != nil {
		end, err := a.o.Access.Begin(r.Context(), access.From(r.Context()), *op.work)
		if err != nil {
			return err
		}
		defer end()
		if *op.work == access.Query {
			f.turn = &turn{ctx: r.Context(), of: a.turns}
			defer f.turn.leave()
			w, r = &leaving{w, f.turn}, r.WithContext(projections.WithPace(r.Context(), f.turn.pace))
		}
	}
	err := op.answer(a, w, r, f)
	if errors.Is(err, projections.ErrQuery) && f.updatedSince != everSince {
		err = problem.Parameter("updated_since", "too_broad", "more was amended since than one answer looks through; give a later time")
	}
	return err
}

// Key is an API key, as far as others than its holder know it.
type Key struct {
	ID         string    `json:"id" doc:"Names it in logs. Nobody gets in with it."`
	Name       string    `json:"name"`
	Subject    string    `json:"subject" doc:"Whom it stands for: the producer of what it records, and an actor whose own word it is."`
	OnBehalf   bool      `json:"on_behalf" doc:"Whether the subject is trusted to say for whom it acts."`
	Scopes     []string  `json:"scopes" doc:"record, read, audit, erase, admin."`
	Workspaces []string  `json:"workspaces" doc:"* alone: all of them."`
	State      string    `json:"state" enum:"active,expired,revoked"`
	Created    time.Time `json:"created"`
	By         string    `json:"by,omitzero" doc:"The key that minted it, or the command line."`
	Expires    time.Time `json:"expires"`
	Revoked    time.Time `json:"revoked,omitzero"`
	LastUsed   time.Time `json:"last_used,omitzero" doc:"To the minute."`
}

func keyOf(k *access.Key) Key {
	return Key{
		ID: k.ID, Name: k.Name, Subject: k.Subject, OnBehalf: k.OnBehalf, Scopes: k.Scopes.Names(), Workspaces: k.Workspaces.Names(),
		State: k.State(time.Now()), Created: k.Created, By: k.By, Expires: k.Expires, Revoked: k.Revoked, LastUsed: k.LastUsed,
	}
}

// KeyList is the answer to who asks for the keys.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// KeyRequest is the body of a request for a key.
type KeyRequest struct {
	Name       string   `json:"name"`
	Subject    string   `json:"subject,omitzero" doc:"Default: the name."`
	OnBehalf   bool     `json:"on_behalf,omitzero"`
	Scopes     []string `json:"scopes"`
	Workspaces []string `json:"workspaces"`
	ExpiresIn  int64    `json:"expires_in,omitzero" doc:"Seconds. Default: 90 days."`
}

// Minted is the answer to a request for a key.
type Minted struct {
	Key   Key    `json:"key"`
	Token string `json:"token" doc:"The key itself. It is shown here and never again."`
}

func keySchema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[Key](), true, "") }
func keyListSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[KeyList](), true, "")
}

func mintedSchema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[Minted](), true, "") }

func init() {
	parameters["key-id"] = &parameter{
		name: "id", in: inPath, example: "00112233aabbccdd",
		about:  "Its id.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^[0-9a-f]{16}$`},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.keyID = v
			return text(v)
		},
	}
}

// administering refuses where there are no keys to administer.
func (a *API) administering() error {
	if a.o.Access == nil || a.o.Keys == nil {
		return problem.New(problem.AccessOff, "")
	}
	return nil
}

func (a *API) accessKeys(w http.ResponseWriter, r *http.Request, _ *filter) error {
	if err := a.administering(); err != nil {
		return err
	}
	out := KeyList{Keys: []Key{}}
	for _, k := range a.o.Keys.List(access.From(r.Context()).Within(access.Admin)) {
		out.Keys = append(out.Keys, keyOf(&k))
	}
	return writeJSON(w, &out)
}

// maxKeyRequest is more than any request for a key has.
const maxKeyRequest = 128 << 10

func (a *API) mintKey(w http.ResponseWriter, r *http.Request, _ *filter) error {
	if err := a.administering(); err != nil {
		return err
	}
	q, err := keyRequest(w, r)
	if err != nil {
		return err
	}
	p := access.From(r.Context())
	for _, name := range q.Workspaces.Names() {
		if err := p.Authorize(access.Admin, name); err != nil {
			return err
		}
	}
	q.By = p.ID
	k, token, err := a.o.Keys.Add(q, time.Now())
	if invalid, ok := errors.AsType[*access.InvalidError](err); ok {
		return problem.New(problem.InvalidBody, "%s", invalid).With(problem.At("/"+invalid.Member, problem.InvalidBody, invalid.Why))
	} else if err != nil {
		return err
	}
	a.o.Logger.Info("an API key was minted", "key", k.ID, "name", k.Name, "by", k.By, "scopes", k.Scopes.String(), "workspaces", k.Workspaces.String())
	body, err := json.Marshal(Minted{Key: keyOf(&k), Token: token})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/access/keys")
	return writeStatus(w, http.StatusCreated, jsonMedia, body)
}

func keyRequest(w http.ResponseWriter, r *http.Request) (q access.Request, err error) {
	body, err := smallBody(w, r, "a key")
	if err != nil {
		return q, err
	}
	var asked KeyRequest
	if err := json.Unmarshal(body, &asked, json.RejectUnknownMembers(true)); err != nil {
		return q, problem.New(problem.InvalidBody, "the body is no JSON object of name, subject, on_behalf, scopes, workspaces, expires_in: %s", problem.Misread(err))
	}
	invalid := func(member string, err error) error {
		return problem.New(problem.InvalidBody, "%s: %v", member, err).With(problem.At("/"+member, problem.InvalidBody, err.Error()))
	}
	q = access.Request{Name: asked.Name, Subject: asked.Subject, OnBehalf: asked.OnBehalf}
	if q.Scopes, err = access.ParseScopes(asked.Scopes); err != nil {
		return q, invalid("scopes", err)
	}
	if q.Workspaces, err = access.ParseWorkspaces(asked.Workspaces); err != nil {
		return q, invalid("workspaces", err)
	}
	seconds := cmp.Or(asked.ExpiresIn, int64(access.DefaultLife/time.Second))
	if seconds < 1 || seconds > int64(access.MaxLife/time.Second) {
		return q, invalid("expires_in", errors.New("it is a number of seconds, from 1 to ten years"))
	}
	q.Life = time.Duration(seconds) * time.Second
	return q, nil
}

// smallBody reads the body of a request for something.
func smallBody(w http.ResponseWriter, r *http.Request, what string) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != jsonMedia {
		return nil, problem.New(problem.UnsupportedMedia, "send the request for %s as %s", what, jsonMedia)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxKeyRequest))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problem.New(problem.TooLarge, "a request for %s has at most %d bytes", what, maxKeyRequest)
	case err != nil:
		return nil, problem.New(problem.BadRequest, "the body did not arrive whole").From(err)
	}
	return body, nil
}

func (a *API) revokeKey(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := a.administering(); err != nil {
		return err
	}
	p := access.From(r.Context())
	k, err := a.o.Keys.Revoke(f.keyID, p.Within(access.Admin), p.ID, time.Now())
	if errors.Is(err, access.ErrNoSuchKey) {
		return problem.New(problem.NoSuchKey, "")
	} else if err != nil {
		return err
	}
	a.o.Logger.Info("an API key was revoked", "key", k.ID, "name", k.Name, "by", p.ID)
	out := keyOf(&k)
	return writeJSON(w, &out)
}
