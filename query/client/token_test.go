package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestToken: the token goes to the server with each request, and to no other that it
// redirects to; one that can't be sent is refused, and not quoted.
func TestToken(t *testing.T) {
	const token = "ann_0011223344556677_secret"
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("another server was shown %s", got)
		}
		fmt.Fprint(w, "{}")
	}))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("%s: Authorization: %q", r.URL.Path, got)
		}
		if r.URL.Path == "/away" {
			// Under another name, for hosts are told apart by those.
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"code":"unauthenticated","detail":"x"}`)
	}))
	defer srv.Close()
	c, err := New(srv.URL, Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "/v1/ledger", nil, ""); err == nil {
		t.Error("no refusal")
	}
	for _, err := range c.Follow(t.Context(), "ws_7", Following{}) {
		if err == nil {
			t.Error("no refusal")
		}
	}
	if _, err := c.Get(t.Context(), "/away", nil, ""); err == nil {
		t.Error("it went to another host")
	}
	// A client of the caller's own may go there, without the token.
	c, err = New(srv.URL, Options{Token: token, HTTP: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "/away", nil, ""); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"secret token", "secret\n", "secrét"} {
		if _, err := New(srv.URL, Options{Token: bad}); err == nil || strings.Contains(err.Error(), "secr") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
