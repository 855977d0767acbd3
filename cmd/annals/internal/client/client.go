// Package client is a running server as the commands see it: over HTTP, by its
// published API and nothing else. What readers need is in annals/query/client;
// here is the rest: recording, whether the server works, its indexes.
//
// The rule it exists for: what the server says is passed on as it was said. A
// refusal becomes an error with the server's own words; records stay the bytes
// that came.
package client

import (
	"context"

	"annals/query/client"

	"github.com/go-json-experiment/json"
)

// What readers and commands share.
type (
	Item           = client.Item
	Page           = client.Page
	Problem        = client.Problem
	UnreachedError = client.UnreachedError
	Options        = client.Options
)

// Client asks one server.
type Client struct{ *client.Client }

// New returns a client of the server at a URL, such as http://127.0.0.1:8080.
func New(base string, o Options) (*Client, error) {
	c, err := client.New(base, o)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Done asks for something to be done, with a body of JSON or none, and reads the answer
// of the status that says it was. Any other is the server's refusal, a [Problem].
func Done[T any](ctx context.Context, c *Client, method, path string, body []byte, status int) (*T, error) {
	var header []string
	if body != nil {
		header = []string{"Content-Type", "application/json"}
	}
	a, err := c.Do(ctx, method, path, body, header...)
	switch {
	case err != nil:
		return nil, err
	case a.Status != status:
		return nil, a.Problem()
	}
	out := new(T)
	if err := json.Unmarshal(a.Body, out); err != nil {
		return nil, client.Foreign(err)
	}
	return out, nil
}

// Ready returns nil when the server reads and records.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.Get(ctx, "/readyz", nil, "")
	return err
}
