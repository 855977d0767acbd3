package query

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/access"

	"github.com/go-json-experiment/json"
)

// besieged is a server behind access with short bounds, on a listener of its own.
type besieged struct {
	*served
	addr string
}

func besiege(t *testing.T, l access.Limits, o Options, b bounds) (*besieged, book) {
	t.Helper()
	keys, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	o.Keys, o.Access = keys, mustGate(t, access.Options{Keys: keys, Limits: l})
	s := serve(t, o)
	withDoor(s)
	addr := listening(t, func(ctx context.Context, l net.Listener) error { return s.api.serve(ctx, l, b) })
	s.url = "http://" + addr
	return &besieged{s, addr}, book{keys}
}

// goesOn records and reads, as somebody who means no harm does meanwhile.
func (b *besieged) goesOn(n int) {
	b.t.Helper()
	before := b.api.o.Ledger.Head().Size
	b.more("ws_own", n)
	b.settle()
	if after := b.api.o.Ledger.Head().Size; after < before+uint64(n) {
		b.t.Errorf("of %d records %d were recorded", n, after-before)
	}
	if a := b.do("GET", "/v1/workspaces/ws_own/timeline"); a.status != http.StatusOK {
		b.t.Errorf("reading: %d %s", a.status, a.body)
	}
}

// quiet waits until no more goroutines run than before, but for a few of the runtime's
// and the client's.
func quiet(t *testing.T, before int) {
	t.Helper()
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+8 })
}

// TestSlowloris: hundreds of connections whose header, or whose body, never ends are
// cut, each, and hold no more than a goroutine or two until then.
func TestSlowloris(t *testing.T) {
	s, keys := besiege(t, access.Limits{}, Options{}, bounds{time.Second, 2 * time.Second, maxConnections, nil})
	s.token = keys.mint(t, access.Read, "ws_own")
	recorder := keys.mint(t, access.Record, "ws_own")
	s.goesOn(1)
	s.client.CloseIdleConnections()
	before := runtime.NumGoroutine()
	const each = 200
	var conns []net.Conn
	for i := range 2 * each {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		begin := "GET /v1/workspaces/ws_own/timeline HTTP/1.1\r\nHost: x\r\nX-A: "
		if i >= each {
			begin = "POST /v1/workspaces/ws_own/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\nAuthorization: Bearer " + recorder + "\r\n\r\n{"
		}
		if _, err := io.WriteString(c, begin); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	s.goesOn(20)
	if n := runtime.NumGoroutine() - before; n > 3*len(conns)+20 {
		t.Errorf("%d goroutines for %d connections", n, len(conns))
	}
	for i, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c) // ends when the server cuts it
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("connection %d was not cut", i)
		}
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Fatalf("connection %d: %s", i, answer)
		}
	}
	s.client.CloseIdleConnections()
	quiet(t, before)
}

// TestConnectionsAreBounded: beyond the most nobody is taken in, and one that ends
// makes room.
func TestConnectionsAreBounded(t *testing.T) {
	s, _ := besiege(t, access.Limits{}, Options{}, bounds{time.Minute, time.Minute, 4, nil})
	const request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	var held []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	more, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	if _, err := io.WriteString(more, request); err != nil {
		t.Fatal(err)
	}
	_ = more.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := more.Read(make([]byte, 1)); err == nil {
		t.Fatal("a fifth connection was answered")
	}
	_ = more.SetReadDeadline(time.Now().Add(time.Minute))
	_ = held[0].Close()
	if res, err := http.ReadResponse(bufio.NewReader(more), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal("no room was made", err)
	}
}

// TestHugeHeaders: a header of more than the most is refused while it arrives: what
// follows is never read.
func TestHugeHeaders(t *testing.T) {
	s, keys := besiege(t, access.Limits{}, Options{}, bounds{time.Minute, time.Minute, maxConnections, nil})
	s.token = keys.mint(t, access.Read, "ws_own")
	for i := range 50 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		name := "X-A"
		if i%2 == 1 {
			name = "Authorization"
		}
		go func() {
			_, _ = fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n%s: Bearer %s", name, strings.Repeat("x", 4<<20)) // without an end
		}()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", res.StatusCode)
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error(err)
		}
		_ = c.Close()
	}
	s.goesOn(5)
}

// TestStalledReaders: a thousand tails that nobody reads. Each token has so many and no
// more; what waits for each is bounded, and all are cut while recording goes on.
func TestStalledReaders(t *testing.T) {
	const tokens, tails, queue = 10, 5, 4 << 10
	s, keys := besiege(t, access.Limits{Tails: tails, PerSecond: 1e6, Burst: 1e6},
		Options{Tail: TailOptions{QueueBytes: queue, WriteTimeout: 2 * time.Second, SlowAfter: time.Second}}, bounds{time.Minute, time.Minute, maxConnections, nil})
	s.token = keys.mint(t, access.Read, "ws_own")
	s.goesOn(1)
	s.client.CloseIdleConnections()
	before := runtime.NumGoroutine()
	refused := 0
	var conns []net.Conn
	for i := range 1000 {
		if i%(1000/tokens) == 0 {
			s.token = keys.mint(t, access.Read, "ws_own")
		}
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		_ = c.(*net.TCPConn).SetReadBuffer(1 << 10)
		if _, err := fmt.Fprintf(c, "GET /v1/workspaces/ws_own/tail HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", s.token); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
		line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.Contains(line, " 429 "):
			refused++
		case !strings.Contains(line, " 200 "):
			t.Fatal(line)
		}
	}
	if refused != 1000-tokens*tails {
		t.Errorf("%d were refused, want %d", refused, 1000-tokens*tails)
	}
	if n := s.listeners(); n > tokens*tails {
		t.Errorf("%d listen", n)
	}
	large := strings.Repeat("x", 32<<10)
	for i := range 300 { // more than the system's buffers take
		s.publish("ws_own", fmt.Sprintf(`{"id":"l%d","type":"t","actor":{"id":"u"},"data":{"x":%q}}`, i, large))
		s.settle()
		h := s.api.hub
		h.mu.Lock()
		for l := range h.listeners {
			l.mu.Lock()
			if l.bytes > queue+64<<10 { // one event, however large
				t.Errorf("%d bytes wait for one that reads nothing", l.bytes)
			}
			l.mu.Unlock()
		}
		h.mu.Unlock()
	}
	eventually(t, "all stalled tails are cut", func() bool { return s.listeners() == 0 })
	s.goesOn(5)
	for _, c := range conns { // those that were refused may go on asking
		_ = c.Close()
	}
	s.client.CloseIdleConnections()
	quiet(t, before)
}

// TestManyQueries: five hundred of the dearest questions at once. So many of a token
// run as it may have, the others are told to wait, and recording goes on.
func TestManyQueries(t *testing.T) {
	s, keys := besiege(t, access.Limits{Queries: 4, PerSecond: 1e6, Burst: 1e6}, Options{}, bounds{time.Minute, time.Minute, maxConnections, nil})
	s.token = keys.mint(t, access.Read, "ws_own")
	for range 20 {
		s.more("ws_own", 100)
	}
	s.settle()
	q := "/v1/workspaces/ws_own/timeline?limit=1000&with=sentence&order=occurred&kind=record,duplicate,conflict,rejection"
	for i := range 16 {
		q += fmt.Sprintf("&type!=none%d.*", i)
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 500 {
		all.Go(func() {
			<-begin
			r, err := http.NewRequest("GET", s.url+q, nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+s.token)
			res, err := s.client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode == http.StatusTooManyRequests {
				var p struct {
					Code string `json:"code"`
				}
				if err := json.Unmarshal(body, &p); err != nil || p.Code != "too_many_at_once" {
					t.Errorf("%s", body)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if statuses[res.StatusCode]++; res.StatusCode != http.StatusOK && res.StatusCode != http.StatusTooManyRequests && statuses[res.StatusCode] == 1 {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	close(begin)
	size := s.api.o.Ledger.Head().Size
	for range 10 {
		s.more("ws_own", 10)
		s.settle()
	}
	if got := s.api.o.Ledger.Head().Size; got < size+100 {
		t.Errorf("%d records were recorded meanwhile", got-size)
	}
	all.Wait()
	if statuses[http.StatusOK] == 0 {
		t.Errorf("%v: nobody was answered", statuses)
	}
	t.Logf("%v", statuses)
}
