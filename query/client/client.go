// Package client reads a server of annals over HTTP: timelines with any filter,
// one record, counts.
//
// The rule it exists for: the filters of HTTP, of the command line and of Go are
// the same ones, under the same names, and what the server says is passed on as
// it was said. A refusal becomes a [Problem] with the server's own words, and
// records stay the bytes that came. It imports nothing else of this repository.
package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Options of a client.
type Options struct {
	// HTTP asks; nil: a client that gives a request two minutes and lets itself be sent
	// on within the server's host alone.
	HTTP *http.Client
	// Token is sent with each request to the server, and to no other that it may
	// redirect to (RFC 6750, 2.1). "": none is.
	Token string
}

// Client asks one server. It may be used by many goroutines.
type Client struct {
	base  string
	shown string // base without the password that may be in it
	token string
	http  *http.Client
}

// New returns a client of the server at a URL, such as http://127.0.0.1:8080. It
// doesn't ask it anything yet.
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no URL of a server; one looks like http://127.0.0.1:8080", base)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 2 * time.Minute, CheckRedirect: stay}
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has a character that no token has, such as white space: give it alone") // and quote nothing of it
	}
	return &Client{base: strings.TrimRight(base, "/"), shown: strings.TrimRight(u.Redacted(), "/"), token: o.Token, http: o.HTTP}, nil
}

// URL is where the server is, as it may be shown: a password is replaced.
func (c *Client) URL() string { return c.shown }

// authorize adds the token to a request.
func (c *Client) authorize(r *http.Request) {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// stay follows redirects within a host, and never to a weaker scheme: what a reader
// asks one server for is no business of another's.
func stay(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme && req.URL.Scheme != "https" || len(via) > 5 {
		return fmt.Errorf("it sends its visitors to %s; if that is where it is now, give that URL", req.URL.Redacted())
	}
	return nil
}

// maxAnswer bounds an answer: a page has at most some MiB.
const maxAnswer = 64 << 20

// Answer is what a server answered, whatever it was.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request of the API that has no method here. The path is below the
// server's URL, and encoded; header is name and value in turn. An error says
// that no answer came; what the answer says is for the caller, or for
// [Answer.Problem].
func (c *Client) Do(ctx context.Context, method, path string, body []byte, header ...string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.authorize(req)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the server at %s broke its answer off: %w", c.shown, err)
	}
	return &Answer{res.StatusCode, res.Header, got}, nil
}

// ErrNotModified says that the answer at hand still holds: the one with the
// validator that was given as Known.
var ErrNotModified = errors.New("not modified: the answer at hand still holds")

// Get asks for something that has no method here, and returns it unless it is
// known by its ETag ("": it isn't): then the error is [ErrNotModified]. A refusal is
// a [Problem].
func (c *Client) Get(ctx context.Context, path string, query url.Values, known string) (*Answer, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var header []string
	if known != "" {
		header = []string{"If-None-Match", known}
	}
	a, err := c.Do(ctx, http.MethodGet, path, nil, header...)
	switch {
	case err != nil:
		return nil, err
	case a.Status == http.StatusNotModified:
		return nil, ErrNotModified
	case a.Status != http.StatusOK:
		return nil, a.Problem()
	}
	return a, nil
}

// unreached says what to do when nobody answers.
func (c *Client) unreached(err error) error {
	var op *net.OpError
	unsent := errors.As(err, &op) && op.Op == "dial"
	var unsigned x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unsigned):
		return fmt.Errorf("nobody whom this system trusts has signed the certificate of %s: say who has (annals: --ca-file), if it is to be believed: %w", c.shown, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return &UnreachedError{fmt.Sprintf("no server answers at %s: start one with `annals serve`, or use another URL", c.shown), unsent, err}
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &UnreachedError{fmt.Sprintf("the server at %s can't be reached: %v", c.shown, err), unsent, err}
	}
	return fmt.Errorf("the server at %s: %w", c.shown, err)
}

// UnreachedError says that no answer came. Whatever was asked may have been done,
// unless it is Unsent: then there was not even a connection to ask it on.
type UnreachedError struct {
	text   string
	Unsent bool
	err    error
}

// Unreached makes an error of another way to a server than HTTP.
func Unreached(text string, unsent bool, err error) *UnreachedError {
	return &UnreachedError{text, unsent, err}
}

func (e *UnreachedError) Error() string { return e.text }
func (e *UnreachedError) Unwrap() error { return e.err }
