// Package oidctest is an OpenID provider for tests, and the tokens that nobody should be
// let in by.
//
// The rule it exists for: it answers as a real provider does, is away or lies just as a
// test asks it to, counts what it is asked, and has a clock of its own.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// Audience is whom good tokens are for.
const Audience = "annals-test"

// Provider is an OpenID provider in this process.
type Provider struct {
	t       testing.TB
	URL     string
	keys    atomic.Pointer[jose.JSONWebKeySet]
	Down    atomic.Bool
	Lies    atomic.Pointer[string] // the issuer that discovery shows instead
	Fetches atomic.Int32           // of keys
	Asked   atomic.Int32           // of anything
	clock   atomic.Int64           // Unix nanoseconds
}

// Keys for tests: RSAKey and ECKey are those that a provider shows at first, as rsa-1 and
// ec-1, OtherKey is none of its.
var (
	RSAKey   = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	OtherKey = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ECKey    = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k })
)

// New starts a provider, until the test ends. Its clock stands.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t}
	p.clock.Store(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).UnixNano())
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		p.Asked.Add(1)
		if p.Down.Load() {
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
		issuer := p.URL
		if lie := p.Lies.Load(); lie != nil {
			issuer = *lie
		}
		answer(w, map[string]any{"issuer": issuer, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL, "token_endpoint": p.URL, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.Fetches.Add(1)
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
	p.URL = srv.URL
	p.Show(Public("rsa-1", RSAKey().Public(), ""), Public("ec-1", ECKey().Public(), "ES256"))
	return p
}

// Public is the public half of a key as a provider shows it.
func Public(id string, key any, algorithm string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm, Use: "sig"}
}

// Show has the provider show these keys and no others.
func (p *Provider) Show(keys ...jose.JSONWebKey) { p.keys.Store(&jose.JSONWebKeySet{Keys: keys}) }

// Now is the time by the provider's clock.
func (p *Provider) Now() time.Time { return time.Unix(0, p.clock.Load()).UTC() }

// Advance moves the clock on.
func (p *Provider) Advance(d time.Duration) { p.clock.Add(int64(d)) }

// Claims are those of a good token, with changes; nil takes one out.
func (p *Provider) Claims(changes map[string]any) map[string]any {
	now := p.Now().Unix()
	c := map[string]any{"iss": p.URL, "sub": "usr_dana", "aud": Audience, "exp": now + 600, "nbf": now - 10, "iat": now - 10, "groups": []string{"readers", "cooks"}}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// Sign signs what is given, whatever it is.
func (p *Provider) Sign(header, payload string) string {
	return Signed(p.t, RSAKey(), jose.RS256, header, payload)
}

// Signed is a compact token with this very header: go-jose would write its own.
func Signed(t testing.TB, key any, algorithm jose.SignatureAlgorithm, header, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature(t, key, algorithm, input))
}

// Token is a good token, with changes to what it claims.
func (p *Provider) Token(changes map[string]any) string {
	p.t.Helper()
	return p.Sign(`{"alg":"RS256","kid":"rsa-1","typ":"JWT"}`, p.Text(changes))
}

// Text is what such a token says.
func (p *Provider) Text(changes map[string]any) string {
	p.t.Helper()
	b, err := json.Marshal(p.Claims(changes))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// By is a good token by a key under an id.
func (p *Provider) By(key any, id string) string {
	return Signed(p.t, key, jose.RS256, `{"alg":"RS256","kid":"`+id+`"}`, p.Text(nil))
}
