package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"annals/internal/access"
)

// lingers serves with connections that linger for ever, but for the first of an address,
// and dials it. stop ends the serving, and waits for its end.
func lingers(t *testing.T, connections int) (dial func(text string) net.Conn, stop func()) {
	t.Helper()
	s, _ := withLimits(t, access.Limits{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.api.serve(ctx, l, bounds{time.Minute, time.Minute, connections, access.NewLateness(1e-6, time.Hour)})
	}()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, text) // it may be cut in the middle
		return c
	}, stop
}

// ends reports whether a connection ends, after whatever is said on it.
func ends(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// The server closes half a second after it has refused what is no request; whoever doesn't
// linger has ended shortly, and on a slow machine in a long time.
const (
	shortly  = 2 * time.Second
	longTime = time.Minute
)

// TestUnaskedLinger: a connection that ends without having asked stays open where many of
// its address do, whatever it is that came instead, and though it asked for something
// before. Who asks, and goes when the answer is there, doesn't. A stop ends all of them.
func TestUnaskedLinger(t *testing.T) {
	dial, stop := lingers(t, 64)
	const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	large := "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n"
	if !ends(t, dial("nothing\r\n\r\n"), longTime) {
		t.Error("the first lingers")
	}
	held := map[string]net.Conn{}
	for name, text := range map[string]string{
		"what is no request":         "nothing\r\n\r\n",
		"what is TLS":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"a header too large":         large,
		"a request, and then such a": health + large,
		"another version":            "GET / HTTP/9.9\r\n\r\n",
	} {
		held[name] = dial(text)
	}
	within := shortly
	for name, c := range held {
		if ends(t, c, within) {
			t.Errorf("%s: it ends", name)
		}
		within = time.Millisecond // all have been there for as long
	}
	// Others of the address are answered meanwhile, and end as ever.
	for _, text := range []string{
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /nowhere HTTP/1.0\r\n\r\n",
		fmt.Sprintf("POST /v1/workspaces/ws_a/records HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", 4*unaskedBytes, strings.Repeat("x", 4*unaskedBytes)),
	} {
		c := dial(text)
		if !ends(t, c, longTime) {
			t.Errorf("%.20q lingers", text)
		}
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	for name, c := range held {
		if !ends(t, c, longTime) {
			t.Errorf("%s: it lingers after the stop", name)
		}
	}
	<-stopped
}

// TestFewLinger: those that linger are an eighth of the connections, and keep nobody from
// the others.
func TestFewLinger(t *testing.T) {
	const connections = 16
	dial, _ := lingers(t, connections)
	if !ends(t, dial("nothing\r\n\r\n"), longTime) {
		t.Error("the first lingers")
	}
	const many = 2 * connections
	ended := make(chan struct{}, many)
	for range many {
		c := dial("nothing\r\n\r\n")
		go func() {
			_, _ = io.Copy(io.Discard, c)
			ended <- struct{}{}
		}()
	}
	late := time.After(longTime)
	for n := range many - connections/8 {
		select {
		case <-ended:
		case <-late:
			t.Fatalf("%d have ended, and %d are to", n, many-connections/8)
		}
	}
	select {
	case <-ended:
		t.Errorf("fewer linger than %d", connections/8)
	case <-time.After(shortly):
	}
	for range connections {
		c := dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		c.Close()
	}
}

// TestStrays: who asks for what is not there, again and again, is told so often and no
// more, of an address, whatever it is.
func TestStrays(t *testing.T) {
	s, keys := withLimits(t, access.Limits{Refusals: 0.4}) // and four saved up
	token := keys.mint(t, access.Read, "ws_a")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nowhere", http.StatusNotFound},
		{"PUT", "/healthz", http.StatusMethodNotAllowed},
		{"GET", "/v1/../x", http.StatusNotFound},
		{"GET", "/v1/workspaces/ws_a/timeline?access_token=x", http.StatusBadRequest},
	} {
		if got := s.do(c.method, c.path); got.status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
	}
	s.refused(http.StatusTooManyRequests, "rate_limited", "GET", "/nowhere")
	s.refused(http.StatusTooManyRequests, "rate_limited", "DELETE", "/healthz")
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/docs"} {
		s.refused(http.StatusTooManyRequests, "rate_limited", "GET", path)
	}
	s.refused(http.StatusTooManyRequests, "rate_limited", "GET", "/v1/workspaces/ws_a/timeline")
	if got := s.do("GET", "/healthz"); got.status != http.StatusOK {
		t.Errorf("a probe: %d", got.status)
	}
	s.token = token
	if got := s.do("GET", "/v1/workspaces/ws_a/timeline"); got.status != http.StatusOK {
		t.Errorf("a good token: %d %s", got.status, got.body)
	}
}
