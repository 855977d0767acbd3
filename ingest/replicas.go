package ingest

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"annals/ledger/chain"
)

// Replicas of one ledger tell each other how far they have durably folded, in a
// small stream beside the log: the last word of each, and nothing else. Like the
// log it is in an account that no producer reaches.
const ReplicaStream = "ANNALS_REPLICAS"

var replicas = board{
	stream: ReplicaStream, root: "annals.replica",
	about: "annals: how far each replica of the ledger has durably folded",
}

// ReplicaPosition is what a replica says of itself. Whoever reads it compares the
// root with its own ledger's at that size before it believes the rest.
type ReplicaPosition struct {
	Name     string     `json:"name"`
	Ledger   chain.Hash `json:"ledger"`
	Epoch    uint32     `json:"epoch"`
	Sequence uint64     `json:"sequence"` // of the stream's last message that is durably folded
	Size     uint64     `json:"size"`     // entries up to there
	Root     chain.Hash `json:"root"`     // RFC 6962 tree hash over them
	Replicas []string   `json:"replicas"` // which ones it was told of, sorted

	// Revision rises with each word of the replica's; it is the stream's, not sent.
	Revision uint64 `json:"-"`
}

// ValidReplica reports whether a name may stand in a trim and in a subject: 1 to
// 64 of A–Z, a–z, 0–9, _ and - (docs/format/control.md).
func ValidReplica(name string) bool {
	return name != "" && len(name) <= 64 && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
}

// EnsureReplicas makes the replicas' stream on as many servers as hold the log,
// if there is none.
func EnsureReplicas(ctx context.Context, nc *nats.Conn) error { return replicas.ensure(ctx, nc) }

// TellReplica publishes a replica's position in place of its last one.
func TellReplica(ctx context.Context, nc *nats.Conn, p ReplicaPosition) error {
	body, err := json.Marshal(&p)
	if err != nil {
		return err
	}
	return replicas.tell(ctx, nc, p.Name, body)
}

// Replicas returns the last word of each replica that ever said one, by name. One
// that can't be read has its name and nothing else.
func Replicas(ctx context.Context, nc *nats.Conn) (map[string]ReplicaPosition, error) {
	words, err := replicas.read(ctx, nc)
	if err != nil {
		return nil, err
	}
	out := map[string]ReplicaPosition{}
	for name, word := range words {
		var p ReplicaPosition
		if err := json.Unmarshal(word.body, &p); err != nil || p.Name != name || !slices.IsSorted(p.Replicas) {
			p = ReplicaPosition{Name: name}
		}
		p.Revision = word.revision
		out[name] = p
	}
	return out, nil
}

// Replicas that sign together show each other the head of their trees, in another
// such stream.
const HeadStream = "ANNALS_HEADS"

var heads = board{
	stream: HeadStream, root: "annals.head",
	about: "annals: the head of each replica's tree, for those that sign together",
}

// ReplicaHead is the head that a replica shows. Whoever reads it compares the root
// with its own ledger's at that size.
type ReplicaHead struct {
	Name   string     `json:"name"`
	Ledger chain.Hash `json:"ledger"`
	Size   uint64     `json:"size"` // durable entries
	Root   chain.Hash `json:"root"` // RFC 6962 tree hash over them
}

// EnsureHeads makes the stream of heads on as many servers as hold the log, if there
// is none.
func EnsureHeads(ctx context.Context, nc *nats.Conn) error { return heads.ensure(ctx, nc) }

// ShowHead publishes a replica's head in place of its last one.
func ShowHead(ctx context.Context, nc *nats.Conn, h ReplicaHead) error {
	body, err := json.Marshal(&h)
	if err != nil {
		return err
	}
	return heads.tell(ctx, nc, h.Name, body)
}

// Heads returns the last head that each replica showed, by name. One that can't be
// read has its name and nothing else.
func Heads(ctx context.Context, nc *nats.Conn) (map[string]ReplicaHead, error) {
	words, err := heads.read(ctx, nc)
	if err != nil {
		return nil, err
	}
	out := map[string]ReplicaHead{}
	for name, word := range words {
		var h ReplicaHead
		if err := json.Unmarshal(word.body, &h); err != nil || h.Name != name {
			h = ReplicaHead{Name: name}
		}
		out[name] = h
	}
	return out, nil
}
