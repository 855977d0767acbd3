// Package control hands signed control statements to a running server, and reads
// what they have to say: the ledger's id, the next number, the head.
//
// The rule it exists for: the private key stays where the statement is signed. The
// server gets the sealed message, which authenticates itself by its signatures, and
// puts it into the stream, where every replica folds it.
package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"annals/cmd/annals/internal/client"
	"annals/ledger/chain"
	query "annals/query/client"

	"github.com/go-json-experiment/json"
)

// Path is where a server takes sealed control messages.
const Path = "/v1/control"

// Standing is where a ledger stands, as its server says: what a statement that is
// signed now has to name. Nothing of it is proven; the fold checks what is signed.
type Standing struct {
	Ledger chain.Hash `json:"id"`
	Origin string     `json:"origin"` // the ledger's name
	Stream string     `json:"stream"`
	Size   uint64     `json:"size"` // durable entries
	Root   chain.Hash `json:"root"` // RFC 6962 tree hash over them
	// Control is the number that the next control statement has to have. At a hole it
	// counts what stands in the stream behind the hole already.
	Control  uint64 `json:"control"`
	Fold     uint16 `json:"fold_version"` // of the fold, for the next message
	Epoch    uint32 `json:"epoch"`
	Sequence uint64 `json:"sequence"` // of the last message folded
	State    string `json:"state"`    // recording, waiting or stopped
	Error    string `json:"error"`    // why it isn't recording
	Hole     *Hole  `json:"hole"`     // nil: the server knows of none
	Erasing  int    `json:"erasing"`  // erasures whose bytes are still being removed
	Salting  int    `json:"salting"`  // seeds that salted what is erased and stay until the stream is trimmed
}

// Hole is a range of stream sequences, both ends missing, that nothing in the
// ledger admits yet.
type Hole struct {
	Epoch  uint32     `json:"epoch"`
	First  uint64     `json:"first"`
	Last   uint64     `json:"last"`
	Size   uint64     `json:"size"` // entries before it
	Root   chain.Hash `json:"root"` // over them
	Folded bool       `json:"folded"`
}

// Look asks a server where its ledger stands.
func Look(ctx context.Context, c *client.Client) (*Standing, error) {
	return ask[Standing](ctx, c.Client, "/v1/ledger", nil)
}

// ask asks a server a question whose answer is a T.
func ask[T any](ctx context.Context, c *query.Client, path string, question url.Values) (*T, error) {
	a, err := c.Get(ctx, path, question, "")
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(a.Body, out); err != nil {
		return nil, query.Foreign(err)
	}
	return out, nil
}

// What became of a submitted message.
const (
	Recorded = "recorded" // it is a control entry now
	Accepted = "accepted" // it is in the stream, and not folded yet
	Rejected = "rejected" // it is in the stream, and the fold let it in as a rejection only
)

// Answer says what became of a submitted message.
type Answer struct {
	Status   string  `json:"status"`   // [Recorded], [Accepted] or [Rejected]
	Sequence uint64  `json:"sequence"` // in the stream
	Index    *uint64 `json:"index"`    // of its entry; nil while it is only accepted
	ULID     string  `json:"ulid"`     // of its entry
	Code     string  `json:"code"`     // why it was rejected (docs/format/rejections.md)
}

// Submit publishes a sealed control message (chain.SealControl and those like it)
// through a server. A *[client.Problem] says why it was refused: with
// code control_raced another control message came first, so [Look] again, sign anew
// and submit that. With a *[client.UnreachedError] it may have been published.
func Submit(ctx context.Context, c *client.Client, body []byte) (Answer, error) {
	a, err := c.Do(ctx, http.MethodPost, Path, body, "Content-Type", "application/octet-stream")
	if err != nil {
		return Answer{}, err
	}
	if a.Status != http.StatusOK {
		return Answer{}, a.Problem()
	}
	var out Answer
	if err := json.Unmarshal(a.Body, &out); err != nil {
		return out, query.Foreign(err)
	}
	if out.Status == Rejected {
		return out, fmt.Errorf("the ledger rejected the statement: %s; it stands in the stream at %d and has no effect", out.Code, out.Sequence)
	}
	return out, nil
}
