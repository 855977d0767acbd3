package client

import (
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Problem is a refusal of the server (RFC 9457). It is an error; programs branch
// on Code, whose meanings the server's /docs has.
type Problem struct {
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code"`
	RequestID string         `json:"request_id"`
	Errors    []Place        `json:"errors"`
	Rest      jsontext.Value `json:",embed"` // an object of the other members
}

// Place is one place that is wrong in what was sent.
type Place struct {
	Pointer   string `json:"pointer"`   // into the body (RFC 6901)
	Parameter string `json:"parameter"` // or of the path, the query or the headers
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("the server says: %s (%s)", p.Detail, p.Code)
}

// Problem is the answer as an error: a [*Problem] when the server refused, else
// that it failed (5xx) or is no server of annals.
func (a *Answer) Problem() error {
	p := new(Problem)
	if err := json.Unmarshal(a.Body, p); err != nil || p.Code == "" {
		if a.Status >= http.StatusInternalServerError {
			return fmt.Errorf("the server, or what stands in front of it, answered %d %s and said no more: try again, and look at its log", a.Status, http.StatusText(a.Status))
		}
		return Foreign(fmt.Errorf("status %d", a.Status))
	}
	p.Status = a.Status
	return p
}

// Foreign is the error that says of an answer that it can't be read, and why.
func Foreign(err error) error {
	return fmt.Errorf("what answered is not a server of annals, or of another version: %w", err)
}
