package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"annals/query/client"
)

// Amend records an amendment of the record that a ULID names, and returns what became
// of it once it is in the ledger.
func (c *Client) Amend(ctx context.Context, workspace, ulid string, body []byte) (Outcome, error) {
	path := "/v1/workspaces/" + url.PathEscape(workspace) + "/records/" + url.PathEscape(ulid) + "/amendments?wait=recorded"
	told, err := Done[items](ctx, c, http.MethodPost, path, body, http.StatusOK)
	if err != nil {
		return Outcome{}, err
	}
	if len(told.Items) != 1 {
		return Outcome{}, client.Foreign(errors.New("it did not answer for one record"))
	}
	return told.Items[0], nil
}
