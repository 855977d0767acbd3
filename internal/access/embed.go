package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"annals/internal/problem"

	"github.com/go-json-experiment/json"
)

// Embed is what an embed token says: a short-lived token for a page in a browser,
// which reads a part of one workspace. It is signed by the server and stored
// nowhere.
type Embed struct {
	ID        string   `json:"id"`
	Workspace string   `json:"ws"`
	Only      *Only    `json:"only,omitzero"`    // nil: all of the workspace
	Origins   []string `json:"origins,omitzero"` // of the pages that may use it; none: it is for any
	Expires   int64    `json:"exp"`              // Unix seconds
	By        string   `json:"by"`               // the token that minted it
}

// Only is the one user, or the one object, that a token is about.
type Only struct {
	User       string `json:"user,omitzero"`
	ObjectType string `json:"object_type,omitzero"`
	ObjectID   string `json:"object_id,omitzero"`
}

// An embed token is "ane_", its claims in base64url, a dot, and the HMAC-SHA256 of
// that, in base64url too.
const (
	embedPrefix = "ane_"
	embedDomain = "annals/embed/v1\x00"
)

// Bounds of an embed token.
const (
	MaxEmbedLife     = 24 * time.Hour
	DefaultEmbedLife = time.Hour
	MaxOrigins       = 16
)

func (g *Gate) seal(text string) string {
	m := hmac.New(sha256.New, g.o.EmbedKey)
	m.Write([]byte(embedDomain + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Mint makes an embed token for who may read all that it is to read. It outlives
// neither a day nor the token that minted it. The errors are problems, or an
// [*InvalidError].
func (g *Gate) Mint(p *Principal, e Embed, life time.Duration) (Embed, string, error) {
	if len(g.o.EmbedKey) == 0 || p.Kind == ByEmbed {
		return e, "", problem.New(problem.MissingScope, "an embed token makes no others; use the one that it was made with")
	}
	if life < time.Second || life > MaxEmbedLife {
		return e, "", &InvalidError{"expires_in", "an embed token lives from a second to a day"}
	}
	if o := e.Only; o != nil && ((o.User == "") == (o.ObjectType == "" && o.ObjectID == "") || (o.ObjectType == "") != (o.ObjectID == "")) {
		return e, "", &InvalidError{"only", "name a user, or an object by its type and id, and not both"}
	}
	if len(e.Origins) > MaxOrigins || slices.ContainsFunc(e.Origins, func(o string) bool { return !isOrigin(o) }) {
		return e, "", &InvalidError{"origins", "at most 16, such as https://app.example.com, as browsers spell them"}
	}
	var id [idSize]byte
	_, _ = rand.Read(id[:]) // never fails
	expires := g.o.Now().Add(life)
	if !p.Expires.IsZero() && p.Expires.Before(expires) {
		expires = p.Expires
	}
	e.ID, e.By, e.Expires = hex.EncodeToString(id[:]), p.ID, expires.Unix()
	claims, err := json.Marshal(&e)
	if err != nil {
		return e, "", err
	}
	text := base64.RawURLEncoding.EncodeToString(claims)
	return e, embedPrefix + text + "." + g.seal(text), nil
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && s == u.Scheme+"://"+strings.ToLower(u.Host)
}

var errSeal = &RefusedError{"the embed token is not one of this server's"}

// embed returns what an embed token lets read.
func (g *Gate) embed(r *http.Request, token string) (*Principal, error) {
	text, seal, _ := strings.Cut(strings.TrimPrefix(token, embedPrefix), ".")
	if len(g.o.EmbedKey) == 0 || !hmac.Equal([]byte(seal), []byte(g.seal(text))) {
		return nil, errSeal
	}
	claims, err := base64.RawURLEncoding.Strict().DecodeString(text)
	var e Embed
	if err != nil || json.Unmarshal(claims, &e, json.RejectUnknownMembers(true)) != nil {
		return nil, errSeal
	}
	expires := time.Unix(e.Expires, 0)
	switch {
	case !g.o.Now().Before(expires):
		return nil, &RefusedError{"the embed token has expired; have a new one made"}
	case len(e.Origins) > 0 && !slices.Contains(e.Origins, r.Header.Get("Origin")):
		return nil, &RefusedError{"the embed token is for pages of other origins"}
	}
	w, err := ParseWorkspaces([]string{e.Workspace})
	if err != nil {
		return nil, errSeal
	}
	revoked, ok := g.o.Keys.embedAlive(&e)
	if !ok {
		return nil, &RefusedError{"the embed token " + e.ID + " was revoked, or the key that made it"}
	}
	return &Principal{
		Kind: ByEmbed, ID: "embed:" + e.ID, Grants: []Grant{{Read, w}}, Only: e.Only, Expires: expires, revoked: revoked, minter: e.By,
	}, nil
}

// embedAlive reports whether neither a token nor the key that made it was revoked.
// What it returns ends when a token of its workspace is, or a key that names the
// workspace: streams begin anew then, or don't.
func (b *Book) embedAlive(e *Embed) (context.Context, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, revoked := b.embeds[e.Workspace][e.ID]; revoked {
		return nil, false
	}
	for _, k := range b.keys {
		if k.ID == e.By && !k.Revoked.IsZero() {
			return nil, false
		}
	}
	s, ok := b.streams[e.Workspace]
	if !ok {
		s.ends, s.end = context.WithCancel(context.Background())
		b.streams[e.Workspace] = s
	}
	return s.ends, true
}

// embedStreams are the streams of one workspace's embed tokens.
type embedStreams struct {
	ends context.Context
	end  context.CancelFunc
}

// How many embed tokens may be revoked in a day one by one: of a workspace, so that
// nobody takes another's room, and of all together, so that who may name any
// workspace can't fill the memory either.
const (
	maxRevoked        = 1_000
	maxRevokedOverall = 100 * maxRevoked
)

// RevokeEmbed ends a workspace's embed token by its id. Whether there is one is not
// known here; it is remembered for a day, as long as any lives. One that is
// remembered already stays as it is.
func (b *Book) RevokeEmbed(workspace, id string, now time.Time) error {
	if !validID(id) {
		return &InvalidError{"id", "an embed token's id has 16 hexadecimal digits"}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	overall := b.forget(now)
	of := b.embeds[workspace]
	if _, before := of[id]; before {
		return nil
	}
	if len(of) >= maxRevoked || overall >= maxRevokedOverall {
		return &InvalidError{"id", "as many embed tokens were revoked today as can be remembered; revoke the key that made them"}
	}
	if of == nil {
		of = map[string]time.Time{}
		b.embeds[workspace] = of
	}
	of[id] = now.Add(MaxEmbedLife).UTC().Truncate(time.Second)
	if err := b.write(); err != nil {
		delete(of, id)
		return err
	}
	b.endEmbeds(workspace)
	return nil
}

// forget forgets the revocations of tokens that have expired since, and returns how
// many there are still. Call it with b.mu held.
func (b *Book) forget(now time.Time) (left int) {
	for workspace, of := range b.embeds {
		maps.DeleteFunc(of, func(_ string, until time.Time) bool { return until.Before(now) })
		if len(of) == 0 {
			delete(b.embeds, workspace)
		}
		left += len(of)
	}
	return left
}

// endEmbeds ends the streams of a workspace's embed tokens. Call it with b.mu held.
func (b *Book) endEmbeds(workspace string) {
	if s, ok := b.streams[workspace]; ok {
		s.end()
		delete(b.streams, workspace)
	}
}

// endEmbedsOf ends the streams of the embed tokens of some workspaces. Call it with
// b.mu held.
func (b *Book) endEmbedsOf(workspaces Workspaces) {
	for workspace := range b.streams {
		if workspaces.Name(workspace) {
			b.endEmbeds(workspace)
		}
	}
}
