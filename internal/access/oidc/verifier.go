package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"annals/internal/access"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"
)

// leeway is by how much clocks may differ where a token is new.
const leeway = time.Minute

// Verifier makes principals of tokens.
type Verifier struct {
	o      Options
	grants []grant
	keys   *keySet
	oidc   goidc.Config
}

// asking remembers why a signature does not hold, which go-oidc says in words alone.
type asking struct {
	*keySet
	err error
}

// VerifySignature is [keySet.VerifySignature].
func (a *asking) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, a.err = a.keySet.VerifySignature(ctx, token)
	return payload, a.err
}

// New returns a verifier of a provider's tokens. It asks the provider for nothing
// yet: a server starts though its provider is away.
func New(o Options) (*Verifier, error) {
	grants, err := o.check()
	if err != nil {
		return nil, err
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256", "ES256"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	client := http.Client{Timeout: fetchTimeout}
	if o.Client != nil {
		client = *o.Client
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("it redirects elsewhere; give the issuer as it calls itself")
	}
	v := &Verifier{o: o, grants: grants}
	v.keys = &keySet{issuer: o.Issuer, client: &client, now: o.Now}
	for _, a := range o.Algorithms {
		v.keys.algorithms = append(v.keys.algorithms, jose.SignatureAlgorithm(a))
	}
	v.oidc = goidc.Config{ClientID: o.Audience, SupportedSigningAlgs: o.Algorithms, Now: o.Now}
	return v, nil
}

// Verify says whose a token is. The errors are for the log, and quote nothing of it;
// an [*access.RefusedError] is for its holder.
func (v *Verifier) Verify(ctx context.Context, token string) (*access.Principal, error) {
	_, c, err := parse(token, v.o.Algorithms)
	if err != nil {
		return nil, err
	}
	// What costs nothing comes before what asks for keys: an expired token, or
	// another provider's, is no reason to.
	if err := v.judge(&c); err != nil {
		return nil, err
	}
	asked := &asking{keySet: v.keys}
	verified, err := goidc.NewVerifier(v.o.Issuer, asked, &v.oidc).Verify(ctx, token)
	switch {
	case asked.err != nil:
		return nil, asked.err
	case err != nil:
		// Its words quote claims, and the log is no place for them.
		return nil, errors.New("its signature, or what it claims, does not hold")
	}
	return v.principal(&c, verified.Expiry, payloadOf(token))
}

// judge looks at what a token says of itself.
func (v *Verifier) judge(c *claims) error {
	now := v.o.Now()
	after := func(f *float64) bool { return f != nil && now.Add(leeway).Before(time.Unix(int64(*f), 0)) }
	switch {
	case c.Issuer != v.o.Issuer:
		return errors.New("it is another issuer's")
	case !slices.Contains(list(c.Audience, "aud"), v.o.Audience):
		return errors.New("it is for another audience")
	case !now.Before(time.Unix(int64(*c.Expires), 0)):
		return &access.RefusedError{Why: "the token has expired; get a new one"}
	case c.Before == nil && (!v.o.NoNBF || c.Issued == nil):
		return errors.New("it has no nbf (nbf_optional takes iat instead)")
	case after(c.Before) || after(c.Issued):
		return errors.New("it is not good yet")
	}
	return nil
}

// principal says what a token that holds is worth.
func (v *Verifier) principal(c *claims, expires time.Time, all jsontext.Value) (*access.Principal, error) {
	p := &access.Principal{Kind: access.ByOIDC, ID: "oidc:" + c.Subject, Subject: c.Subject, Expires: expires}
	if c.Actor != nil {
		p.Through = c.Actor.Subject
	}
	for _, g := range v.grants {
		if g.claim != "" && !slices.Contains(list(at(all, g.claim), g.claim), g.value) {
			continue
		}
		w := g.workspaces
		if g.from != "" {
			names := list(at(all, g.from), g.from)
			var err error
			if w, err = access.ParseWorkspaces(names); err != nil || slices.Contains(names, access.Everywhere) {
				continue // the claim names none, or none that could be
			}
		}
		p.Grants = append(p.Grants, access.Grant{Scopes: g.scopes, Workspaces: w})
		p.OnBehalf = p.OnBehalf || g.onBehalf
	}
	return p, nil
}

// payloadOf is what a token says, once it is known to be in form.
func payloadOf(token string) jsontext.Value {
	_, rest, _ := strings.Cut(token, ".")
	middle, _, _ := strings.Cut(rest, ".")
	b, _ := base64.RawURLEncoding.DecodeString(middle)
	return b
}
