package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"annals/query/client"

	"github.com/go-json-experiment/json"
)

// Amend records an amendment of the record that a ULID names, and returns what became
// of it once it is in the ledger.
func (c *Client) Amend(ctx context.Context, workspace, ulid string, body []byte) (Outcome, error) {
	path := "/v1/workspaces/" + url.PathEscape(workspace) + "/records/" + url.PathEscape(ulid) + "/amendments?wait=recorded"
	a, err := c.Do(ctx, http.MethodPost, path, body, "Content-Type", "application/json")
	if err != nil {
		return Outcome{}, err
	}
	if a.Status != http.StatusOK {
		return Outcome{}, a.Problem()
	}
	var told struct {
		Items []Outcome `json:"items"`
	}
	if err := json.Unmarshal(a.Body, &told); err != nil {
		return Outcome{}, client.Foreign(err)
	}
	if len(told.Items) != 1 {
		return Outcome{}, client.Foreign(errors.New("it did not answer for one record"))
	}
	return told.Items[0], nil
}
