package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// talker is a server of tails that does as a script says, one request after the
// other, and remembers the ids that it was asked for.
type talker struct {
	mu     sync.Mutex
	script []func(w http.ResponseWriter, r *http.Request)
	asked  []string
}

func (s *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.RawQuery+" "+r.Header.Get("Last-Event-ID"))
	next := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	if len(s.script) > 0 {
		next, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	next(w, r)
}

// streaming answers with a stream, and waits at its end where it is to.
func streaming(text string, waits bool) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		if waits {
			<-r.Context().Done()
		}
	}
}

func refusing(status int, code string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"code":%q,"detail":"why"}`, code)
	}
}

func record(id string) string {
	return "id: " + id + "\nevent: record\ndata: {\"ulid\":\"" + id + "\",\"record\":{\ndata:  \"a\": 1}}\n\n"
}

func tailer(t *testing.T, script ...func(http.ResponseWriter, *http.Request)) (*Client, *talker) {
	t.Helper()
	s := &talker{script: script}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := New(srv.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// TestFollow comes again after each way in which a stream can end, behind what it
// has heard: an id without data counts, half an event doesn't.
func TestFollow(t *testing.T) {
	const soon = "retry: 1\n\n"
	c, s := tailer(t,
		streaming(soon+record("A")+record("B"), false),
		streaming(record("C")+"id: D\n\n"+"id: E\nevent: record\ndata: {", false),
		streaming("event: stopping\ndata: {\"reason\":\"stopping\",\"detail\":\"the server stops\"}\n\n", true),
		refusing(503, "too_many_listeners"),
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, // a proxy's
		func(w http.ResponseWriter, r *http.Request) {
			streaming("id: E\n", false)(w, r)
			panic(http.ErrAbortHandler) // the connection breaks
		},
		streaming("event: other\ndata: {}\n\nevent: dropped\ndata: {\"reason\":\"slow\",\"detail\":\"read faster\"}\n\n", true),
		streaming(":\n\n", true), // and then nothing
		streaming(record("F")+record("G"), true),
	)
	var lost []string
	f := Following{
		Filter: Filter{Where: []Condition{Is(Type, "app.*")}}, Last: 2, Sentences: true, Silence: 2 * time.Second,
		Lost: func(why error, _ time.Duration) { lost = append(lost, why.Error()) },
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it would come again for ever
	defer cancel()
	var got []string
	for item, err := range c.Follow(ctx, "ws", f) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, item.ULID+string(item.Record)); item.ULID == "F" {
			break
		}
	}
	const body = "{\n \"a\": 1}"
	if want := []string{"A" + body, "B" + body, "C" + body, "F" + body}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const q = "last=2&type=app.%2A&with=sentence "
	if want := []string{q, q + "B", q + "D", q + "D", q + "D", q + "D", q + "D", q + "D", q + "D"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
	for i, want := range []string{"ended the stream", "ended the stream", "(stopping)", "too_many_listeners", "502", "can't be reached", "(slow)", "no sign of life"} {
		if i >= len(lost) || !strings.Contains(lost[i], want) {
			t.Errorf("lost %d: %q, want %q", i, lost, want)
			break
		}
	}
}

func TestFollowEnds(t *testing.T) {
	hear := func(ctx context.Context, c *Client, f Following) (n int, err error) {
		for item, e := range c.Follow(ctx, "ws", f) {
			if err = e; item != nil {
				n++
			}
		}
		return n, err
	}
	var p *Problem
	c, _ := tailer(t, refusing(400, "invalid_parameter"))
	if _, err := hear(t.Context(), c, Following{After: "x"}); !errors.As(err, &p) || p.Code != "invalid_parameter" {
		t.Errorf("refused: %v", err)
	}
	c, _ = tailer(t, refusing(503, "too_many_listeners"))
	if _, err := hear(t.Context(), c, Following{}); !errors.As(err, &p) || p.Status != 503 {
		t.Errorf("the first time: %v", err)
	}
	c, _ = tailer(t, streaming("retry: 1\n\n"+record("A"), false), refusing(400, "invalid_parameter"))
	if n, err := hear(t.Context(), c, Following{}); n != 1 || !errors.As(err, &p) || p.Status != 400 {
		t.Errorf("refused later: %d, %v", n, err)
	}
	c, _ = tailer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := hear(t.Context(), c, Following{}); err == nil || !strings.Contains(err.Error(), "not a server of annals") {
		t.Errorf("another server: %v", err)
	}
	for _, f := range []Following{{Filter: Filter{Since: time.Now()}}, {Filter: Filter{AsOf: 1}}, {Filter: Filter{Where: []Condition{Is(User)}}}} {
		if _, err := hear(t.Context(), c, f); err == nil {
			t.Errorf("%+v passes", f)
		}
	}
	var none *UnreachedError
	gone, err := New("http://127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hear(t.Context(), gone, Following{}); !errors.As(err, &none) {
		t.Errorf("nobody there: %v", err)
	}
	c, _ = tailer(t, streaming(record("A"), true))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for item, err := range c.Follow(ctx, "ws", Following{}) {
		if err != nil || item.ULID != "A" {
			t.Errorf("%+v, %v", item, err)
		}
		cancel() // the end that is meant is no error
	}
}

// TestFollowWaits: what the server asks for, then twice that with each time in
// vain, and no longer than half a minute.
func TestFollowWaits(t *testing.T) {
	tail := &tail{retry: 3 * time.Second}
	var got []time.Duration
	for range 6 {
		got = append(got, tail.wait()/time.Second)
	}
	if want := []time.Duration{3, 6, 12, 24, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}
