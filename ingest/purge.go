package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PurgeError: what was to be removed reaches the stream's end. A stream is known
// again by the last message that its ledger folded, so that one never goes; a
// stream that ends there is not the one that was trimmed.
type PurgeError struct {
	Through uint64 // the last sequence that was to go
	Last    uint64 // the stream's
}

func (e *PurgeError) Error() string {
	return fmt.Sprintf("ingest: nothing was removed: messages were to go up to sequence %d, but stream %s ends at %d; check that it is the ledger's own and was not rewound",
		e.Through, Stream, e.Last)
}

// Purge removes every message of the stream up to and including a sequence, and
// returns how many went. What is gone already is no error: whoever was interrupted
// asks again.
//
// There is no way back, so ask only for what a trim in the ledger lets go, and
// compare the stream with the ledger's position first ([Reader.Check]). Producers
// can't ask: their account reaches nothing but activity.>.
func Purge(ctx context.Context, nc *nats.Conn, through uint64) (removed uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	s, err := lookUp(ctx, nc)
	if err != nil {
		return 0, err
	}
	state := s.CachedInfo().State
	switch {
	case through >= state.LastSeq:
		return 0, &PurgeError{Through: through, Last: state.LastSeq}
	case through < state.FirstSeq:
		return 0, nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(through+1)); err != nil {
		return 0, fmt.Errorf("ingest: trimming stream %s up to sequence %d: %w", Stream, through, err)
	}
	return through + 1 - state.FirstSeq, nil
}

// purgeTimeout is for the server to rewrite the block that the cut goes through,
// and to remove the files before it.
const purgeTimeout = 30 * time.Second
