package service

import (
	"context"
	"sync"
	"time"

	"annals/ingest"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// behindAge is how old what was read of the stream behind a hole may be, for whoever
// only looks. Whoever publishes there has it read again.
const behindAge = time.Second

// behind remembers the control messages behind a hole: anybody may ask what number
// is due there, and the stream is asked once in a while, for what is new.
type behind struct {
	mu    sync.Mutex
	hole  ingest.HoleError // whose they are
	size  uint64           // the ledger's, at it
	state chain.State      // as far as it can be known without what lies between
	last  uint64           // the last one that was read
	read  time.Time
}

// look takes the state and the last control message behind a hole over into at, from
// what was read no longer ago than old.
func (b *behind) look(ctx context.Context, nc *nats.Conn, at *standing, old time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	head := &at.head
	if b.hole.Missing != at.hole.Missing || b.hole.Next != at.hole.Next || b.size != head.Size || b.state.Epoch != head.State.Epoch {
		b.hole, b.size, b.state = *at.hole, head.Size, head.State
		b.last, b.read = head.State.ControlSequence, time.Time{}
	}
	err := error(nil)
	if age := time.Since(b.read); b.read.IsZero() || age < 0 || age >= old {
		err = b.readOn(ctx, nc)
	}
	at.last, at.head.State.Control = b.last, b.state.Control
	return err
}

// readOn reads what stands behind the last one that was read.
func (b *behind) readOn(ctx context.Context, nc *nats.Conn) error {
	more, err := ingest.ControlsBehind(ctx, nc, ingest.RootControl+".>", max(b.last, b.hole.Last()))
	if err != nil {
		return err
	}
	for i := range more {
		m := &more[i]
		b.last = m.Sequence
		statement, ok := chain.StatementOf(m.Body)
		if statement.Type != chain.ControlGap { // which is judged at the hole
			b.state.Sequence = m.Sequence - 1
		}
		if !ok || chain.CheckControl(&b.state, m.Body) != nil || statement.Number != b.state.Control {
			continue // a rejection uses no number up
		}
		b.state.Control++
		if statement.Type == chain.ControlSeed {
			b.state.Seed, _, _ = chain.ParseSeed(statement.Body)
		}
	}
	b.read = time.Now()
	return nil
}
