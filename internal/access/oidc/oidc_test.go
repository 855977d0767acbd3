package oidc

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"annals/internal/access"
	"annals/internal/access/oidc/oidctest"
	"annals/internal/problem"
)

func config(p *oidctest.Provider) Config {
	return Config{Issuer: p.URL, Audience: oidctest.Audience, Algorithms: []string{"RS256", "ES256"}, Grants: []Grant{
		{Claim: "groups", Value: "readers", Scopes: []string{"read"}, Workspaces: []string{"ws_a", "ws_b"}},
		{Claim: "/realm_access/roles", Value: "auditor", Scopes: []string{"audit"}, Workspaces: []string{"*"}},
		{Claim: "scope", Value: "annals.record", Scopes: []string{"record"}, WorkspacesClaim: "workspaces", OnBehalf: true},
	}}
}

func verifier(t testing.TB, p *oidctest.Provider, o Options) *Verifier {
	t.Helper()
	if o.Issuer == "" {
		o.Config = config(p)
	}
	o.Now = p.Now
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// door serves what a gate with a verifier lets in, over HTTP.
func door(t testing.TB, v *Verifier) *httptest.Server {
	t.Helper()
	book, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	g := mustGate(t, access.Options{Keys: book, Verify: v.Verify})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.Authenticate(r)
		if err == nil {
			err = p.Authorize(access.Read, "ws_a")
		}
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		fmt.Fprint(w, p.Subject)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// knock shows a door a token and returns the status.
func knock(t testing.TB, srv *httptest.Server, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestGrants: what a token's claims are worth is what the configuration says.
func TestGrants(t *testing.T) {
	p := oidctest.New(t)
	v := verifier(t, p, Options{})
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{nil, "read in ws_a, ws_b"},
		{map[string]any{"groups": "readers"}, "read in ws_a, ws_b"},
		{map[string]any{"groups": []string{"reader"}}, "none"},
		{map[string]any{"groups": "readers cooks"}, "none"},
		{map[string]any{"groups": nil, "groups2": "readers"}, "none"},
		{map[string]any{"groups": []any{"readers", 7}}, "none"},
		{map[string]any{"groups": map[string]any{"readers": true}}, "none"},
		{map[string]any{"groups": nil, "realm_access": map[string]any{"roles": []string{"auditor"}}}, "audit in *"},
		{map[string]any{"realm_access": map[string]any{"roles": []string{"auditor"}}}, "read in ws_a, ws_b; audit in *"},
		{map[string]any{"groups": nil, "/realm_access/roles": "auditor"}, "none"},
		{map[string]any{"groups": nil, "scope": "openid annals.record", "workspaces": []string{"ws_c"}}, "record in ws_c"},
		{map[string]any{"groups": nil, "scope": "openid annals.record", "workspaces": "ws_c"}, "record in ws_c"},
		{map[string]any{"groups": nil, "scope": "annals.record", "workspaces": "*"}, "none"},
		{map[string]any{"groups": nil, "scope": "annals.record", "workspaces": []string{"ws_c", "*"}}, "none"},
		{map[string]any{"groups": nil, "scope": "annals.record", "workspaces": []string{}}, "none"},
		{map[string]any{"groups": nil, "scope": "annals.record"}, "none"},
		{map[string]any{"groups": nil, "scope": "annals.records", "workspaces": "ws_c"}, "none"},
	} {
		got, err := v.Verify(t.Context(), p.Token(c.claims))
		if err != nil {
			t.Fatalf("%v: %v", c.claims, err)
		}
		text := ""
		for _, g := range got.Grants {
			text += "; " + g.Scopes.String() + " in " + g.Workspaces.String()
		}
		if text == "" {
			text = "; none"
		}
		if text[2:] != c.want || got.Subject != "usr_dana" || got.OnBehalf != (c.want == "record in ws_c") || !got.Expires.Equal(p.Now().Add(10*time.Minute)) {
			t.Errorf("%v: %s, want %s (%+v)", c.claims, text[2:], c.want, got)
		}
	}
	got, err := v.Verify(t.Context(), p.Token(map[string]any{"act": map[string]any{"sub": "svc_gateway", "iss": "x"}}))
	if err != nil || got.Through != "svc_gateway" {
		t.Errorf("%+v %v", got, err)
	}
	if n := p.Fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

// TestConfigIsChecked: what could let in too many is refused.
func TestConfigIsChecked(t *testing.T) {
	good := Config{Issuer: "https://id.example.com", Audience: "a", Grants: []Grant{{Scopes: []string{"read"}, Workspaces: []string{"*"}}}}
	if _, err := New(Options{Config: good}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"plain HTTP":      func(c *Config) { c.Issuer = "http://id.example.com" },
		"no URL":          func(c *Config) { c.Issuer = "id.example.com" },
		"no audience":     func(c *Config) { c.Audience = "" },
		"no grants":       func(c *Config) { c.Grants = nil },
		"none":            func(c *Config) { c.Algorithms = []string{"none"} },
		"HS256":           func(c *Config) { c.Algorithms = []string{"RS256", "HS256"} },
		"no scope":        func(c *Config) { c.Grants = []Grant{{Workspaces: []string{"*"}}} },
		"no workspace":    func(c *Config) { c.Grants = []Grant{{Scopes: []string{"read"}}} },
		"claim, no value": func(c *Config) { c.Grants = []Grant{{Claim: "x", Scopes: []string{"read"}, Workspaces: []string{"*"}}} },
		"both of workspaces": func(c *Config) {
			c.Grants = []Grant{{Scopes: []string{"read"}, Workspaces: []string{"*"}, WorkspacesClaim: "ws"}}
		},
	} {
		c := good
		change(&c)
		if _, err := New(Options{Config: c}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func mustGate(t testing.TB, o access.Options) *access.Gate {
	t.Helper()
	g, err := access.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
