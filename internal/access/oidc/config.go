package oidc

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"annals/internal/access"
)

// Config is the part of the access configuration that is about the provider.
type Config struct {
	Issuer     string   `json:"issuer"`                // its URL; iss of each token is exactly this
	Audience   string   `json:"audience"`              // one of each token's aud
	Algorithms []string `json:"algorithms,omitzero"`   // default: RS256, ES256
	NoNBF      bool     `json:"nbf_optional,omitzero"` // tokens without nbf are good if they have iat
	Grants     []Grant  `json:"grants"`                // what tokens are worth
}

// Grant is what a claim is worth: who has the value in it has the scopes, in the
// workspaces.
type Grant struct {
	// Claim is a member of the token, or a JSON pointer (RFC 6901) to one inside of
	// it, such as /realm_access/roles. "": every token of the provider.
	Claim string `json:"claim,omitzero"`
	// Value is the claim's text, one of its elements, or of scope one of its words.
	Value  string   `json:"value,omitzero"`
	Scopes []string `json:"scopes"`
	// Workspaces are named here, or by the claim that WorkspacesClaim names: a text,
	// or an array of texts. "*" has no meaning in a claim.
	Workspaces      []string `json:"workspaces,omitzero"`
	WorkspacesClaim string   `json:"workspaces_claim,omitzero"`
	// OnBehalf trusts the subject, a service, to say for whom it acts.
	OnBehalf bool `json:"on_behalf,omitzero"`
}

// Options of a verifier.
type Options struct {
	Config
	Client *http.Client     // nil: one with limits
	Now    func() time.Time // nil: [time.Now]
}

// pinned are the algorithms that can be configured: those with a public key (RFC
// 7518, 3.1; RFC 8037).
var pinned = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// grant is a Grant, read.
type grant struct {
	claim, value, from string
	onBehalf           bool
	scopes             access.Scopes
	workspaces         access.Workspaces
}

func (c *Config) check() (grants []grant, err error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("issuer: %q is no URL of a provider", c.Issuer)
	case u.Scheme != "https" && !(u.Scheme == "http" && local(u.Hostname())):
		return nil, fmt.Errorf("issuer: %s has to be https, unless it is on this machine", c.Issuer)
	case c.Audience == "":
		return nil, errors.New("audience: say whom tokens have to be for, or every token of the provider would do")
	case len(c.Grants) == 0:
		return nil, errors.New("grants: no claim is worth anything; name at least one")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(pinned, a) {
			return nil, fmt.Errorf("algorithms: %q is none of %s", a, strings.Join(pinned, ", "))
		}
	}
	for i, g := range c.Grants {
		read, err := g.read()
		if err != nil {
			return nil, fmt.Errorf("grants: the %d. one: %w", i+1, err)
		}
		grants = append(grants, read)
	}
	return grants, nil
}

func (g *Grant) read() (out grant, err error) {
	out = grant{claim: g.Claim, value: g.Value, from: g.WorkspacesClaim, onBehalf: g.OnBehalf}
	if out.scopes, err = access.ParseScopes(g.Scopes); err != nil {
		return out, err
	}
	switch {
	case (g.Claim == "") != (g.Value == ""):
		return out, errors.New("claim and value go together")
	case (len(g.Workspaces) == 0) == (g.WorkspacesClaim == ""):
		return out, errors.New("give workspaces or workspaces_claim, and not both")
	case g.WorkspacesClaim != "":
		return out, nil
	}
	out.workspaces, err = access.ParseWorkspaces(g.Workspaces)
	return out, err
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
