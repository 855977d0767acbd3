package reconcile

import (
	"context"
	"errors"
	"fmt"

	"annals/ingest"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Verdict is what became of a claim.
type Verdict string

// The verdicts, the gravest first.
const (
	// Contradicted: the ledger shows something else than it signed, or than was
	// published.
	Contradicted Verdict = "contradicted"
	// NotRecorded: the stream acknowledged it, and the ledger, which has gone past
	// it, has no entry of it.
	NotRecorded Verdict = "accepted_not_recorded"
	// Pending: the ledger's checkpoint doesn't reach it yet.
	Pending Verdict = "pending"
	// Erased: satisfied by an entry whose payload was erased.
	Erased Verdict = "satisfied_erased"
	// Satisfied: the entry is in the signed tree and of the bytes that were
	// published.
	Satisfied Verdict = "satisfied"
)

// Verdicts lists them in order.
func Verdicts() []Verdict { return []Verdict{Contradicted, NotRecorded, Pending, Erased, Satisfied} }

// Item is one claim and its verdict.
type Item struct {
	ingest.Claim
	Verdict Verdict `json:"verdict"`
	Receipt bool    `json:"receipt"`         // a receipt of it was kept
	Detail  string  `json:"detail,omitzero"` // why, where it isn't plain
	Index   *uint64 `json:"index,omitzero"`  // of its entry
	ULID    string  `json:"ulid,omitzero"`   // of its entry
	Kind    string  `json:"kind,omitzero"`   // of its entry
	Reason  string  `json:"reason,omitzero"` // of a rejection
}

// Ledger is a ledger as it is now.
type Ledger struct {
	Source     proof.Source
	Checkpoint proof.Checkpoint // opened
	Ring       *proof.Keyring   // by which receipts are judged
	// Payload returns the payload beside an entry as it stands now, whole; nil when
	// it was erased or never kept.
	Payload func(ctx context.Context, workspace string, e *chain.Entry) (*chain.Payload, error)

	last   *chain.Entry // of the tree
	id     chain.Hash
	begins map[string]error // notes of receipts that were compared
}

// Judge says what became of a claim. The error is about reading; what is wrong with
// the ledger is in the item.
func (l *Ledger) Judge(ctx context.Context, k *ingest.KeptClaim) (Item, error) {
	item := Item{Claim: k.Claim, Receipt: k.Receipt != nil}
	if err := l.open(ctx); err != nil {
		return item, err
	}
	if k.Receipt != nil {
		r, err := proof.ParseReceipt(k.Receipt)
		if err == nil {
			return item, l.withReceipt(ctx, &item, r)
		}
		item.Detail = fmt.Sprintf("the receipt that was kept is damaged (%v); ", err)
	}
	return item, l.withoutReceipt(ctx, &item)
}

// open reads once what every claim is held to.
func (l *Ledger) open(ctx context.Context) error {
	if l.begins != nil {
		return nil
	}
	l.begins = map[string]error{}
	if l.Checkpoint.Size == 0 {
		return errors.New("the ledger's checkpoint is of no entries")
	}
	genesis, err := l.entry(ctx, 0)
	if err != nil {
		return err
	}
	control, err := genesis.Control()
	if err != nil {
		return fmt.Errorf("the genesis: %w", err)
	}
	g, err := chain.ParseGenesis(control.Statement.Body)
	if err != nil {
		return fmt.Errorf("the genesis: %w", err)
	}
	l.id = g.LedgerID()
	l.last, err = l.entry(ctx, l.Checkpoint.Size-1)
	return err
}

func (i *Item) say(v Verdict, format string, args ...any) {
	i.Verdict = v
	i.Detail += fmt.Sprintf(format, args...)
}

func (i *Item) is(e *chain.Entry) {
	index := e.Index
	i.Index, i.ULID, i.Kind = &index, e.ULID.String(), e.Kind.String()
	if e.Kind == chain.KindRejection {
		i.Reason, _ = chain.Reason(e.Code)
	}
}

// withReceipt judges a claim whose receipt was kept.
func (l *Ledger) withReceipt(ctx context.Context, item *Item, r *proof.Receipt) error {
	proven, err := r.Verify(l.Ring)
	if proof.FindingOf(err) == proof.WrongLedger {
		item.say(Contradicted, "its receipt is not this ledger's: %v", err)
		return nil
	}
	if err != nil {
		// Damaged, or by a key that isn't known here: it proves nothing either way.
		item.Detail = fmt.Sprintf("the receipt that was kept proves nothing (%v); ", err)
		return l.withoutReceipt(ctx, item)
	}
	item.is(&r.Entry)
	if r.Entry.Sequence != item.Sequence || r.Entry.Place != item.Place {
		item.say(Contradicted, "its receipt is of place %d of message %d", r.Entry.Place, r.Entry.Sequence)
		return nil
	}
	wrong, err := l.beginsWith(ctx, &proven.Checkpoint)
	switch {
	case err != nil:
		return err
	case wrong != nil:
		item.say(Contradicted, "the ledger is not the one that it signed for in the receipt: %v", wrong)
		return nil
	case proven.Payload && !ofClaim(r.Payload, &r.Entry, &item.Claim):
		item.say(Contradicted, "entry %d, which stands in its place, is of other bytes", r.Index)
		return nil
	}
	return l.payload(ctx, item, &r.Entry)
}

// beginsWith compares a checkpoint that was kept with the ledger's own.
func (l *Ledger) beginsWith(ctx context.Context, c *proof.Checkpoint) (wrong, err error) {
	if wrong, known := l.begins[c.Text()]; known {
		return wrong, nil
	}
	now := &l.Checkpoint
	if c.Size > now.Size {
		wrong = fmt.Errorf("it signed a tree of %d entries and shows one of %d", c.Size, now.Size)
	} else {
		hashes, err := l.consistency(ctx, c.Size)
		if err != nil {
			return nil, err
		}
		wrong = proof.CheckConsistency(c.Size, c.Root, now.Size, now.Root, hashes)
	}
	l.begins[c.Text()] = wrong
	return wrong, nil
}

// withoutReceipt judges a claim by what the ledger shows in its place.
func (l *Ledger) withoutReceipt(ctx context.Context, item *Item) error {
	e, found, err := l.find(ctx, item.Sequence, item.Place)
	if err != nil {
		return err
	}
	switch {
	case !found && l.last.Reaches() < item.Sequence:
		item.say(Pending, "the ledger's checkpoint reaches message %d", l.last.Reaches())
		return nil
	case !found:
		item.say(NotRecorded, "the ledger has gone past message %d and has no entry of its place %d", item.Sequence, item.Place)
		return nil
	}
	item.is(e)
	if wrong, err := l.included(ctx, e); err != nil {
		return err
	} else if wrong != nil {
		item.say(Contradicted, "the entry in its place is not in the tree that the ledger signed: %v", wrong)
		return nil
	}
	if e.Kind == chain.KindGap {
		item.say(NotRecorded, "message %d is lost: a signed gap stands in its place", item.Sequence)
		return nil
	}
	return l.payload(ctx, item, e)
}

// payload compares what stands beside the entry now with what was published.
func (l *Ledger) payload(ctx context.Context, item *Item, e *chain.Entry) error {
	p, err := l.Payload(ctx, item.Workspace, e)
	if err != nil {
		return err
	}
	if p == nil {
		if e.Kind == chain.KindRejection && e.Flags&chain.FlagRetained == 0 {
			item.say(Satisfied, "what was refused was too large to be kept")
			return nil
		}
		item.say(Erased, "")
		return nil
	}
	if h, ok := p.Commitment(l.id, e, nil); !ok || h != e.Commitment {
		item.say(Contradicted, "what stands beside entry %d is not what it commits to", e.Index)
		return nil
	}
	if !ofClaim(p, e, &item.Claim) {
		item.say(Contradicted, "entry %d, which stands in its place, is of other bytes", e.Index)
		return nil
	}
	item.say(Satisfied, "")
	return nil
}

// ofClaim reports whether a payload is of a claim's bytes: the body itself, or what
// a door framed.
func ofClaim(p *chain.Payload, e *chain.Entry, c *ingest.Claim) bool {
	if c.Of(p.Body) {
		return true
	}
	leaf := chain.Leaf{Entry: *e, Payload: p}
	_, record := leaf.Record()
	return record != nil && c.Of(record)
}
