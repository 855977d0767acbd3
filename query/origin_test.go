package query

import (
	"net/http"
	"testing"

	"annals/internal/access"
)

// TestSecurityHeaders: every answer has them, refusals too, and the page of /docs its
// own policy.
func TestSecurityHeaders(t *testing.T) {
	s := serve(t, Options{})
	for _, path := range []string{"/healthz", "/v1/workspaces/ws/timeline", "/none", "/docs", "/?token=x"} {
		h := s.do("GET", path).header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			"Strict-Transport-Security": "", "Access-Control-Allow-Origin": "", "Vary": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
		if csp := h.Get("Content-Security-Policy"); path != "/docs" && csp != "default-src 'none'; frame-ancestors 'none'" {
			t.Errorf("%s: Content-Security-Policy: %s", path, csp)
		}
	}
}

// TestOrigins: pages of the origins on the list may ask, and no others.
func TestOrigins(t *testing.T) {
	const app = "https://app.example.com"
	s, keys := behind(t, Options{Origins: []string{app}})
	s.token = keys.mint(t, access.All, access.Everywhere)
	const path = "/v1/workspaces/ws_a/timeline"
	pre := s.do("OPTIONS", path, "Origin", app, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization", "Authorization", "")
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Origin") != app || pre.header.Get("Access-Control-Allow-Credentials") != "" ||
		pre.header.Get("Access-Control-Allow-Headers") != corsHeaders || pre.header.Get("Vary") != "Origin" {
		t.Errorf("%d %v", pre.status, pre.header)
	}
	for _, other := range []string{"https://app.example.com:8443", "http://app.example.com", "https://app.example.com.evil.example", "https://evil.example", "null", "*", "HTTPS://APP.EXAMPLE.COM"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			got := s.do(method, path, "Origin", other, "Access-Control-Request-Method", "GET")
			if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
				t.Errorf("%s %s: %v", method, other, got.header)
			}
		}
	}
	got := s.do("GET", path, "Origin", app)
	if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != app || got.header.Get("Access-Control-Expose-Headers") != corsExposed {
		t.Errorf("%d %v", got.status, got.header)
	}
	// A refusal can be read too.
	s.token = ""
	got = s.do("GET", path, "Origin", app)
	if got.status != http.StatusUnauthorized || got.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("%d %v", got.status, got.header)
	}
	s.token = keys.mint(t, access.All, access.Everywhere)
	revoke := func(origin string) answered {
		return s.do("DELETE", "/v1/access/keys/0011223344556677", "Origin", origin, "Sec-Fetch-Site", "cross-site")
	}
	revoke(app).problem(t, http.StatusNotFound, "no_such_key")
	revoke("https://evil.example").problem(t, http.StatusForbidden, "cross_site")
}
