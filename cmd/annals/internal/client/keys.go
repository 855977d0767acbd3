package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// Key is an API key, as far as others than its holder know it.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Subject    string    `json:"subject"`
	OnBehalf   bool      `json:"on_behalf"`
	Scopes     []string  `json:"scopes"`
	Workspaces []string  `json:"workspaces"`
	State      string    `json:"state"`
	Expires    time.Time `json:"expires"`
	LastUsed   time.Time `json:"last_used"`
}

// KeyRequest is what a new key is to be.
type KeyRequest struct {
	Name       string   `json:"name"`
	Subject    string   `json:"subject,omitzero"`
	OnBehalf   bool     `json:"on_behalf,omitzero"`
	Scopes     []string `json:"scopes"`
	Workspaces []string `json:"workspaces"`
	ExpiresIn  int64    `json:"expires_in,omitzero"` // seconds
}

// Minted is a new key.
type Minted struct {
	Key   Key    `json:"key"`
	Token string `json:"token"`
}

const keysPath = "/v1/access/keys"

// MintKey has the server make an API key.
func (c *Client) MintKey(ctx context.Context, q *KeyRequest) (*Minted, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	return Done[Minted](ctx, c, http.MethodPost, keysPath, body, http.StatusCreated)
}

// Keys asks for the API keys that the token administers.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	list, err := Done[struct {
		Keys []Key `json:"keys"`
	}](ctx, c, http.MethodGet, keysPath, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return list.Keys, nil
}

// RevokeKey ends an API key.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	a, err := c.Do(ctx, http.MethodDelete, keysPath+"/"+url.PathEscape(id), nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return a.Problem()
	}
	return nil
}
