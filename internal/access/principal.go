package access

import (
	"cmp"
	"context"
	"strings"
	"time"

	"annals/internal/problem"
)

// Kind is how somebody was identified.
type Kind string

// The kinds.
const (
	ByNothing Kind = "nothing" // access is not configured: development
	ByKey     Kind = "key"     // an API key
	ByOIDC    Kind = "oidc"    // a token of the OpenID provider

	ByEmbed       Kind = "embed"       // an embed token
	ByCertificate Kind = "certificate" // a client's certificate
	ByPeer        Kind = "peer"        // the token that the replicas of a ledger share
)

// Grant is what may be done, and where.
type Grant struct {
	Scopes     Scopes
	Workspaces Workspaces
}

// InAll grants scopes in every workspace.
func InAll(s Scopes) Grant { return Grant{s, Workspaces{all: true}} }

// Principal is who asks, and what they may.
type Principal struct {
	Kind Kind
	// ID names the token where people look for it: in logs, in limits. It is no
	// secret, and nobody gets in with it.
	ID string
	// Subject is whom the token stands for: the producer of what it records, and of
	// the scope of its ids. "" where nobody was identified.
	Subject string
	// OnBehalf says that the subject is a service that is trusted to say for whom it
	// acts.
	OnBehalf bool
	// Through is the service that brings the subject's token in its own name (act of
	// RFC 8693); "": the subject does.
	Through string
	Only    *Only // what of its workspaces it is about; nil: all
	Grants  []Grant

	// Expires is when the token ends by itself; zero: it doesn't.
	Expires time.Time

	// minter is the token that made this one, and pays for what it does; "": none did.
	minter string

	revoked context.Context // ends when the token is revoked; nil: that can't be
}

// developer is who asks where access is not configured.
var developer = &Principal{Kind: ByNothing, Grants: []Grant{InAll(All)}}

// scopes are all that the principal has anywhere.
func (p *Principal) scopes() (s Scopes) {
	for _, g := range p.Grants {
		s |= g.Scopes
	}
	return s
}

// Within are the workspaces in which the principal has one of some scopes.
func (p *Principal) Within(anyOf Scopes) (w Workspaces) {
	for _, g := range p.Grants {
		if g.Scopes&anyOf != 0 {
			w = w.and(g.Workspaces)
		}
	}
	return w
}

// payer is the token whose limits hold: an embed token costs whoever made it, who
// could make any number of them.
func (p *Principal) payer() string { return cmp.Or(p.minter, p.ID) }

// Authorize decides whether the principal may do something that one of the scopes
// is enough for, in a workspace, [Everywhere] or [Anywhere]. It is the one place
// where this is decided. The errors are problems: [problem.MissingScope] where the
// token has none of the scopes at all, and [problem.NoSuchWorkspace] where it
// doesn't name the workspace, there or not. For the whole ledger a workspace too few
// is a scope too few.
func (p *Principal) Authorize(anyOf Scopes, workspace string) error {
	switch {
	case p == nil:
		return Unauthenticated("")
	case p.scopes()&anyOf == 0:
		return problem.New(problem.MissingScope, "this needs a token with the scope %s; yours has %s", strings.Join(anyOf.Names(), " or "), cmp.Or(p.scopes().String(), "none"))
	case p.Within(anyOf).Name(workspace):
		return nil
	case workspace == Everywhere:
		return problem.New(problem.MissingScope, "this is about the whole ledger: it needs a token with the scope %s for all workspaces", strings.Join(anyOf.Names(), " or "))
	}
	return problem.New(problem.NoSuchWorkspace, "")
}

// Alive returns a context like ctx that ends no later than the token: when it
// expires, or is revoked. It is for answers that go on.
func (p *Principal) Alive(ctx context.Context) (context.Context, context.CancelFunc) {
	if p == nil || p.Expires.IsZero() {
		ctx, cancel := context.WithCancel(ctx)
		return ctx, cancel
	}
	ctx, cancel := context.WithDeadline(ctx, p.Expires)
	if p.revoked == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(p.revoked, cancel)
	return ctx, func() { stop(); cancel() }
}

type principalKey struct{}

// With returns a context that knows who asks.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns who asks, nil where nobody was asked for.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

// Unauthenticated is the problem of a request that comes without a token that is
// good, with the challenge that HTTP asks for (RFC 9110, 11.6.1; RFC 6750, 3). why
// is for the client, and "" where it brought none.
func Unauthenticated(why string) error {
	if why == "" {
		return problem.New(problem.Unauthenticated, "").WithHeader("WWW-Authenticate", `Bearer realm="annals"`)
	}
	return problem.New(problem.Unauthenticated, "%s", why).WithHeader("WWW-Authenticate", `Bearer realm="annals", error="invalid_token"`)
}
