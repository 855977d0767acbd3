package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"annals/activity"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json/jsontext"
)

// The types of the records that a [Middleware] makes.
const (
	TypeRequest       = "api_request"
	TypeRequestFailed = "api_request_failed" // answered with a 4xx
	TypeServerError   = "server_error"       // answered with a 5xx, or the handler panicked
)

// MiddlewareOptions are the choices of a [Middleware]. Publisher and Workspace are
// required.
type MiddlewareOptions struct {
	// Publisher takes the records. It stays the caller's: close it after the
	// middleware.
	Publisher *Publisher
	// Workspace is where they are recorded.
	Workspace string

	// Routes are patterns of paths, such as /sessions/{session}/steps and
	// /projects/{project}/…: what stands in the place of {session} and {project} is the
	// record's session and project. Any other name in braces matches one segment; a last
	// segment of … or {name...} matches the rest of the path, be it empty. The first
	// pattern that matches counts.
	Routes []string

	// User says who made a request, once it is answered; "" is anonymous. nil: everybody
	// is. It runs in the request's own goroutine, and must not keep it.
	User func(*http.Request) string

	// Queue bounds the requests that are answered and not yet published. One that finds
	// it full is dropped, and counted. Default 8,192.
	Queue int

	Logger *slog.Logger // nil discards
}

// Middleware records each request that a handler answers, without changing the
// answer: what the handler writes, streams, flushes or takes over passes as it would
// without. A record has the type [TypeRequest], [TypeRequestFailed] or
// [TypeServerError], and in its data method, path, status_code and duration_ms, as
// the activity-tracking backend names them. The path is without its query, which may
// hold what is secret.
//
// A request waits for nothing: what is recorded of it is put into a queue, and
// published by a goroutine. A request that finds the queue full is not recorded, and
// [Middleware.Dropped] counts it. What fails is logged, and answered nobody.
type Middleware struct {
	o       MiddlewareOptions
	routes  []route
	publish publish

	queue   chan exchange
	taken   chan flown
	ended   chan struct{} // closed once all that was queued is acknowledged or has failed
	dropped atomic.Uint64
	failed  atomic.Uint64

	mu     sync.RWMutex // who sends into queue holds it for reading
	closed bool
	alive  context.Context // ends when Close gives up
	giveUp context.CancelFunc
}

// publish hands a record to the stream, and returns how to wait for its
// acknowledgement.
type publish func(ctx context.Context, record []byte) (wait func(context.Context) (Ack, error), err error)

// flown is a record that the publisher has taken.
type flown struct {
	x    exchange
	wait func(context.Context) (Ack, error)
}

// exchange is what is known of a request and its answer.
type exchange struct {
	began  time.Time
	took   time.Duration
	method string
	path   string
	user   string
	remote string
	status int

	panicked bool // the handler did not return
}

// NewMiddleware starts a middleware. Close it, before its publisher, to have what it
// holds published.
func NewMiddleware(o MiddlewareOptions) (*Middleware, error) {
	if o.Publisher == nil {
		return nil, errors.New("ingest: a middleware publishes through MiddlewareOptions.Publisher, which is nil")
	}
	return newMiddleware(o, func(ctx context.Context, record []byte) (func(context.Context) (Ack, error), error) {
		pending, err := o.Publisher.PublishAsync(ctx, o.Workspace, chain.OwnType, record)
		if err != nil {
			return nil, err
		}
		return pending.Wait, nil
	})
}

func newMiddleware(o MiddlewareOptions, p publish) (*Middleware, error) {
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if !activity.ValidWorkspace(o.Workspace) {
		return nil, fmt.Errorf("%w: %q", ErrSubject, o.Workspace)
	}
	m := &Middleware{
		o: o, publish: p,
		queue: make(chan exchange, o.Queue), taken: make(chan flown, 1024), ended: make(chan struct{}),
	}
	for _, pattern := range o.Routes {
		r, err := parseRoute(pattern)
		if err != nil {
			return nil, err
		}
		m.routes = append(m.routes, r)
	}
	m.alive, m.giveUp = context.WithCancel(context.Background())
	go m.send()
	go m.settle()
	return m, nil
}

// Dropped counts the requests that were not recorded because the queue was full, or
// the middleware closed.
func (m *Middleware) Dropped() uint64 { return m.dropped.Load() }

// Failed counts the records that the stream did not take.
func (m *Middleware) Failed() uint64 { return m.failed.Load() }

// Handler returns a handler that answers as next does, and records that it did. A
// panic is recorded and goes on as it came, [http.ErrAbortHandler] too.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What the handler may change is read before.
		x := exchange{began: time.Now(), method: r.Method, path: r.URL.Path, remote: r.RemoteAddr, panicked: true}
		watched, writer := watch(w)
		defer func() { // which catches nothing: the stack stays where it is
			x.took = time.Since(x.began)
			x.status = watched.status()
			if x.panicked && !watched.wrote() {
				x.status = http.StatusInternalServerError
			}
			if m.o.User != nil {
				x.user = m.o.User(r)
			}
			m.put(x)
		}()
		next.ServeHTTP(writer, r)
		x.panicked = false
	})
}

// put queues what is known of a request, or drops it.
func (m *Middleware) put(x exchange) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.closed {
		select {
		case m.queue <- x:
			return
		default:
		}
	}
	if n := m.dropped.Add(1); n&(n-1) == 0 { // the first, and then ever less often
		m.o.Logger.Warn("requests are not recorded: the queue is full, or closed", "dropped", n)
	}
}

// Close takes no more requests, and returns once what it holds is acknowledged, or
// has failed, or ctx ends, which is an error.
func (m *Middleware) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.queue)
	}
	m.mu.Unlock()
	defer m.giveUp()
	select {
	case <-m.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ingest: the middleware was closed before all it held was acknowledged: %w", context.Cause(ctx))
	}
}

// send publishes what is queued, in order.
func (m *Middleware) send() {
	defer close(m.taken)
	var buf []byte
	for x := range m.queue {
		var err error
		if buf, err = m.append(buf[:0], &x); err != nil {
			m.fail(&x, err)
			continue
		}
		wait, err := m.publish(m.alive, buf)
		if err != nil {
			m.fail(&x, err)
			continue
		}
		m.taken <- flown{x, wait}
	}
}

// settle waits for the acknowledgements.
func (m *Middleware) settle() {
	defer close(m.ended)
	for f := range m.taken {
		if _, err := f.wait(m.alive); err != nil {
			m.fail(&f.x, err)
		}
	}
}

func (m *Middleware) fail(x *exchange, err error) {
	m.failed.Add(1)
	m.o.Logger.Error("a request was not recorded", "method", x.method, "path", x.path, "status", x.status, "error", err)
}

// maxPath bounds what a record keeps of a path, in bytes; a longer one ends in an
// ellipsis.
const maxPath = 8 << 10

// append appends the record of a request.
func (m *Middleware) append(dst []byte, x *exchange) ([]byte, error) {
	if len(x.user) > activity.MaxID {
		return dst, fmt.Errorf("a user's id has at most %d bytes, this one has %d", activity.MaxID, len(x.user))
	}
	typ := TypeRequest
	switch {
	case x.panicked || x.status >= http.StatusInternalServerError:
		typ = TypeServerError
	case x.status >= http.StatusBadRequest:
		typ = TypeRequestFailed
	}
	session, project := m.named(x.path)
	path := x.path
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typ...)
	dst = append(dst, `","occurred_at":"`...)
	dst = x.began.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","actor":{"type":`...)
	if x.user == "" {
		dst = append(dst, `"anonymous"`...)
	} else {
		dst = appendText(append(dst, `"user","id":`...), x.user)
	}
	dst = append(dst, '}')
	host, _, err := net.SplitHostPort(x.remote)
	if err != nil {
		host = x.remote
	}
	if host != "" || session != "" {
		dst = append(dst, `,"context":{"ip":`...)
		dst = appendText(dst, host)
		if session != "" {
			dst = appendText(append(dst, `,"session_id":`...), session)
		}
		dst = append(dst, '}')
	}
	if project != "" {
		dst = appendText(append(dst, `,"dimensions":{"project":`...), project)
		dst = append(dst, '}')
	}
	dst = appendText(append(dst, `,"data":{"method":`...), x.method)
	dst = appendText(append(dst, `,"path":`...), path)
	dst = append(dst, `,"status_code":`...)
	dst = strconv.AppendInt(dst, int64(x.status), 10)
	dst = append(dst, `,"duration_ms":`...)
	dst = strconv.AppendFloat(dst, float64(x.took.Microseconds())/1000, 'f', -1, 64)
	if x.panicked {
		dst = append(dst, `,"metadata":{"panicked":true}`...)
	}
	return append(dst, "}}"...), nil
}

// appendText appends a JSON string; what of it is not UTF-8 becomes U+FFFD.
func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// maxNamed bounds what of a path may be a session or a project, in bytes.
const maxNamed = 512

// named says which session and project a path names, by the first route that it is one
// of.
func (m *Middleware) named(path string) (session, project string) {
	for i := range m.routes {
		if session, project, ok := m.routes[i].match(path); ok {
			if len(session) > maxNamed {
				session = ""
			}
			if len(project) > maxNamed {
				project = ""
			}
			return session, project
		}
	}
	return "", ""
}
