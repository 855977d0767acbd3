package query

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"annals/internal/problem"

	"github.com/oklog/ulid/v2"
)

// guard is what every request passes before it is routed, and what becomes of it
// afterwards: its name, its bounds, a panic caught, the log, the metrics.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := requestID(r.Header.Get("X-Request-Id"))
		r = r.WithContext(problem.WithRequestID(r.Context(), id))
		h := w.Header()
		h.Set("X-Request-Id", id)
		secure(h, r)
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, a.o.Bounds.BodyBytes)
		}
		over := follow(r)
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				a.recovered(sw, r, v)
			}
			over.asked() // with its body
			a.done(sw, r, time.Since(start))
		}()
		if err := a.o.Access.CheckURL(r); err != nil {
			// It is nowhere to be seen: in no log, and not in the answer.
			r.URL = &url.URL{Path: "/"}
			a.stray(sw, r, err)
			return
		}
		if a.cors(sw, r) {
			return
		}
		next.ServeHTTP(sw, r)
	})
}

// requestID takes the caller's name for a request when it is sane: short, and
// nothing that could break a log or a header.
func requestID(given string) string {
	sane := len(given) > 0 && len(given) <= 128 && strings.IndexFunc(given, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.:/+=@", r))
	}) < 0
	if sane {
		return given
	}
	return ulid.MustNew(ulid.Now(), rand.Reader).String()
}

// recovered answers for a handler that panicked, if it hadn't begun to.
func (a *API) recovered(w *statusWriter, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	a.o.Logger.Error("panic", "request_id", problem.RequestID(r.Context()), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if w.status == 0 {
		problem.Write(w, r, problem.New(problem.Internal, ""))
	}
}

// refuse answers with a problem, and tells the log what the client isn't told.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		return // the client has gone
	}
	if status := problem.Write(w, r, err); status >= http.StatusInternalServerError {
		a.o.Logger.Error("request failed", "request_id", problem.RequestID(r.Context()), "path", r.URL.EscapedPath(), "error", err.Error())
	}
}

// done counts a request and logs it. Probes and tiles are logged for debugging only.
func (a *API) done(w *statusWriter, r *http.Request, took time.Duration) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	a.metrics.observe(r, status, took)
	level := slog.LevelInfo
	switch {
	case strings.HasPrefix(r.URL.Path, "/tile/"): // an audit asks for thousands
		level = slog.LevelDebug
	case r.URL.Path == "/healthz", r.URL.Path == "/readyz", r.URL.Path == "/metrics":
		level = slog.LevelDebug
	}
	if !a.o.Logger.Enabled(r.Context(), level) {
		return
	}
	a.o.Logger.LogAttrs(r.Context(), level, "request",
		slog.String("request_id", problem.RequestID(r.Context())),
		slog.String("method", r.Method),
		slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", status),
		slog.Int64("bytes", w.bytes),
		slog.Duration("took", took),
		slog.String("remote", r.RemoteAddr),
	)
}

// route hands a request to the mux, and answers with a problem what the mux would
// answer in plain text.
func (a *API) route(w http.ResponseWriter, r *http.Request) {
	// The mux would redirect an unclean path to another one; an id that was not
	// percent-encoded must not silently become another question.
	clean := unslashed(r)
	if p := clean.URL.EscapedPath(); p != "/" && path.Clean(p) != p {
		a.stray(w, r, problem.New(problem.NoSuchPath, "the path has an empty, . or .. segment, or ends in /; percent-encode ids: / is %%2F, . is %%2E"))
		return
	}
	routed := routable(clean)
	h, pattern := a.mux.Handler(routed)
	if pattern != "" {
		r.Pattern = pattern // for the metrics, also where routed is a copy
		a.mux.ServeHTTP(w, routed)
		return
	}
	var probe probe
	h.ServeHTTP(&probe, clean)
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.Header().Get("Allow")
		w.Header().Set("Allow", allow)
		a.stray(w, r, problem.New(problem.MethodNotAllowed, "%s is not allowed here; use %s", r.Method, allow))
		return
	}
	a.stray(w, r, problem.New(problem.NoSuchPath, ""))
}

// stray refuses a request for what is not there, before anybody has looked at whose it is:
// an address has so many of those, as it has of bad tokens.
func (a *API) stray(w http.ResponseWriter, r *http.Request, err error) {
	if beyond := a.o.Access.Stranger(r); beyond != nil {
		err = beyond
	}
	a.refuse(w, r, err)
}

// probe sees what the mux would answer.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// statusWriter remembers how a request was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
