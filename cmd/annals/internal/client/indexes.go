package client

import (
	"context"
	"net/http"
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
	l, err := Done[struct {
		Indexes Indexes `json:"indexes"`
	}](ctx, c, http.MethodGet, "/v1/ledger", nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return &l.Indexes, nil
}

// Rebuild lets the server begin to rebuild its indexes, and returns how far they
// are.
func (c *Client) Rebuild(ctx context.Context) (*Indexes, error) {
	return Done[Indexes](ctx, c, http.MethodPost, "/v1/indexes/rebuild", nil, http.StatusAccepted)
}
