package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestQueueBounds puts events into a listener that takes none: never more wait
// than its bounds say, what is being sent counted in, but always one; the rest is
// for the indexes, from the first event that did not fit.
func TestQueueBounds(t *testing.T) {
	for name, c := range map[string]struct {
		o     TailOptions
		sizes []int
		fit   int
	}{
		"events":    {TailOptions{QueueEvents: 3, QueueBytes: 1000}, []int{1, 1, 1, 1}, 3},
		"bytes":     {TailOptions{QueueEvents: 9, QueueBytes: 1000}, []int{400, 600, 1}, 2},
		"one large": {TailOptions{QueueEvents: 9, QueueBytes: 1000}, []int{5000, 1}, 1},
		"then one":  {TailOptions{QueueEvents: 9, QueueBytes: 1000}, []int{1, 5000}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o.withDefaults()
			for _, taken := range []bool{false, true} {
				l := &listener{o: &o, wake: make(chan struct{}, 1)}
				l.attach(7)
				if !l.offer(&event{index: 6, text: make([]byte, 9999)}) || l.events != 0 {
					t.Error("an event before its beginning waits")
				}
				var got []*event
				for i, size := range c.sizes {
					fits := l.offer(&event{index: uint64(7 + i), text: make([]byte, size)})
					if fits != (i < c.fit) {
						t.Fatalf("event %d of %d bytes fits: %v", i, size, fits)
					}
					if taken && i == 0 {
						got, _ = l.take(nil) // being sent, and not sent yet
					}
				}
				if l.attached || l.behind != uint64(7+c.fit) || l.slow {
					t.Errorf("attached %v behind %d slow %v", l.attached, l.behind, l.slow)
				}
				for {
					events, what := l.take(nil)
					if what == toRead {
						break
					}
					got = append(got, events...)
				}
				if len(got) != c.fit || l.next != uint64(7+c.fit) {
					t.Errorf("%d events, then by the indexes from %d", len(got), l.next)
				}
				h := &hub{at: 99}
				l.attached, l.queue = true, got
				if _, idle := h.idle(l); idle {
					t.Error("idle, and something waits: an id would be ahead of it")
				}
				l.queue = nil
				if at, idle := h.idle(l); !idle || at != 99 {
					t.Errorf("idle %v at %d", idle, at)
				}
				l.sent(got)
				if l.events != 0 || l.bytes != 0 {
					t.Errorf("%d events of %d bytes wait when all are sent", l.events, l.bytes)
				}
			}
		})
	}
}

// large are records that fill a connection's buffers soon.
func (s *served) large(n, size int) {
	var body strings.Builder
	for range n {
		fmt.Fprintf(&body, `{"type":"t","actor":{"id":"u"},"data":%q}`+"\n", strings.Repeat("x", size))
	}
	s.stream.Publish("activity.ws._", body.String(), "Content-Type", "application/x-ndjson")
}

// blocked reports whether a listener's queue was full while a write to it was under way:
// the client's fault, and no fault of a machine that is busy.
func (s *served) blocked() bool {
	h := s.api.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.mu.Lock()
		full := l.full
		l.mu.Unlock()
		if full {
			return true
		}
	}
	return false
}

// TestSlowIsDropped has a client that reads nothing for a while beside others that
// do, over sockets: it is told, gets all up to the id that it is told, and the
// others get everything.
func TestSlowIsDropped(t *testing.T) {
	s := serve(t, Options{Tail: TailOptions{Heartbeat: 5 * time.Millisecond, SlowAfter: time.Nanosecond, WriteTimeout: time.Minute, QueueBytes: 256 << 10}})
	s.settle()
	var others [3]*ear
	for i := range others {
		others[i] = s.open("/v1/workspaces/ws/tail")
	}
	slow := s.open("/v1/workspaces/ws/tail")
	eventually(t, "all are attached", func() bool { return s.attached() == 4 })
	// The others take what comes before more does, so that they are not slow.
	var got [3][]string
	for n := 0; !s.blocked(); n++ {
		if n == 2000 {
			t.Fatal("64 MB are on their way to one that reads nothing, and its queue was not found full")
		}
		s.large(8, 4<<10)
		s.settle()
		for i, e := range others {
			got[i] = append(got[i], e.until(s.newest())...)
		}
	}
	s.large(8, 4<<10)
	s.settle()
	if n := s.attached(); n != 3 {
		t.Fatalf("%d are attached, want the three that read", n)
	}
	want := s.shown("/v1/workspaces/ws/timeline")
	for i, e := range others {
		if got[i] = append(got[i], e.until(s.newest())...); !slices.Equal(got[i], want) {
			t.Errorf("listener %d got %d records of %d", i, len(got[i]), len(want))
		}
	}
	var heard []string
	var end heardEnd
	for {
		h, err := slow.hear()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch h.event {
		case "record":
			heard = append(heard, h.data)
		case "dropped":
			end.parse(t, h.data)
		}
	}
	if end.Reason != "slow" || end.After != slow.last || len(heard) >= len(want) || !slices.Equal(heard, want[:len(heard)]) {
		t.Fatalf("the slow one got %d records of %d, and was told %+v", len(heard), len(want), end)
	}
	rest := s.open("/v1/workspaces/ws/tail", lastEventID, end.After).until(s.newest())
	if !slices.Equal(append(heard, rest...), want) {
		t.Errorf("%d records, and then %d, are not the %d", len(heard), len(rest), len(want))
	}
	if m := string(s.do("GET", "/metrics").body); !strings.Contains(m, `annals_tail_dropped_total{reason="slow"} 1`) {
		t.Error("the metrics don't know of it")
	}
}

// TestStalledIsCut has a client that never reads again: its connection is closed,
// in the middle of an event, which the standard has clients forget.
func TestStalledIsCut(t *testing.T) {
	s := serve(t, Options{Tail: TailOptions{WriteTimeout: 500 * time.Millisecond}})
	s.large(200, 64<<10)
	s.settle()
	e := s.open("/v1/workspaces/ws/tail?last=1000")
	eventually(t, "the stalled one is gone", func() bool { return s.listeners() == 0 })
	n := 0
	for {
		h, err := e.hear()
		if err != nil {
			break
		}
		if h.event != "" && h.event != "record" {
			t.Errorf("%+v", h)
		}
		n++
	}
	if n >= 200 {
		t.Error("nothing stalled: the connection took it all")
	}
	if m := string(s.do("GET", "/metrics").body); !strings.Contains(m, `annals_tail_dropped_total{reason="stalled"} 1`) {
		t.Error("the metrics don't know of it")
	}
}

// TestPatience: those who stall together are not cut together, and none is cut early.
func TestPatience(t *testing.T) {
	h := &hub{o: TailOptions{WriteTimeout: time.Minute}}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := h.patience()
		least, most = min(least, d), max(most, d)
	}
	if least < time.Minute || most > 90*time.Second || most-least < 20*time.Second {
		t.Errorf("from %s to %s", least, most)
	}
}

// TestThousandListeners holds a thousand listeners of ten workspaces to a bound of
// memory while records pour in, first while they read and then while none does.
func TestThousandListeners(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: it opens a thousand connections")
	}
	s := serve(t, Options{Tail: TailOptions{Heartbeat: time.Hour, SlowAfter: time.Hour, WriteTimeout: time.Hour}})
	h := s.api.hub
	srv := httptest.NewUnstartedServer(s.api)
	srv.Listener = narrow{srv.Listener}
	srv.Start()
	defer srv.Close()
	defer srv.CloseClientConnections() // else it waits for ever, where the test has failed
	before := heap()
	const listeners, workspaces = 1000, 10
	var wg sync.WaitGroup
	release := make(chan struct{})
	var mu sync.Mutex
	counted := map[int]int{}
	for n := range listeners {
		path := fmt.Sprintf("/v1/workspaces/ws%d/tail?type%%21=none%d", n%workspaces, n%3)
		wg.Go(func() {
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetReadBuffer(8 << 10)
			_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			<-release
			lines := bufio.NewReaderSize(conn, 512)
			for {
				line, err := lines.ReadSlice('\n')
				if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
					t.Error(err)
					return
				}
				if strings.HasPrefix(string(line), "event: record") {
					mu.Lock()
					counted[n]++
					mu.Unlock()
				}
				if strings.Contains(string(line), "the last") {
					return
				}
			}
		})
	}
	eventually(t, "all listen", func() bool { return s.attached() == listeners })
	most := 0
	pour := func() {
		for w := range workspaces {
			var body strings.Builder
			for range 64 {
				fmt.Fprintf(&body, `{"type":"t","actor":{"id":"u"},"data":%q}`+"\n", strings.Repeat("x", 1000))
			}
			s.stream.Publish(fmt.Sprintf("activity.ws%d._", w), body.String(), "Content-Type", "application/x-ndjson")
		}
		s.settle()
		h.mu.Lock()
		defer h.mu.Unlock()
		for l := range h.listeners {
			l.mu.Lock()
			if l.events > h.o.QueueEvents || l.bytes > h.o.QueueBytes && l.events > 1 {
				t.Errorf("%d events of %d bytes wait", l.events, l.bytes)
			}
			most = max(most, l.bytes)
			l.mu.Unlock()
		}
	}
	const rounds = 4
	for range rounds {
		pour() // nobody reads: what the connections don't take has to wait, or to be left to the indexes
	}
	// A queue and a portion that is being sent, the server's own buffers and stacks.
	// Beside them what was printed last.
	const bound = listeners*(64<<10+36<<10+28<<10) + printedSlots*printedBytes
	if grown := heap() - before; grown > bound {
		t.Errorf("%d MiB for a thousand listeners of whom none reads, the bound is %d", grown>>20, bound>>20)
	} else {
		t.Logf("%d listeners, none reading: %d MiB of heap and stacks; %d KiB wait at most for one", listeners, grown>>20, most>>10)
	}
	close(release)
	for w := range workspaces {
		s.publish(fmt.Sprintf("ws%d", w), `{"type":"t","actor":{"id":"u"},"data":"the last"}`)
	}
	s.settle()
	wg.Wait()
	for n := range listeners {
		if counted[n] != rounds*64+1 {
			t.Fatalf("listener %d got %d records, want %d", n, counted[n], rounds*64+1)
		}
	}
}

// narrow is a listener whose connections take little before they block.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return c, err
}

// heap is what lives, stacks counted in.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestTailOutlivesTimeouts: a server's bounds on requests don't cut a stream that
// is healthy, be it that events come or that nothing happens.
func TestTailOutlivesTimeouts(t *testing.T) {
	const bound = time.Second
	o := beating()
	o.Tail.WriteTimeout = bound // of one write
	s := serve(t, o)
	s.settle()
	srv := httptest.NewUnstartedServer(s.api)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout, srv.Config.IdleTimeout = bound, bound, bound
	srv.Start()
	defer srv.Close()
	on := *s
	on.url = srv.URL
	e := on.open("/v1/workspaces/ws/tail")
	defer e.close()
	for start := time.Now(); time.Since(start) < 3*bound; {
		if _, err := e.hear(); err != nil {
			t.Fatal(err)
		}
	}
	s.more("ws", 1)
	s.settle()
	if got := e.until(s.newest()); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// heardEnd is the last event's data.
type heardEnd struct{ Reason, Detail, After string }

// TestServeEndsTails stops a server with listeners that read, that wait, and that
// take nothing: the stop is quick, and who can be told is told.
func TestServeEndsTails(t *testing.T) {
	s := serve(t, Options{Tail: TailOptions{Heartbeat: time.Hour}})
	s.large(200, 64<<10)
	s.settle()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(ctx, l) }()
	on := *s
	on.url, on.client = "http://"+l.Addr().String(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	waiting, stalled := on.open("/v1/workspaces/ws/tail"), on.open("/v1/workspaces/ws/tail?last=1000")
	waiting.hear() // retry
	waiting.hear() // its id
	eventually(t, "one waits and one is being sent to", func() bool {
		s.api.hub.mu.Lock()
		defer s.api.hub.mu.Unlock()
		sending := 0
		for l := range s.api.hub.listeners {
			l.mu.Lock()
			if !l.sending.IsZero() && time.Since(l.sending) > 20*time.Millisecond {
				sending++
			}
			l.mu.Unlock()
		}
		return sending == 1 && s.api.hub.attached == 1
	})
	start := time.Now()
	cancel()
	h := waiting.event()
	var end heardEnd
	end.parse(t, h.data)
	if h.event != "stopping" || end.Reason != "stopping" || end.After != s.newest() || h.id != s.newest() || waiting.retry == "" {
		t.Errorf("%+v, retry %q", h, waiting.retry)
	}
	if _, err := waiting.hear(); !errors.Is(err, io.EOF) {
		t.Errorf("after its end: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(start); took > drainTimeout/2 {
		t.Errorf("the stop took %s", took)
	}
	for {
		if _, err := stalled.hear(); err != nil {
			break
		}
	}
}
