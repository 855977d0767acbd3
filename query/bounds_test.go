package query

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/internal/access"
)

// listening serves on a listener of its own until the test ends, which is no error, and
// returns its address.
func listening(t *testing.T, serve func(ctx context.Context, l net.Listener) error) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// bounded serves with bounds on a listener of its own, and dials it.
func bounded(t *testing.T, b Bounds, o TailOptions) (s *served, dial func(text string) net.Conn) {
	t.Helper()
	s = serve(t, Options{Bounds: b, Tail: o})
	withDoor(s)
	addr := listening(t, s.api.Serve)
	return s, func(text string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, text) // it may be cut off in the middle
		return c
	}
}

// answerOf is the status of what a connection is answered with; 0: it was cut.
func answerOf(c net.Conn) int {
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// TestBounds: each bound that can be set holds where it was set, and what keeps to it is
// answered.
func TestBounds(t *testing.T) {
	_, dial := bounded(t, Bounds{HeaderBytes: 1 << 10, HeaderSeconds: 1, BodyBytes: 2000, BodySeconds: 2}, TailOptions{})
	get := func(size int) string {
		return "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", size) + "\r\n\r\n"
	}
	post := func(size, sent int) string {
		record := fmt.Sprintf(`{"type":"t","actor":{"id":"u"},"data":{"x":%q}}`, strings.Repeat("x", size))
		return fmt.Sprintf("POST /v1/workspaces/ws/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(record), record[:min(sent, len(record))])
	}
	for name, c := range map[string]struct {
		text string
		want []int
	}{
		"a header":               {get(800), []int{200}},
		"a large header":         {get(64 << 10), []int{431, 0}}, // net/http allows 4 KiB more
		"a header without end":   {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", []int{408, 0}},
		"a body":                 {post(1000, 1<<20), []int{202}},
		"a large body":           {post(3000, 1<<20), []int{413}},
		"a body that never ends": {post(1000, 10), []int{408, 0}},
	} {
		got := answerOf(dial(c.text))
		ok := false
		for _, want := range c.want {
			ok = ok || got == want
		}
		if !ok {
			t.Errorf("%s: %d, want one of %v", name, got, c.want)
		}
	}
	_, dial = bounded(t, Bounds{Connections: 1}, TailOptions{})
	first := dial(get(1))
	if got := answerOf(first); got != 200 {
		t.Fatal(got)
	}
	second := dial(get(1))
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("a second connection was answered")
	}
	_ = second.SetReadDeadline(time.Now().Add(time.Minute))
	first.Close()
	if got := answerOf(second); got != 200 {
		t.Errorf("once there is room: %d", got)
	}
}

// TestAnsweredAfterBody: however long a body may take to arrive, half a minute is left
// to answer it; and no answer has less time than by the defaults.
func TestAnsweredAfterBody(t *testing.T) {
	for request, want := range map[time.Duration]time.Duration{
		time.Second: 90 * time.Second, readTimeout: 90 * time.Second, 61 * time.Second: 91 * time.Second, time.Hour: time.Hour + 30*time.Second,
	} {
		if got := (bounds{request: request}).answered(); got != want {
			t.Errorf("a request has %v to arrive, and its answer %v, want %v", request, got, want)
		}
	}
}

// TestStalledSeconds: a tail is cut once its client has taken nothing for as long as is
// set.
func TestStalledSeconds(t *testing.T) {
	s, dial := bounded(t, Bounds{StalledSeconds: 1}, TailOptions{SocketBytes: 16 << 10})
	s.large(100, 64<<10)
	s.settle()
	c := dial("GET /v1/workspaces/ws/tail?last=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	eventually(t, "the stalled one is cut", func() bool {
		return strings.Contains(string(s.do("GET", "/metrics").body), `annals_tail_dropped_total{reason="stalled"} 1`)
	})
	eventually(t, "nobody listens", func() bool { return s.listeners() == 0 })
}

// TestDefaults: what is not set is as docs/access.md says.
func TestDefaults(t *testing.T) {
	want := Bounds{Connections: 4096, HeaderBytes: 65536, HeaderSeconds: 10, BodyBytes: 16777216, BodySeconds: 60, StalledSeconds: 10}
	if got := (Bounds{}).filled(); got != want {
		t.Errorf("%+v", got)
	}
	for _, bad := range []Bounds{{Connections: -1}, {HeaderBytes: -1}, {HeaderSeconds: -1}, {BodyBytes: -1}, {BodyBytes: 16777217}, {BodySeconds: -1}, {StalledSeconds: -1}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := want.Check(); err != nil {
		t.Error(err)
	}
	if err := (&access.Limits{Refusals: -1}).Check(); err == nil {
		t.Error("a limit below 0 is taken")
	}
}
