package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"annals/ingest"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// publish hands the batch's frames to the stream, in order, and waits for every
// acknowledgement. One that doesn't come fails the request, so that a caller who
// looks at the status alone sends it again; the items say which arrived.
func (d *door) publish(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, d.o.AckTimeout)
	defer cancel()
	waits := b.wait[:]
	if len(b.frames) != 1 {
		waits = make([]wait, len(b.frames))
	}
	var failed error
	for i, frame := range b.frames {
		if frame == nil {
			continue
		}
		wait, err := d.o.Publish(ctx, b.workspace, frame)
		if err != nil {
			failed = err // the next ones would fail alike, or overtake this one
			break
		}
		waits[i] = wait
	}
	if errors.Is(failed, ErrStopped) && !slices.ContainsFunc(waits, func(w wait) bool { return w != nil }) {
		return problem.New(problem.NotRecording, "").From(failed) // of no record is there more to say
	}
	for i, wait := range waits {
		if wait == nil {
			continue
		}
		ack, err := wait(ctx)
		if err != nil {
			failed = worse(failed, err)
			continue
		}
		item := &b.items[i]
		item.Status, item.Grade, item.Sequence, item.Place = accepted, proof.Accepted, &ack.Sequence, &ack.Place
		if ack.ID != "" {
			item.ID, item.named = ack.ID, true // the publisher's
		}
	}
	if failed != nil {
		return b.failed(codeOf(failed), failed)
	}
	return nil
}

// worse keeps the error that tells the caller most: a refusal for good over one
// that trying again may mend.
func worse(a, b error) error {
	if a == nil || codeOf(b) == problem.PublishRefused {
		return b
	}
	return a
}

// codeOf says what an error of publishing means to a caller. Whatever isn't known
// to be for good is worth trying again: with an id, a record is kept once.
func codeOf(err error) problem.Code {
	switch {
	case errors.Is(err, ingest.ErrStreamFull):
		return problem.StreamFull
	case errors.Is(err, ingest.ErrRefused), errors.Is(err, ingest.ErrTooLarge), errors.Is(err, ingest.ErrSubject),
		errors.Is(err, ingest.ErrEmpty), errors.Is(err, ingest.ErrSuppressed):
		return problem.PublishRefused
	}
	return problem.Unavailable
}

// await waits until every accepted record of the batch is recorded.
func (d *door) await(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, d.o.WaitTimeout)
	defer cancel()
	checked := uint64(0)
	for i := range b.items {
		item := &b.items[i]
		if item.Status != accepted {
			continue
		}
		receipt, err := d.o.Await(ctx, *item.Sequence, *item.Place)
		if err == nil && *item.Sequence != checked {
			// One of a message's records speaks for all of them.
			if err := d.check(b, i, &receipt.Entry); err != nil {
				return b.failed(problem.Unavailable, err)
			}
			checked = *item.Sequence
		}
		switch {
		case err == nil:
			item.record(&receipt)
			d.name(item.Ref, &receipt.Entry)
		case ctx.Err() != nil:
			return b.failed(problem.NotYetRecorded, err)
		default:
			return b.failed(problem.RecordingStopped, err)
		}
	}
	return nil
}

// check compares what was published with what the ledger has in its place. A stream
// that is made anew counts from the beginning: between two looks at it a record may be
// acknowledged under a sequence at which the ledger holds another one.
func (d *door) check(b *batch, i int, e *chain.Entry) error {
	item := &b.items[i]
	if d.o.Get == nil || item.named {
		return nil
	}
	leaf, _, err := d.o.Get(e.Index)
	if err != nil {
		return err
	}
	if body := leaf.Body(); leaf.Payload == nil || leaf.Payload.Kept == chain.KeptNone || bytes.Equal(body, b.frames[i]) {
		return nil
	}
	for j := range b.items {
		if other := &b.items[j]; other.Sequence != nil && *other.Sequence == *item.Sequence {
			other.Status, other.Grade = unknown, ""
		}
	}
	return fmt.Errorf("message %d of the stream is another one in the ledger: the stream was made anew", *item.Sequence)
}

// prove adds a receipt to every record that has an entry, rejections among them.
func (d *door) prove(ctx context.Context, b *batch, wants wants) error {
	var indexes []uint64
	for i := range b.items {
		if index := b.items[i].Index; index != nil {
			indexes = append(indexes, *index)
		}
	}
	if d.o.Receipts == nil {
		return b.failed(problem.NoCheckpoint, errors.New("this door gives no receipts"))
	}
	ask := proof.Recorded
	if wants.wait == waitWitnessed {
		ask = proof.Witnessed
	}
	receipts, grade, err := d.o.Receipts(ctx, indexes, !wants.bare, ask)
	if err != nil {
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			p.Items = b.items
			return p
		}
		return err
	}
	for i := range b.items {
		item := &b.items[i]
		if item.Index == nil {
			continue
		}
		item.Grade, item.Receipt = grade, string(receipts[0].Text())
		receipts = receipts[1:]
		if ask == proof.Witnessed && grade != ask && item.Detail == "" {
			item.Detail = unwitnessed
		}
	}
	return nil
}

// unwitnessed is said to who waited for witnesses in vain.
const unwitnessed = "recorded and signed for, but too few witnesses have cosigned that yet; ask for the receipt again with wait=witnessed"

// name gives the entry that another refers to its ULID, where it is of the same
// workspace: a record may name any.
func (d *door) name(other *OtherEntry, e *chain.Entry) {
	if other == nil || d.o.Get == nil {
		return
	}
	leaf, _, err := d.o.Get(other.Index)
	if err == nil && leaf.Entry.Workspace == e.Workspace {
		other.ULID = leaf.Entry.ULID.String()
	}
}

// record puts a receipt into the item.
func (item *Fate) record(r *chain.Receipt) {
	e := &r.Entry
	item.ULID, item.Index, item.Kind, item.EntryHash = e.ULID.String(), &e.Index, e.Kind.String(), r.EntryHash.String()
	if e.Ref != chain.NoRef {
		item.Ref = &OtherEntry{Index: e.Ref}
	}
	switch e.Kind {
	case chain.KindRecord:
		item.Status = recorded
	case chain.KindDuplicate:
		item.Status = duplicate
	case chain.KindConflict:
		item.Status = conflict
	default:
		item.Status = rejected
		name, advice := chain.Reason(e.Code)
		item.Code, item.Detail = problem.Code(name), advice
	}
}
