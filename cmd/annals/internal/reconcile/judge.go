package reconcile

import (
	"cmp"
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
	// PayloadMissing: the entry in its place is in the signed tree, what was published
	// is not shown, and nothing in the ledger says that it was erased.
	PayloadMissing Verdict = "payload_missing"
	// Inconclusive: the ledger went on in another stream, and the claim doesn't say
	// which of them acknowledged it.
	Inconclusive Verdict = "inconclusive"
	// Pending: the ledger's checkpoint doesn't reach it yet.
	Pending Verdict = "pending"
	// Erased: satisfied by an entry whose payload was erased, as another entry says.
	Erased Verdict = "satisfied_erased"
	// Satisfied: the entry is in the signed tree and of the bytes that were
	// published.
	Satisfied Verdict = "satisfied"
)

// Verdicts lists them in order.
func Verdicts() []Verdict {
	return []Verdict{Contradicted, NotRecorded, PayloadMissing, Inconclusive, Pending, Erased, Satisfied}
}

// Item is one claim and its verdict.
type Item struct {
	ingest.Claim
	Verdict Verdict `json:"verdict"`
	Receipt bool    `json:"receipt"`            // a receipt of it was kept
	Detail  string  `json:"detail,omitzero"`    // why, where it isn't plain
	Index   *uint64 `json:"index,omitzero"`     // of its entry
	ULID    string  `json:"ulid,omitzero"`      // of its entry
	Kind    string  `json:"kind,omitzero"`      // of its entry
	Reason  string  `json:"reason,omitzero"`    // of a rejection
	By      *uint64 `json:"erased_by,omitzero"` // index of the entry by which its payload was erased

	epoch uint32 // of its entry
}

// Ledger is a ledger as it is now.
type Ledger struct {
	Source     proof.Source
	Checkpoint proof.Checkpoint // opened
	Ring       *proof.Keyring   // by which receipts are judged
	// Payload returns the payload beside an entry as it stands now, whole; nil when
	// it isn't shown.
	Payload func(ctx context.Context, workspace string, e *chain.Entry) (*chain.Payload, error)
	// Erased says by which entry of the signed tree, which keys in force signed, the
	// payload of e was let go; nil: nobody knows one. See [Ledger.Told].
	Erased func(ctx context.Context, workspace string, e *chain.Entry) (Erasure, error)

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
			err = l.withReceipt(ctx, &item, r)
			return item, err
		}
		item.Detail = fmt.Sprintf("the receipt that was kept is damaged (%v); ", err)
	}
	err := l.withoutReceipt(ctx, &item)
	return item, err
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
	i.Index, i.ULID, i.Kind, i.epoch = &index, e.ULID.String(), e.Kind.String(), e.Epoch
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
	wrong, err := l.beginsWith(ctx, &proven.Checkpoint)
	if err != nil {
		return err
	}
	item.is(&r.Entry)
	switch {
	case wrong != nil:
		item.say(Contradicted, "the ledger is not the one that it signed for in the receipt: %v", wrong)
		return nil
	case r.Entry.Sequence != item.Sequence || r.Entry.Place != item.Place:
		item.say(Contradicted, "its receipt is of place %d of message %d", r.Entry.Place, r.Entry.Sequence)
		return nil
	}
	same := !proven.Payload || ofClaim(r.Payload, &r.Entry, &item.Claim)
	if same {
		if same, err = l.payload(ctx, item, &r.Entry); err != nil {
			return err
		}
	} else {
		item.sayOther(&r.Entry)
	}
	if !same && l.last.Epoch > 0 {
		// Whoever asks after the ledger went on in another stream gets the receipt of
		// that one's message of the same sequence.
		*item = Item{Claim: item.Claim, Receipt: true, Detail: fmt.Sprintf("the receipt that was kept is of another record, of epoch %d; ", r.Entry.Epoch)}
		return l.withoutReceipt(ctx, item)
	}
	return nil
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

// withoutReceipt judges a claim by what the ledger shows in its place. A claim
// doesn't say which stream acknowledged it, so where the ledger went on in another
// one the entry may be any epoch's: what is of the claim's bytes settles it, and what
// isn't contradicts nothing.
func (l *Ledger) withoutReceipt(ctx context.Context, item *Item) error {
	entries, err := l.find(ctx, item.Sequence, item.Place)
	if err != nil {
		return err
	}
	reached := l.last.Reaches() >= item.Sequence
	if l.last.Epoch == 0 {
		switch {
		case len(entries) > 0:
			_, err := l.inPlace(ctx, item, entries[0])
			return err
		case !reached:
			item.say(Pending, "the ledger's checkpoint reaches message %d", l.last.Reaches())
		default:
			item.say(NotRecorded, "the ledger has gone past message %d and has no entry of its place %d", item.Sequence, item.Place)
		}
		return nil
	}
	var gone *Item
	for _, e := range entries {
		try := *item
		same, err := l.inPlace(ctx, &try, e)
		if err != nil {
			return err
		}
		switch {
		case same && (try.Verdict == Satisfied || try.Verdict == Contradicted):
			*item = try
			return nil
		case same && try.Verdict != NotRecorded:
			gone = &try
		}
	}
	switch {
	case gone != nil && gone.Verdict == PayloadMissing:
		*item = *gone
	case gone != nil:
		*item = *gone
		item.say(Inconclusive, "the ledger has %d epochs; the entry in its place in epoch %d was erased, so nobody can tell whether it was this record's", l.last.Epoch+1, gone.epoch)
	case !reached:
		item.say(Inconclusive, "the ledger's %d epochs have no entry of it. If the stream acknowledged it that is read now, which is folded up to message %d, it is still to come; if an earlier one did, it is lost: publish it again with the same id", l.last.Epoch+1, l.last.Reaches())
	default:
		item.say(NotRecorded, "the ledger has gone past message %d in each of its %d epochs, and has no entry of these bytes there", item.Sequence, l.last.Epoch+1)
	}
	return nil
}

// inPlace judges a claim by the entry that stands in its place. same is false when
// the entry is of other bytes.
func (l *Ledger) inPlace(ctx context.Context, item *Item, e *chain.Entry) (same bool, err error) {
	item.is(e)
	if wrong, err := l.included(ctx, e); err != nil {
		return false, err
	} else if wrong != nil {
		item.say(Contradicted, "the entry in its place is not in the tree that the ledger signed: %v", wrong)
		return true, nil
	}
	if e.Kind == chain.KindGap {
		item.say(NotRecorded, "message %d is lost: a signed gap stands in its place", item.Sequence)
		return true, nil
	}
	return l.payload(ctx, item, e)
}

// payload compares what stands beside the entry now with what was published. same is
// false when it is what the entry commits to, and of other bytes than the claim.
func (l *Ledger) payload(ctx context.Context, item *Item, e *chain.Entry) (same bool, err error) {
	p, err := l.Payload(ctx, item.Workspace, e)
	if err != nil {
		return false, err
	}
	if p == nil {
		return true, l.gone(ctx, item, e)
	}
	if h, ok := p.Commitment(l.id, e, nil); !ok || h != e.Commitment {
		item.say(Contradicted, "what stands beside entry %d is not what it commits to", e.Index)
		return true, nil
	}
	if !ofClaim(p, e, &item.Claim) {
		item.sayOther(e)
		return false, nil
	}
	item.say(Satisfied, "")
	return true, nil
}

// gone judges a claim whose entry is there, and what was published is not.
func (l *Ledger) gone(ctx context.Context, item *Item, e *chain.Entry) error {
	if e.Kind == chain.KindRejection && e.Flags&chain.FlagRetained == 0 {
		item.say(Satisfied, "what was refused was too large to be kept")
		return nil
	}
	var by Erasure
	if l.Erased != nil {
		var err error
		if by, err = l.Erased(ctx, item.Workspace, e); err != nil {
			return err
		}
	}
	if by.Found {
		item.By = &by.Index
		item.say(Erased, "")
		return nil
	}
	item.say(PayloadMissing, "what was published is not shown beside entry %d, and %s", e.Index, cmp.Or(by.Why, "no entry says that it was erased"))
	return nil
}

func (i *Item) sayOther(e *chain.Entry) {
	i.say(Contradicted, "entry %d, which stands in its place, is of other bytes", e.Index)
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
