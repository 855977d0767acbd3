package ingest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/activity"
	"annals/ingest"

	"github.com/go-json-experiment/json"
)

// caught is where a middleware's records go in tests.
type caught struct {
	mu      sync.Mutex
	records []string
	refuse  error
	hold    chan struct{} // not nil: nothing is taken before it is closed
}

func (c *caught) publish(ctx context.Context, record []byte) (func(context.Context) (ingest.Ack, error), error) {
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, string(record))
	return func(context.Context) (ingest.Ack, error) { return ingest.Ack{}, c.refuse }, nil
}

func (c *caught) middleware(t testing.TB, o ingest.MiddlewareOptions) *ingest.Middleware {
	t.Helper()
	o.Workspace = "ws"
	m, err := ingest.NewMiddlewareThrough(o, c.publish)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustCloseMiddleware(t, m) })
	return m
}

func mustCloseMiddleware(t testing.TB, m *ingest.Middleware) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}

// made is a record of the middleware, as far as tests look at it.
type made struct {
	Type  string
	Actor struct{ Type, ID string }

	Context struct {
		IP        string
		SessionID string `json:"session_id"`
	}
	Dimensions map[string]string
	OccurredAt time.Time `json:"occurred_at"`
	Data       struct {
		Method, Path string
		StatusCode   int            `json:"status_code"`
		DurationMS   *float64       `json:"duration_ms"`
		Metadata     map[string]any `json:"metadata"`
	}
}

// one closes the middleware and returns its one record, which the ledger would take.
func (c *caught) one(t *testing.T, m *ingest.Middleware) made {
	t.Helper()
	mustCloseMiddleware(t, m)
	if len(c.records) != 1 {
		t.Fatalf("records: %q", c.records)
	}
	return c.read(t, 0)
}

func (c *caught) read(t *testing.T, i int) (r made) {
	t.Helper()
	if _, err := activity.Parse([]byte(c.records[i])); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(c.records[i]), &r, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMiddlewareRecords: what becomes of each way in which a request ends.
func TestMiddlewareRecords(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		typ     string
		status  int
		panics  any
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, "api_request", 200, nil},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, "api_request", 200, nil},
		{"a string alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "api_request", 200, nil},
		{"flushed alone", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, "api_request", 200, nil},
		{"201", status(201), "api_request", 201, nil},
		{"304", status(304), "api_request", 304, nil},
		{"399", status(399), "api_request", 399, nil},
		{"400", status(400), "api_request_failed", 400, nil},
		{"499", status(499), "api_request_failed", 499, nil},
		{"500", status(500), "server_error", 500, nil},
		{"599", status(599), "server_error", 599, nil},
		{"early hints first", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, "api_request_failed", 404, nil},
		{"the first status counts", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")); w.WriteHeader(500) }, "api_request", 200, nil},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("boom") }, "server_error", 500, "boom"},
		{"panic after a status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); panic("boom") }, "server_error", 202, "boom"},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "server_error", 500, http.ErrAbortHandler},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := &caught{}
			m := to.middleware(t, ingest.MiddlewareOptions{})
			r := httptest.NewRequest("PATCH", "/a/b?token=secret", nil)
			before := time.Now()
			func() {
				defer func() {
					if v := recover(); v != c.panics {
						t.Errorf("the panic is %v, not %v", v, c.panics)
					}
				}()
				m.Handler(c.handler).ServeHTTP(httptest.NewRecorder(), r)
			}()
			got := to.one(t, m)
			d := got.Data
			if got.Type != c.typ || d.StatusCode != c.status || d.Method != "PATCH" || d.Path != "/a/b" || got.Actor.Type != "anonymous" || got.Context.IP != "192.0.2.1" {
				t.Errorf("%+v", got)
			}
			if d.DurationMS == nil || *d.DurationMS < 0 || got.OccurredAt.Before(before.Add(-time.Second)) || (d.Metadata["panicked"] == true) != (c.panics != nil) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestMiddlewareIdentity: who, which session and which project a request is of.
func TestMiddlewareIdentity(t *testing.T) {
	to := &caught{}
	m := to.middleware(t, ingest.MiddlewareOptions{
		Routes: []string{"/sessions/{session}/projects/{project}/…", "/sessions/{session}", "/projects/{project}/files/{rest...}", "/v/{version}/{project}"},
		User:   func(r *http.Request) string { return r.Header.Get("X-User") },
	})
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.URL.Path = "/changed" }))
	cases := []struct{ path, user, session, project string }{
		{"/sessions/s1", "u1", "s1", ""},
		{"/sessions/s1/", "", "", ""},
		{"/sessions/", "", "", ""},
		{"/sessions/s1/steps", "", "", ""},
		{"/sessions/s1/projects/p1", "", "s1", "p1"},
		{"/sessions/s1/projects/p1/", "", "s1", "p1"},
		{"/sessions/s1/projects/p1/a/b", `u"2`, "s1", "p1"},
		{"/sessions/s1/projects", "", "", ""},
		{"/projects/p2/files", "", "", "p2"},
		{"/projects/p2/files/x", "", "", "p2"},
		{"/projects/p2/filesx", "", "", ""},
		{"/v/1/p3", "", "", "p3"},
		{"/sessions/%F0%9F%98%80", "", "😀", ""},
		{"/sessions/%FF", "", "\ufffd", ""},
		{"/sessions/" + strings.Repeat("s", 512), "", strings.Repeat("s", 512), ""},
		{"/sessions/" + strings.Repeat("s", 513), "", "", ""},
		{"/elsewhere", "", "", ""},
	}
	for _, c := range cases {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("X-User", c.user)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	mustCloseMiddleware(t, m)
	for i, c := range cases {
		got := to.read(t, i)
		wantType := "user"
		if c.user == "" {
			wantType = "anonymous"
		}
		if got.Context.SessionID != c.session || got.Dimensions["project"] != c.project || got.Actor.ID != c.user || got.Actor.Type != wantType || got.Data.Path == "/changed" {
			t.Errorf("%s: %+v", c.path, got)
		}
	}
	for _, bad := range []string{"", "sessions/{session}", "/{session", "/{}", "/a{b}", "/…/a", "/{rest...}/a"} {
		if _, err := ingest.NewMiddlewareThrough(ingest.MiddlewareOptions{Workspace: "ws", Routes: []string{bad}}, to.publish); err == nil {
			t.Errorf("%q is taken for a route", bad)
		}
	}
	if _, err := ingest.NewMiddlewareThrough(ingest.MiddlewareOptions{Workspace: "_system"}, to.publish); !errors.Is(err, ingest.ErrSubject) {
		t.Errorf("a workspace that is none: %v", err)
	}
	if _, err := ingest.NewMiddleware(ingest.MiddlewareOptions{Workspace: "ws"}); err == nil {
		t.Error("there is no publisher, and nobody says so")
	}
}

// TestMiddlewareBounds: a queue that is full drops and counts, and keeps no request; a
// path that is too long is cut.
func TestMiddlewareBounds(t *testing.T) {
	to := &caught{hold: make(chan struct{})}
	m := to.middleware(t, ingest.MiddlewareOptions{Queue: 4})
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const asked = 20
	long := "/" + strings.Repeat("x", 300<<10)
	for range asked { // with one at most in the hands of the publisher
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", long, nil))
	}
	dropped := m.Dropped()
	if dropped != asked-4 && dropped != asked-5 {
		t.Errorf("%d dropped", dropped)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed with requests in the queue: %v", err)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if m.Dropped() != dropped+1 {
		t.Error("what comes after the end is not counted")
	}
	mustCloseMiddleware(t, m)
	if n := m.Failed(); n != asked-dropped {
		t.Errorf("%d failed", n)
	}

	to = &caught{}
	m = to.middleware(t, ingest.MiddlewareOptions{User: func(*http.Request) string { return "u" }})
	m.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", long, nil))
	if got := to.one(t, m); len(got.Data.Path) > 9000 || !strings.HasSuffix(got.Data.Path, "…") {
		t.Errorf("a path of %d bytes", len(got.Data.Path))
	}

	to = &caught{refuse: ingest.ErrRefused}
	m = to.middleware(t, ingest.MiddlewareOptions{User: func(r *http.Request) string { return strings.Repeat("u", len(r.URL.Path)) }})
	answer := httptest.NewRecorder()
	m.Handler(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	m.Handler(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest("GET", long, nil))
	mustCloseMiddleware(t, m)
	if m.Failed() != 2 || answer.Code != http.StatusNotFound {
		t.Errorf("%d failed, answered %d", m.Failed(), answer.Code)
	}
}

// TestMiddlewareSeesAll has many requests at once, while it is closed.
func TestMiddlewareSeesAll(t *testing.T) {
	to := &caught{}
	m := to.middleware(t, ingest.MiddlewareOptions{Queue: 64})
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const each, many = 200, 8
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			for range each {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
		})
	}
	mustCloseMiddleware(t, m)
	all.Wait()
	if n := uint64(len(to.records)) + m.Dropped(); n != each*many {
		t.Errorf("%d of %d requests are accounted for", n, each*many)
	}
}

// TestMiddlewareThroughTheStream: what was answered before Close is in the stream
// after it.
func TestMiddlewareThroughTheStream(t *testing.T) {
	s := start(t)
	p, err := ingest.NewPublisher(s.producer, ingest.PublisherOptions{Separate: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ingest.NewMiddleware(ingest.MiddlewareOptions{Publisher: p, Workspace: "ws"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(m.Handler(http.NotFoundHandler()))
	for range 10 {
		res, err := server.Client().Get(server.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	server.Close()
	mustCloseMiddleware(t, m)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != 10 || m.Failed()+m.Dropped() > 0 {
		t.Errorf("%d messages, %d failed, %d dropped: %v", info.State.Msgs, m.Failed(), m.Dropped(), err)
	}
}

// What a writer of an answer can do besides, each for itself.
type (
	bareWriter struct{ http.ResponseWriter }
	flusher    struct{ flushed *int }
	hijacker   struct{ hijacked *int }
	pusher     struct{ pushed *int }
	sender     struct{ read *int }
)

func (f flusher) Flush()                                        { *f.flushed++ }
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { *h.hijacked++; return nil, nil, nil }
func (p pusher) Push(string, *http.PushOptions) error           { *p.pushed++; return errPushed }
func (r sender) ReadFrom(from io.Reader) (int64, error)         { *r.read++; return io.Copy(io.Discard, from) }

var errPushed = errors.New("pushed")

// TestMiddlewareIsNoLess gives the handler a writer that can do what the server's can,
// of whatever that is, and no more; and what it does gets there.
func TestMiddlewareIsNoLess(t *testing.T) {
	var n [4]int
	p := bareWriter{httptest.NewRecorder()}
	f, h, u, r := flusher{&n[0]}, hijacker{&n[1]}, pusher{&n[2]}, sender{&n[3]}
	writers := []http.ResponseWriter{
		p, struct {
			bareWriter
			flusher
		}{p, f}, struct {
			bareWriter
			hijacker
		}{p, h}, struct {
			bareWriter
			flusher
			hijacker
		}{p, f, h}, struct {
			bareWriter
			pusher
		}{p, u}, struct {
			bareWriter
			flusher
			pusher
		}{p, f, u}, struct {
			bareWriter
			hijacker
			pusher
		}{p, h, u}, struct {
			bareWriter
			flusher
			hijacker
			pusher
		}{p, f, h, u}, struct {
			bareWriter
			sender
		}{p, r}, struct {
			bareWriter
			flusher
			sender
		}{p, f, r}, struct {
			bareWriter
			hijacker
			sender
		}{p, h, r}, struct {
			bareWriter
			flusher
			hijacker
			sender
		}{p, f, h, r}, struct {
			bareWriter
			pusher
			sender
		}{p, u, r}, struct {
			bareWriter
			flusher
			pusher
			sender
		}{p, f, u, r}, struct {
			bareWriter
			hijacker
			pusher
			sender
		}{p, h, u, r}, struct {
			bareWriter
			flusher
			hijacker
			pusher
			sender
		}{p, f, h, u, r},
	}
	to := &caught{}
	m := to.middleware(t, ingest.MiddlewareOptions{})
	for bits, underlying := range writers {
		n = [4]int{}
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fl, is1 := w.(http.Flusher)
			hi, is2 := w.(http.Hijacker)
			pu, is3 := w.(http.Pusher)
			re, is4 := w.(io.ReaderFrom)
			if got := fmt.Sprint(is1, is2, is3, is4); got != fmt.Sprint(bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0) {
				t.Errorf("%04b: %s", bits, got)
			}
			if is1 {
				fl.Flush()
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			}
			if is2 {
				_, _, _ = hi.Hijack()
			}
			if is3 && pu.Push("/", nil) != errPushed {
				t.Error("what Push says is lost")
			}
			if is4 {
				_, _ = re.ReadFrom(strings.NewReader("x"))
			}
			if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); !ok || u.Unwrap() != underlying {
				t.Errorf("%04b: what is under it is not to be had", bits)
			}
		})).ServeHTTP(underlying, httptest.NewRequest("GET", "/", nil))
		if want := [4]int{2 * (bits & 1), bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1}; n != want {
			t.Errorf("%04b: %v got there, not %v", bits, n, want)
		}
	}
}
