package client

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// What an auditor asks for is passed on as it came: whoever verifies it reads the
// bytes that were served (annals/ledger/proof).

// Keys asks for the history of the ledger's keys, as docs/format/keys.md has it.
func (c *Client) Keys(ctx context.Context) ([]byte, error) { return c.body(ctx, "/keys", nil) }

// Checkpoint asks for the last signed checkpoint (C2SP tlog-checkpoint).
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.body(ctx, "/checkpoint", nil)
}

// Head asks for the signed end of a workspace's chain, as
// docs/format/workspace-head.md has it.
func (c *Client) Head(ctx context.Context, workspace string) ([]byte, error) {
	return c.body(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/head", nil)
}

// Erasures asks for the control entries that erased something of a workspace, with
// their inclusion proofs in the tree of a size: a JSON object a line, as it was served.
// Of size 0 all that the server has, without proofs.
func (c *Client) Erasures(ctx context.Context, workspace string, size uint64) ([]byte, error) {
	q := url.Values{}
	if size > 0 {
		q.Set("proofs", strconv.FormatUint(size, 10))
	}
	return c.body(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/erasures", q)
}

func (c *Client) body(ctx context.Context, path string, query url.Values) ([]byte, error) {
	a, err := c.Get(ctx, path, query, "")
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// Range says which of a workspace's entries are meant, and what is to come with
// them.
type Range struct {
	From, To uint64 // positions in the workspace's chain, To not included
	Payloads bool   // what was published
	Proofs   uint64 // inclusion proofs in the tree of this size; 0: none
}

// Entries iterates a workspace's entries in the order of its chain, of every kind:
// each as the JSON object that was served. It ends early where the server has no
// more; an error ends it too.
func (c *Client) Entries(ctx context.Context, workspace string, r Range) iter.Seq2[jsontext.Value, error] {
	return func(yield func(jsontext.Value, error) bool) {
		for from := r.From; from < r.To; {
			q := url.Values{"from": {strconv.FormatUint(from, 10)}, "limit": {strconv.FormatUint(min(r.To-from, MaxLimit), 10)}}
			if r.Payloads {
				q.Set("with", "payloads")
			}
			if r.Proofs > 0 {
				q.Set("proofs", strconv.FormatUint(r.Proofs, 10))
			}
			body, err := c.body(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/entries", q)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(body) == 0 {
				return
			}
			for line := range bytes.Lines(body) {
				line, whole := bytes.CutSuffix(line, []byte("\n"))
				if !whole || from == r.To {
					yield(nil, Foreign(fmt.Errorf("the entries from position %d on break off, or are more than were asked for", r.From)))
					return
				}
				from++
				if !yield(line, nil) {
					return
				}
			}
		}
	}
}
