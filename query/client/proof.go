package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
)

// Receipt fetches the receipt of an entry: a C2SP tlog-proof as text, to be kept
// and to be verified by annals/ledger/proof. Without payload it shows only what the
// payload was committed to with. The server waits a while for a checkpoint that
// covers the entry; then it refuses, as a [*Problem] with the code no_checkpoint.
func (c *Client) Receipt(ctx context.Context, workspace, ulid string, payload bool) ([]byte, error) {
	var q url.Values
	if !payload {
		q = url.Values{"payload": {"false"}}
	}
	a, err := c.Get(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/records/"+url.PathEscape(ulid)+"/proof", q, "")
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// Consistency fetches the proof (RFC 6962, 2.1.2) that the tree of to entries
// begins with that of from, hashes of 32 bytes; to 0 is the last checkpoint's size,
// which is returned.
func (c *Client) Consistency(ctx context.Context, from, to uint64) (hashes [][]byte, size uint64, err error) {
	q := url.Values{"from": {strconv.FormatUint(from, 10)}}
	if to > 0 {
		q.Set("to", strconv.FormatUint(to, 10))
	}
	a, err := c.Get(ctx, "/v1/consistency", q, "")
	if err != nil {
		return nil, 0, err
	}
	var answer struct {
		To     uint64   `json:"to"`
		Hashes [][]byte `json:"hashes"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return nil, 0, Foreign(err)
	}
	return answer.Hashes, answer.To, nil
}
