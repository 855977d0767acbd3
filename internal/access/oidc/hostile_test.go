package oidc

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/internal/access/oidc/oidctest"

	"github.com/go-jose/go-jose/v4"
)

// TestHostile shows each hostile token to a door, over HTTP.
func TestHostile(t *testing.T) {
	p := oidctest.New(t)
	srv := door(t, verifier(t, p, Options{}))
	for _, good := range []string{
		p.Token(nil),
		p.Token(map[string]any{"aud": []string{"others", oidctest.Audience}, "exp": float64(p.Now().Unix()) + 600.5}),
		p.Sign(`{"alg":"RS256","kid":"rsa-1","typ":"at+jwt","x5t":"AAAA"}`, string(payloadOf(p.Token(nil)))),
		oidctest.Signed(t, oidctest.ECKey(), jose.ES256, `{"alg":"ES256","kid":"ec-1"}`, string(payloadOf(p.Token(nil)))),
	} {
		if got := knock(t, srv, good); got != http.StatusOK {
			t.Fatalf("a good token: %d", got)
		}
	}
	tokens := oidctest.Hostile(t, p)
	if len(tokens) < 60 {
		t.Errorf("only %d hostile tokens", len(tokens))
	}
	fetched := p.Fetches.Load()
	began := time.Now()
	for name, token := range tokens {
		if got := knock(t, srv, token); got != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, got)
		}
	}
	t.Logf("%d hostile tokens, %v each", len(tokens), time.Since(began)/time.Duration(len(tokens)))
	if n := p.Fetches.Load() - fetched; n > 1 {
		t.Errorf("they made the server fetch keys %d times", n)
	}
	// What doesn't fit into a header is refused before it is looked at.
	if got := knock(t, srv, strings.Repeat(".", 1_100_000)); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a million dots: %d", got)
	}
	if got := knock(t, srv, p.Token(nil)); got != http.StatusOK {
		t.Errorf("a good token afterwards: %d", got)
	}
}

// TestErrorsQuoteNothing: what is said of a bad token holds nothing of it.
func TestErrorsQuoteNothing(t *testing.T) {
	p := oidctest.New(t)
	v := verifier(t, p, Options{})
	for name, token := range oidctest.Hostile(t, p) {
		_, err := v.Verify(t.Context(), token)
		if err == nil {
			t.Errorf("%s: let in", name)
			continue
		}
		for _, secret := range []string{"usr_", "readers", "passwd", "example.com", "UNION", p.URL} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// FuzzParse: parse never panics, and what it takes go-jose takes apart too.
func FuzzParse(f *testing.F) {
	p := oidctest.New(f)
	f.Add(p.Token(nil))
	for _, token := range oidctest.Hostile(f, p) {
		f.Add(token)
	}
	algorithms := []string{"RS256", "ES256"}
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, err := parse(token, algorithms); err != nil {
			return
		}
		if _, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256}); err != nil {
			t.Errorf("%q: %v", token, err)
		}
	})
}
