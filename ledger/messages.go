package ledger

import (
	"context"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// maxMessages bounds what [Ledger.Messages] returns at once.
const maxMessages = 256

// Messages puts messages of an epoch's stream together again from their entries, for
// a replica that lacks them: from first on, up to last, one at the least, and no more
// of them than have most bytes together. What they hold is everything that was
// published, seeds and all.
//
// The error wraps [ErrNotFound] where the ledger has no such message, and
// [chain.ErrNotKept] where it has its entries and not its bytes.
func (l *Ledger) Messages(ctx context.Context, epoch uint32, first, last uint64, most int) ([]chain.Message, error) {
	head := l.Head()
	from, err := l.firstIn(head, epoch, first)
	if err != nil {
		return nil, err
	}
	var out []chain.Message
	var leaves []chain.Leaf
	size := 0
	for leaf, err := range l.Leaves(ctx, from, head.Size) {
		if err != nil {
			return nil, err
		}
		e, due := &leaf.Entry, first+uint64(len(out))
		switch {
		case e.Epoch != epoch || len(out) == 0 && e.Sequence != due:
			return out, absentUnless(len(out) > 0, due, epoch)
		case e.Kind == chain.KindGap && len(out) > 0:
			return out, nil
		}
		leaves = append(leaves, cloneLeaf(&leaf))
		if e.Kind != chain.KindGap && len(leaves) < int(e.Count) {
			continue
		}
		m, err := chain.Rebuild(leaves)
		if err != nil {
			if len(out) > 0 {
				err = nil // what comes before it is of use
			}
			return out, err
		}
		if size += len(m.Body); len(out) > 0 && size > most {
			return out, nil
		}
		out, leaves = append(out, m), leaves[:0]
		if m.Sequence >= last || len(out) == maxMessages {
			return out, nil
		}
	}
	return out, absentUnless(len(out) > 0, first, epoch)
}

func absentUnless(found bool, sequence uint64, epoch uint32) error {
	if found {
		return nil
	}
	return fmt.Errorf("%w: no entry of message %d of epoch %d", ErrNotFound, sequence, epoch)
}

// Trial returns the head that the ledger would have once it had folded messages,
// which follow its last one. It folds them in a copy of itself, which it makes in dir
// and removes again; the ledger stays as it is. Nothing may be appended meanwhile.
// What the fold would not go on behind is an error.
//
// The copy shares the files of the ledger's store, so dir is on the same disk, and
// what is copied are the last of them.
func (l *Ledger) Trial(ctx context.Context, dir string, msgs []chain.Message) (Head, error) {
	if err := l.Flush(ctx); err != nil {
		return Head{}, err
	}
	if err := l.fs.RemoveAll(dir); err != nil { // of a process that died in between
		return Head{}, err
	}
	defer func() { _ = l.fs.RemoveAll(dir) }()
	if err := l.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return Head{}, fmt.Errorf("ledger: a copy in %s: %w", dir, err)
	}
	trial, err := Open(dir, Options{
		FS: l.fs, CacheSize: 8 << 20,
		Fatal: func(error) { runtime.Goexit() }, // of the copy alone; its own calls then fail
	})
	if err != nil {
		return Head{}, fmt.Errorf("ledger: a copy in %s: %w", dir, err)
	}
	err = trial.Append(ctx, msgs)
	if err == nil {
		err = trial.Flush(ctx)
	}
	head := trial.Head()
	if closed := trial.Close(); err == nil {
		err = closed
	}
	return head, err
}
