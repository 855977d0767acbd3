package query

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/internal/access"
)

// withLimits serves behind access with limits.
func withLimits(t *testing.T, l access.Limits) (*served, book) {
	t.Helper()
	b, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Keys: b, Access: mustGate(t, access.Options{Keys: b, Limits: l})})
	withDoor(s)
	return s, book{b}
}

// TestLimitsOverHTTP: refusals count too, at whatever door, and open doors have no
// limits.
func TestLimitsOverHTTP(t *testing.T) {
	s, keys := withLimits(t, access.Limits{PerSecond: 0.001, Burst: 4})
	s.token = keys.mint(t, access.Read, "ws_a")
	for i, path := range []string{"/v1/workspaces/ws_a/timeline", "/v1/workspaces/ws_b/timeline", "/metrics"} {
		if got := s.do("GET", path); got.header.Get("RateLimit") == "" || got.header.Get("RateLimit-Policy") != `"token";q=4;w=4000` {
			t.Errorf("%d %s: %v", i, path, got.header)
		}
	}
	record := func() answered {
		return s.send("POST", "/v1/workspaces/ws_a/records", `{"type":"t","actor":{"id":"u"}}`, "Content-Type", "application/json")
	}
	record().problem(t, http.StatusForbidden, "missing_scope")
	got := record()
	got.problem(t, http.StatusTooManyRequests, "rate_limited")
	if got.header.Get("Retry-After") != "1000" {
		t.Errorf("Retry-After: %s", got.header.Get("Retry-After"))
	}
	s.refused(http.StatusTooManyRequests, "rate_limited", "GET", "/v1/workspaces/ws_a/timeline")
	if got := s.do("GET", "/healthz"); got.status != http.StatusOK || got.header.Get("RateLimit") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// TestTailsAreCounted: a stream counts for as long as it is open.
func TestTailsAreCounted(t *testing.T) {
	s, keys := withLimits(t, access.Limits{Tails: 1})
	s.token = keys.mint(t, access.Read, "ws_a")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/workspaces/ws_a/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.refused(http.StatusTooManyRequests, "too_many_at_once", "GET", "/v1/workspaces/ws_a/users/u/tail")
	cancel()
	res.Body.Close()
	for { // until the server has noticed
		r, err := http.NewRequestWithContext(t.Context(), "GET", r.URL.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.token)
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
}

// TestSlowHeaders: who sends a header that is too large, or too slowly, is cut off,
// and takes nothing from others.
func TestSlowHeaders(t *testing.T) {
	s, _ := withLimits(t, access.Limits{})
	addr := listening(t, func(ctx context.Context, l net.Listener) error {
		return s.api.serve(ctx, l, bounds{2 * time.Second, readTimeout, maxConnections, nil})
	})
	dial := func(text string) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, text) // it may be cut off in the middle
		return c
	}
	large := dial("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(large), nil)
	var reset *net.OpError
	if err == nil && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || err != nil && !errors.As(err, &reset) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a large header: %v %v", res, err)
	}
	var slow []net.Conn
	for range 100 {
		slow = append(slow, dial("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "))
	}
	res, err = http.ReadResponse(bufio.NewReader(dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("beside slow ones: %v %v", res, err)
	}
	for _, c := range slow {
		b, err := io.ReadAll(c) // to its end, which only the server brings
		if err != nil && !errors.As(err, &reset) || bytes.Contains(b, []byte("200")) {
			t.Fatalf("%q %v", b, err)
		}
	}
}
