package chain

import (
	"errors"
	"fmt"
	"math/bits"

	"annals/activity"
)

// Known is what the fold needs to know of the ledger so far. Dedupe keys are told
// to the items themselves ([Item.Know]).
type Known struct {
	Heads map[Hash]Head   // by tag; a workspace without entries is absent
	Roots map[uint64]Hash // root at each size that a control statement names
	// Reached is what [Entry.Reaches] gives of the last entry, at the same sizes; 0 at
	// size 0.
	Reached map[uint64]uint64
	// Selected are the entries, by index, that an erasure, an expiry or a hold in the
	// batch selects ([Prepared.Selects]).
	Selected map[uint64]Selected
	// Holds are the holds that stand over a part of the workspace that an erasure or an
	// expiry in the batch is of, by the indexes of their entries.
	Holds map[uint64]Hold
}

// Folded is one new entry, with all that is stored beside it.
type Folded struct {
	Entry   Entry
	Raw     []byte // the entry's bytes
	Leaf    Hash
	Payload Payload
	// Original is the record bytes of the entry that a duplicate names, and Keys
	// what [activity.Scan] reads out of the record; nil where there is none. Both,
	// as the payload, are views of the message.
	Original []byte
	Keys     *activity.Keys
	// Key is the dedupe key that the entry is the first record under; First says
	// whether there is one.
	Key   Hash
	First bool
}

// Bare reports whether nothing stands beside the entry: of a gap, of what is erased,
// and of what came under an erased record's id.
func (f *Folded) Bare() bool {
	return f.Entry.Kind == KindGap || f.Payload.Kept == KeptNone && f.Payload.Salt.IsZero()
}

// Result is what folding a batch of messages gives.
type Result struct {
	State    State
	Entries  []Folded
	Heads    map[Hash]Head // new heads of the workspaces that grew
	Messages int           // folded; fewer than given when the fold had to stop
}

// SequenceError says that the fold was handed a message that isn't the next one.
// The reader's contiguity check comes first, so this one is a second lock.
type SequenceError struct{ Want, Got uint64 }

func (e *SequenceError) Error() string {
	return fmt.Sprintf("chain: message %d follows, not %d: the stream has a hole or was read out of order; nothing was folded past it", e.Got, e.Want)
}

// ErrStale says that a message was prepared under a seed, an epoch or a version that is no
// longer in force: its preparer didn't wait for a control message.
var ErrStale = errors.New("chain: message prepared before the control message ahead of it was folded")

// ErrUnknown says that the fold was not told something that it has to know: to
// go on without it would make the verdict hang on how messages were cut into
// batches.
var ErrUnknown = errors.New("chain: the fold was not told")

// fold is the state while a batch is folded.
type fold struct {
	s     State
	known Known
	out   Result
	raw   []byte
	fresh fresh
	heads map[Hash]*Head // of the workspaces that the batch has grown
}

// Fold is the second of the fold's two steps: it gives each item of the batch, in
// order, its entry. It is pure; it stops with an error only where going on could
// fork replicas, and then returns what it had folded before.
func (s State) Fold(batch []Prepared, known Known) (Result, error) {
	items := 0
	for i := range batch {
		items += max(1, len(batch[i].Items))
	}
	f := fold{s: s, known: known, heads: map[Hash]*Head{}}
	f.fresh.slots = make([]uint32, 2<<bits.Len(uint(items))) // half of them stay empty
	f.out.Entries = make([]Folded, 0, items)
	f.raw = make([]byte, 0, items*HeaderSize)
	var err error
	for i := range batch {
		if err = f.message(&batch[i]); err != nil {
			break
		}
		f.out.Messages++
	}
	if n := f.out.Messages; n > 0 {
		f.s.Digest = batch[n-1].message.Digest()
	}
	f.out.State = f.s
	f.out.Heads = make(map[Hash]Head, len(f.heads))
	for tag, head := range f.heads {
		f.out.Heads[tag] = *head
	}
	return f.out, err
}

func (f *fold) message(p *Prepared) error {
	m := &p.message
	if want := f.s.next(); m.Sequence != want && !(p.control && f.s.newStream(m)) {
		return &SequenceError{Want: want, Got: m.Sequence}
	}
	switch {
	case p.control:
		if err := f.control(p); err != nil {
			return err
		}
		f.s.ControlSequence = m.Sequence
	case f.s.Size < 2:
		return errNoSeed(m)
	case p.seed != f.s.Seed || p.epoch != f.s.Epoch || p.version != f.s.Version:
		return ErrStale
	default:
		for place := range p.Items {
			f.item(p, uint16(place))
		}
	}
	f.s.Sequence = m.Sequence
	return nil
}

// item folds one record or rejection.
func (f *fold) item(p *Prepared, place uint16) {
	item := &p.Items[place]
	e := Entry{
		Kind: item.kind, Grade: item.grade, Code: uint16(item.code),
		Place: place, Count: uint16(len(p.Items)), Seed: f.s.Seed,
		Ref: NoRef, Workspace: p.tag, Commitment: item.commitment,
	}
	payload := Payload{Salt: item.salt, Envelope: p.envelope, Kept: KeptWhole, Body: item.body}
	first := false
	switch item.kind {
	case KindRejection:
		if len(item.body) > MaxBody {
			payload.Kept, payload.Body = KeptNone, nil
		}
	case KindRecord:
		if item.amends < f.s.Size {
			e.Ref = item.amends
		}
		if item.keyed {
			first = f.settle(item, &e, &payload)
		}
	}
	if payload.Kept == KeptWhole {
		e.Flags |= FlagRetained
	}
	if item.event {
		e.Flags |= FlagEvent
	}
	entry := f.push(&e, &payload, p.message.Time, p.message.Sequence)
	entry.Keys = item.keys
	if e.Kind == KindDuplicate && e.Code == DuplicateSame {
		entry.Original = item.Record()
	}
	if first {
		slot := f.fresh.slot(f.out.Entries, &item.key)
		entry.Key, entry.First = item.key, true
		*slot = uint32(len(f.out.Entries))
	}
}

// push gives an entry its index, time and links, and prints it.
func (f *fold) push(e *Entry, payload *Payload, timestamp int64, sequence uint64) *Folded {
	ms := Millis(f.s.Millis, f.s.Wall, timestamp)
	if ms != FloorMillis(timestamp) {
		e.Flags |= FlagClamped
	}
	head := f.head(&e.Workspace)
	e.Index = f.s.Size
	e.Sequence = sequence
	e.ULID = MakeULID(ms, f.s.partition, e.Index)
	e.Timestamp = timestamp
	e.Epoch = f.s.Epoch
	e.Position = head.Count
	e.Previous = f.s.Last
	e.PreviousInWorkspace = head.Leaf

	at := len(f.raw)
	f.raw = e.Append(f.raw)
	raw := f.raw[at:len(f.raw):len(f.raw)]
	leaf := LeafHash(raw)
	*head = Head{Count: head.Count + 1, Index: e.Index, Leaf: leaf}
	f.s.Size++
	f.s.Last = leaf
	f.s.Millis = ms
	f.out.Entries = append(f.out.Entries, Folded{Entry: *e, Raw: raw, Leaf: leaf, Payload: *payload})
	return &f.out.Entries[len(f.out.Entries)-1]
}

// head returns the head of a workspace's chain, to be moved on.
func (f *fold) head(tag *Hash) *Head {
	if head, ok := f.heads[*tag]; ok {
		return head
	}
	head, ok := f.known.Heads[*tag]
	if !ok {
		head = Head{Leaf: FirstInWorkspace(f.s.ledger, *tag)}
	}
	f.heads[*tag] = &head
	return &head
}
