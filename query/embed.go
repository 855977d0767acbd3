package query

import (
	"cmp"
	"errors"
	"net/http"
	"reflect"
	"time"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// EmbedRequest is the body of a request for an embed token.
type EmbedRequest struct {
	User      string       `json:"user,omitzero" doc:"The one user that it is about."`
	Object    *EmbedObject `json:"object,omitzero" doc:"Or the one object."`
	Origins   []string     `json:"origins,omitzero" doc:"Of the pages that may use it; none: any may."`
	ExpiresIn int64        `json:"expires_in,omitzero" doc:"Seconds, a day at most. Default: an hour."`
}

// EmbedObject names an object.
type EmbedObject struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Embedded is the answer to a request for an embed token.
type Embedded struct {
	ID      string    `json:"id" doc:"Names it in logs, and where it is revoked."`
	Token   string    `json:"token" doc:"For the Authorization header, as every token; never for a URL."`
	Expires time.Time `json:"expires"`
}

func embeddedSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Embedded](), true, "")
}

func (a *API) mintEmbed(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := a.administering(); err != nil {
		return err
	}
	body, err := smallBody(w, r, "an embed token")
	if err != nil {
		return err
	}
	var asked EmbedRequest
	if err := json.Unmarshal(body, &asked, json.RejectUnknownMembers(true)); err != nil {
		return problem.New(problem.InvalidBody, "the body is no JSON object of user, object, origins, expires_in: %s", problem.Misread(err))
	}
	e := access.Embed{Workspace: f.workspace, Origins: asked.Origins}
	if asked.User != "" || asked.Object != nil {
		e.Only = &access.Only{User: asked.User}
		if o := asked.Object; o != nil {
			e.Only.ObjectType, e.Only.ObjectID = o.Type, o.ID
			if o.Type == "" || o.ID == "" {
				return problem.New(problem.InvalidBody, "object: give its type and its id").With(problem.At("/object", problem.InvalidBody, "give its type and its id"))
			}
		}
	}
	seconds := min(max(cmp.Or(asked.ExpiresIn, int64(access.DefaultEmbedLife/time.Second)), 0), int64(2*access.MaxEmbedLife/time.Second))
	p := access.From(r.Context())
	e, token, err := a.o.Access.Mint(p, e, time.Duration(seconds)*time.Second)
	if invalid, ok := errors.AsType[*access.InvalidError](err); ok {
		return problem.New(problem.InvalidBody, "%s", invalid).With(problem.At("/"+invalid.Member, problem.InvalidBody, invalid.Why))
	} else if err != nil {
		return err
	}
	a.o.Logger.Info("an embed token was minted", "id", e.ID, "by", e.By, "workspace", e.Workspace)
	out, err := json.Marshal(Embedded{e.ID, token, time.Unix(e.Expires, 0).UTC()})
	if err != nil {
		return err
	}
	return writeStatus(w, http.StatusCreated, jsonMedia, out)
}

func (a *API) revokeEmbed(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := a.administering(); err != nil {
		return err
	}
	p := access.From(r.Context())
	if p.Kind == access.ByEmbed {
		return problem.New(problem.MissingScope, "an embed token ends no others; use the one that it was made with")
	}
	err := a.o.Keys.RevokeEmbed(f.workspace, f.keyID, time.Now())
	if invalid, ok := errors.AsType[*access.InvalidError](err); ok {
		return problem.Parameter("id", "invalid_id", invalid.Why)
	} else if err != nil {
		return err
	}
	a.o.Logger.Info("an embed token was revoked", "id", f.keyID, "by", p.ID)
	return writeJSON(w, map[string]string{"status": "revoked"})
}
