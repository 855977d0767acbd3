package problem

import (
	"fmt"
	"net/http"
	"strconv"
)

// MediaType is what problem details are served as (RFC 9457, 3).
const MediaType = "application/problem+json"

// DocsPath is the page that describes every code; a problem's type points there.
const DocsPath = "/docs"

// Problem is one refusal, as RFC 9457 writes it, with members of our own: code,
// request_id, errors and items. It is an error.
type Problem struct {
	Type      string `json:"type" doc:"Where this code is described: a reference relative to the server."`
	Title     string `json:"title" doc:"The same for every problem of this code."`
	Status    int    `json:"status" doc:"The HTTP status."`
	Detail    string `json:"detail" doc:"What is wrong this time, and what to do."`
	Instance  string `json:"instance,omitzero" doc:"The path that was asked for, as it was encoded."`
	Code      Code   `json:"code" doc:"The name of what went wrong; programs branch on it."`
	RequestID string `json:"request_id,omitzero" doc:"Names the request in the server's log; also in X-Request-Id."`
	Message   string `json:"message,omitzero" doc:"The detail again, where a published system's clients look for it."`
	Errors    []Part `json:"errors,omitzero" doc:"The places that are wrong."`
	Items     any    `json:"items,omitzero" doc:"What became of each record of a request that failed half way, as in the answer to one that did not."`

	cause  error
	header http.Header
}

// Part is one place that is wrong.
type Part struct {
	Pointer   *string `json:"pointer,omitzero" nullable:"false" doc:"RFC 6901 JSON pointer into the body; of a batch, its first part is the record's place, from 0. An empty string is the whole body."`
	Parameter string  `json:"parameter,omitzero" doc:"The parameter of the path, the query or the headers."`
	Code      Code    `json:"code,omitzero" doc:"What is wrong there."`
	Detail    string  `json:"detail" doc:"What is wrong there, and what to do."`
}

// At is a part that points into the body: an RFC 6901 JSON pointer.
func At(pointer string, code Code, detail string) Part {
	return Part{Pointer: &pointer, Code: code, Detail: detail}
}

// Of is a part about a parameter of the path, the query or the headers.
func Of(parameter string, code Code, detail string) Part {
	return Part{Parameter: parameter, Code: code, Detail: detail}
}

// New returns a problem. Without a format its detail is the code's advice. A
// code without a row becomes [Internal]: better a vague answer than a wrong
// status.
func New(code Code, format string, args ...any) *Problem {
	row, ok := table[code]
	if !ok {
		code, row = Internal, table[Internal]
	}
	detail := row.Advice
	if format != "" {
		detail = fmt.Sprintf(format, args...)
	}
	return &Problem{Type: DocsPath + "#" + string(code), Title: row.Title, Status: row.Status, Detail: detail, Code: code}
}

// Parameter returns an [InvalidParameter] problem about one parameter. why says
// what is wrong with it and what to do.
func Parameter(name string, code Code, why string) *Problem {
	p := New(InvalidParameter, "%s: %s", name, why)
	return p.With(Of(name, code, why))
}

// With adds parts.
func (p *Problem) With(parts ...Part) *Problem {
	p.Errors = append(p.Errors, parts...)
	return p
}

// From keeps what caused the problem, for the log and for errors.Is; it is never
// served.
func (p *Problem) From(err error) *Problem {
	p.cause = err
	return p
}

// WithHeader adds a header to the answer.
func (p *Problem) WithHeader(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// Error returns "code: detail", with what caused it.
func (p *Problem) Error() string {
	if p.cause != nil {
		return string(p.Code) + ": " + p.Detail + ": " + p.cause.Error()
	}
	return string(p.Code) + ": " + p.Detail
}

// Unwrap returns what caused the problem.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus is what huma asks an error for.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is what huma asks a body for: problems have a media type of their
// own.
func (p *Problem) ContentType(string) string { return MediaType }

// GetHeaders is what huma asks an error for: Retry-After, where trying again
// helps (RFC 9110, 10.2.3), and what was added.
func (p *Problem) GetHeaders() http.Header {
	h := p.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if s := table[p.Code].Retry; s > 0 && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	return h
}
