package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

const audience = "annals-test"

// provider is an OpenID provider in this process.
type provider struct {
	t       testing.TB
	url     string
	keys    atomic.Pointer[jose.JSONWebKeySet]
	down    atomic.Bool
	lies    atomic.Pointer[string] // the issuer that discovery shows instead
	fetches atomic.Int32           // of keys
	asked   atomic.Int32           // of anything
	clock   atomic.Int64           // Unix nanoseconds
}

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k })
)

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{t: t}
	p.clock.Store(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).UnixNano())
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		p.asked.Add(1)
		if p.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		issuer := p.url
		if lie := p.lies.Load(); lie != nil {
			issuer = *lie
		}
		answer(w, map[string]any{"issuer": issuer, "jwks_uri": p.url + "/keys", "authorization_endpoint": p.url, "token_endpoint": p.url, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		set, err := p.keys.Load().Keys, error(nil)
		var out struct {
			Keys []map[string]any `json:"keys"`
		}
		for i := range set {
			b, e := set[i].MarshalJSON()
			var m map[string]any
			if err = e; err == nil {
				err = json.Unmarshal(b, &m)
			}
			if err != nil {
				t.Error(err)
			}
			out.Keys = append(out.Keys, m)
		}
		answer(w, out)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	p.show(public("rsa-1", rsaKey().Public(), ""), public("ec-1", ecKey().Public(), "ES256"))
	return p
}

func public(id string, key any, algorithm string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm, Use: "sig"}
}

func (p *provider) show(keys ...jose.JSONWebKey) { p.keys.Store(&jose.JSONWebKeySet{Keys: keys}) }

func (p *provider) now() time.Time          { return time.Unix(0, p.clock.Load()).UTC() }
func (p *provider) advance(d time.Duration) { p.clock.Add(int64(d)) }

func (p *provider) config() Config {
	return Config{Issuer: p.url, Audience: audience, Algorithms: []string{"RS256", "ES256"}, Grants: []Grant{
		{Claim: "groups", Value: "readers", Scopes: []string{"read"}, Workspaces: []string{"ws_a", "ws_b"}},
		{Claim: "/realm_access/roles", Value: "auditor", Scopes: []string{"audit"}, Workspaces: []string{"*"}},
		{Claim: "scope", Value: "annals.record", Scopes: []string{"record"}, WorkspacesClaim: "workspaces", OnBehalf: true},
	}}
}

func (p *provider) verifier(o Options) *Verifier {
	p.t.Helper()
	if o.Issuer == "" {
		o.Config = p.config()
	}
	o.Now = p.now
	v, err := New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// claims are those of a good token, with changes; nil takes one out.
func (p *provider) claims(changes map[string]any) map[string]any {
	now := p.now().Unix()
	c := map[string]any{"iss": p.url, "sub": "usr_dana", "aud": audience, "exp": now + 600, "nbf": now - 10, "iat": now - 10, "groups": []string{"readers", "cooks"}}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign signs what is given, whatever it is.
func (p *provider) sign(header, payload string) string {
	return signed(p.t, rsaKey(), jose.RS256, header, payload)
}

// signed is a compact token with this very header: go-jose would write its own.
func signed(t testing.TB, key any, algorithm jose.SignatureAlgorithm, header, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature(t, key, algorithm, input))
}

func (p *provider) token(changes map[string]any) string {
	p.t.Helper()
	b, err := json.Marshal(p.claims(changes))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.sign(`{"alg":"RS256","kid":"rsa-1","typ":"JWT"}`, string(b))
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
	p := newProvider(t)
	v := p.verifier(Options{})
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
		got, err := v.Verify(t.Context(), p.token(c.claims))
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
		if text[2:] != c.want || got.Subject != "usr_dana" || got.OnBehalf != (c.want == "record in ws_c") || !got.Expires.Equal(p.now().Add(10*time.Minute)) {
			t.Errorf("%v: %s, want %s (%+v)", c.claims, text[2:], c.want, got)
		}
	}
	got, err := v.Verify(t.Context(), p.token(map[string]any{"act": map[string]any{"sub": "svc_gateway", "iss": "x"}}))
	if err != nil || got.Through != "svc_gateway" {
		t.Errorf("%+v %v", got, err)
	}
	if n := p.fetches.Load(); n != 1 {
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
