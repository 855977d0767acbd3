package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ledger/chain"
)

// Replicas of one ledger tell each other how far they have durably folded, in a
// small stream beside the log: the last word of each, and nothing else. Like the
// log it is in an account that no producer reaches.
const (
	ReplicaStream = "ANNALS_REPLICAS"
	rootReplica   = "annals.replica"
)

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
func EnsureReplicas(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("ingest: JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	log, err := js.Stream(ctx, Stream)
	if err != nil {
		return fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              ReplicaStream,
		Description:       "annals: how far each replica of the ledger has durably folded",
		Subjects:          []string{rootReplica + ".*"},
		Storage:           jetstream.FileStorage,
		Replicas:          log.CachedInfo().Config.Replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        64 << 10,
		Discard:           jetstream.DiscardOld,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("ingest: stream %s: %w", ReplicaStream, err)
	}
	return nil
}

// TellReplica publishes a replica's position in place of its last one.
func TellReplica(ctx context.Context, nc *nats.Conn, p ReplicaPosition) error {
	if !ValidReplica(p.Name) {
		return fmt.Errorf("ingest: %q is no replica's name", p.Name)
	}
	body, err := json.Marshal(&p)
	if err != nil {
		return err
	}
	m, err := requestOnce(ctx, nc, rootReplica+"."+p.Name, body)
	if err != nil {
		return fmt.Errorf("ingest: telling where replica %s stands: %w", p.Name, err)
	}
	if _, _, err := readAck(m); err != nil {
		return fmt.Errorf("ingest: telling where replica %s stands: %w", p.Name, err)
	}
	return nil
}

// Replicas returns the last word of each replica that ever said one, by name. One
// that can't be read has its name and nothing else.
func Replicas(ctx context.Context, nc *nats.Conn) (map[string]ReplicaPosition, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, ReplicaStream)
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", ReplicaStream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(rootReplica+".*"))
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", ReplicaStream, err)
	}
	out := map[string]ReplicaPosition{}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // replaced or withdrawn just now
		}
		if err != nil {
			return nil, fmt.Errorf("ingest: stream %s: %w", ReplicaStream, err)
		}
		name := strings.TrimPrefix(subject, rootReplica+".")
		var p ReplicaPosition
		if err := json.Unmarshal(m.Data, &p); err != nil || p.Name != name || !slices.IsSorted(p.Replicas) {
			p = ReplicaPosition{Name: name}
		}
		p.Revision = m.Sequence
		out[name] = p
	}
	return out, nil
}
