package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ledger/chain"
)

// A leader that was just elected may answer before it has applied what its
// followers have. So "rewound" is believed of a replicated stream only when it is
// still so after a while.
const (
	rewoundTries = 5
	rewoundPause = 500 * time.Millisecond
)

// Check compares the stream with the last message that Next returned. A ledger
// checks before each signature; Next checks by itself. It may be called from any
// goroutine. The verdicts are those of [OpenReader].
func (r *Reader) Check(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.check(ctx)
		var rewound *rewoundReplica
		if !errors.As(err, &rewound) {
			return err
		}
		if try == rewoundTries {
			return &rewound.RewoundError
		}
		select {
		case <-time.After(rewoundPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rewoundReplica is a rewound stream that has peers.
type rewoundReplica struct{ RewoundError }

func (r *Reader) check(ctx context.Context) error {
	// The position first: what is asked of the stream afterwards can only be newer.
	at, known := r.Position(), r.Identity()
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	if err := known.compare(info); err != nil {
		return err
	}
	state := info.State
	if state.LastSeq < at.Sequence {
		verdict := RewoundError{Last: state.LastSeq, Folded: at.Sequence}
		if info.Config.Replicas > 1 {
			return &rewoundReplica{verdict}
		}
		return &verdict
	}
	if state.FirstSeq > at.Sequence+1 {
		return &RetentionError{First: state.FirstSeq, Folded: at.Sequence}
	}
	if at.Sequence > 0 && at.Digest != (chain.Hash{}) && at.Sequence >= state.FirstSeq {
		got, held, err := r.digest(ctx, at.Sequence)
		if err != nil {
			return err
		}
		if held && got != at.Digest {
			return &ForkedError{Sequence: at.Sequence, Want: at.Digest, Got: got}
		}
	}
	if known.First > 0 && known.First >= state.FirstSeq && known.First != at.Sequence {
		got, held, err := r.digest(ctx, known.First)
		if err != nil {
			return err
		}
		if held && got != known.Digest {
			return &RecreatedError{Field: "first message", Want: known.Digest.String(), Got: got.String()}
		}
	}
	r.mu.Lock()
	r.identity.Name, r.identity.Created = info.Config.Name, info.Created
	r.end = state.LastSeq
	r.mu.Unlock()
	return nil
}

// info asks for the stream's state.
func (r *Reader) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := lookUp(ctx, r.nc)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

// lookUp finds the stream as it is now, or [ErrNoStream].
func lookUp(ctx context.Context, nc *nats.Conn) (jetstream.Stream, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	s, err := js.Stream(ctx, Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, ErrNoStream
	}
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	return s, nil
}

// compare says whether it is the stream that was known.
func (known Identity) compare(info *jetstream.StreamInfo) error {
	if known.Name != "" && known.Name != info.Config.Name {
		return &RecreatedError{Field: "name", Want: known.Name, Got: info.Config.Name}
	}
	if !known.Created.IsZero() && !known.Created.Equal(info.Created) {
		return &RecreatedError{Field: "created", Want: known.Created.Format(time.RFC3339Nano), Got: info.Created.Format(time.RFC3339Nano)}
	}
	return nil
}

// digest is that of the message at a sequence. A message that is not held any
// more, erased or trimmed just now, has none, and proves nothing either way.
func (r *Reader) digest(ctx context.Context, sequence uint64) (chain.Hash, bool, error) {
	m, err := get(ctx, r.nc, sequence)
	if errors.Is(err, errNoMessage) {
		return chain.Hash{}, false, nil
	}
	if err != nil {
		return chain.Hash{}, false, err
	}
	return m.Digest(), true, nil
}
