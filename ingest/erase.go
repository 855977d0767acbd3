package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Erase removes single messages of the stream, and has the server overwrite what they
// held. What is gone already is no error: whoever was interrupted asks again. It
// returns how many went.
//
// There is no way back, and whoever has yet to read one of them finds a hole: ask only
// for what an erasure in the ledger covers, once every replica has folded it, and
// compare the stream with the ledger's position first ([Reader.Check]).
func Erase(ctx context.Context, nc *nats.Conn, sequences []uint64) (removed int, err error) {
	if len(sequences) == 0 {
		return 0, nil
	}
	s, err := lookUp(ctx, nc)
	if err != nil {
		return 0, err
	}
	state := s.CachedInfo().State
	for _, sequence := range sequences {
		if sequence >= state.LastSeq {
			return removed, &PurgeError{Through: sequence, Last: state.LastSeq}
		}
		if sequence < state.FirstSeq {
			continue
		}
		if err := s.SecureDeleteMsg(ctx, sequence); err != nil {
			// The server says in several ways that there is none.
			if _, missing := s.GetMsg(ctx, sequence); errors.Is(missing, jetstream.ErrMsgNotFound) {
				continue
			}
			return removed, fmt.Errorf("ingest: erasing message %d of stream %s: %w", sequence, Stream, err)
		}
		removed++
	}
	return removed, nil
}
