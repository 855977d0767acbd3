package client

import (
	"context"
	"net/http"

	"annals/query/client"

	"github.com/go-json-experiment/json"
)

// Indexes is how far a server's indexes are.
type Indexes struct {
	Size       uint64 `json:"size"`
	Generation uint64 `json:"generation"`
	Rebuilding *struct {
		Size uint64 `json:"size"`
		Of   uint64 `json:"of"`
	} `json:"rebuilding"`
	Rebuilt *struct {
		Entries uint64  `json:"entries"`
		Seconds float64 `json:"seconds"`
		Error   string  `json:"error"`
	} `json:"rebuilt"`
}

// Indexes asks how far the indexes are.
func (c *Client) Indexes(ctx context.Context) (*Indexes, error) {
	a, err := c.Get(ctx, "/v1/ledger", nil, "")
	if err != nil {
		return nil, err
	}
	var l struct {
		Indexes Indexes `json:"indexes"`
	}
	if err := json.Unmarshal(a.Body, &l); err != nil {
		return nil, client.Foreign(err)
	}
	return &l.Indexes, nil
}

// Rebuild lets the server begin to rebuild its indexes, and returns how far they
// are.
func (c *Client) Rebuild(ctx context.Context) (*Indexes, error) {
	a, err := c.Do(ctx, http.MethodPost, "/v1/indexes/rebuild", nil)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusAccepted {
		return nil, a.Problem()
	}
	begun := new(Indexes)
	if err := json.Unmarshal(a.Body, begun); err != nil {
		return nil, client.Foreign(err)
	}
	return begun, nil
}
