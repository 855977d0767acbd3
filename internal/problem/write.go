package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

type requestIDKey struct{}

// WithRequestID returns a context that names the request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request's name, "" when it has none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// Of any error, the problem: itself when it is one; else [Internal], which tells
// the outside nothing of the cause.
func of(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return New(Internal, "").From(err)
}

// Write answers a request with the problem that err is, or with an internal one.
// It returns the status.
func Write(w http.ResponseWriter, r *http.Request, err error) int {
	p := *of(err)
	p.RequestID = RequestID(r.Context())
	p.Instance = r.URL.EscapedPath()
	body, failed := json.Marshal(&p, json.Deterministic(true))
	if failed != nil { // Items that can't be printed
		p.Items = nil
		body, _ = json.Marshal(&p)
	}
	h := w.Header()
	for name, values := range p.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", MediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client is gone: nobody to tell
	return p.Status
}
