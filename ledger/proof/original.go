package proof

import (
	"bytes"
	"context"
	"slices"

	"annals/activity"
	"annals/ledger/chain"
)

// reference is a duplicate's or conflict's word about an earlier record.
type reference struct {
	at      int            // in the chunk
	payload *chain.Payload // nil when it isn't there
	record  []byte         // a conflict's record bytes
	// attributes are those of an event in binary mode, which are compared too.
	attributes []byte
}

// refer notes an entry that names an original, to be settled when the chunk is
// read: the source's iteration isn't interrupted by looking elsewhere.
func (w *worker) refer(at int, leaf *chain.Leaf) {
	r := reference{at: at}
	if leaf.Payload != nil {
		r.payload = leaf.Payload.Clone()
		if leaf.Entry.Kind == chain.KindConflict {
			own := chain.Leaf{Entry: leaf.Entry, Payload: r.payload}
			_, r.record = own.Record()
		}
		r.attributes = (&chain.Leaf{Entry: leaf.Entry, Payload: r.payload}).Attributes()
	}
	w.refs = append(w.refs, r)
}

// original is the entry that a duplicate or conflict names. The audit reads it by
// itself: bytes that come with the duplicate prove nothing about the original.
type original struct {
	sound          bool // it is there and is what it commits to; if not, that is a finding of its own
	kind           chain.Kind
	tag            chain.Hash
	chain.Original // Record is nil when its payload isn't there
}

// settleRefs compares each duplicate and conflict of the chunk with its original.
func (w *worker) settleRefs(ctx context.Context, ck *chunk) error {
	slices.SortStableFunc(w.refs, func(a, b reference) int {
		x, y := ck.items[a.at].entry.Ref, ck.items[b.at].entry.Ref
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	var o original
	last := uint64(chain.NoRef)
	for i := range w.refs {
		r := &w.refs[i]
		it := &ck.items[r.at]
		if it.entry.Ref != last {
			var err error
			if o, err = w.original(ctx, it.entry.Ref); err != nil {
				return err
			}
			last = it.entry.Ref
		}
		w.settleRef(ck, it, r, &o)
	}
	return nil
}

func (w *worker) original(ctx context.Context, index uint64) (original, error) {
	var o original
	for leaf, err := range w.src.Leaves(ctx, index, index+1) {
		if err != nil {
			return o, err
		}
		e, err := chain.ParseEntry(leaf.Raw)
		if err != nil || e.Index != index {
			break
		}
		o.kind, o.tag, o.sound = e.Kind, e.Workspace, true
		leaf.Entry = e
		if leaf.Payload == nil || w.ledger == nil || e.Kind != chain.KindRecord {
			break
		}
		if o.sound = w.commits(&e, leaf.Payload, nil); o.sound {
			o.Original = chain.OriginalOf(index, leaf.Payload)
			o.Record = append([]byte{}, o.Record...)
		}
		break
	}
	return o, nil
}

// lie notes that an entry says something false about the one that it names.
func (it *item) lie(format string, args ...any) {
	if it.trouble == nil {
		it.note(FalseDuplicate, format, args...)
		it.trouble.about, it.trouble.names = it.entry.Ref, true
	}
}

// settleRef judges one duplicate or conflict.
func (w *worker) settleRef(ck *chunk, it *item, r *reference, o *original) {
	e := &it.entry
	switch {
	case !o.sound:
		ck.unchecked++
		return
	case o.kind != chain.KindRecord:
		it.lie("%s entry %d names entry %d as the first record under its id, but that is a %s", e.Kind, e.Index, e.Ref, o.kind)
		return
	case o.tag != e.Workspace:
		it.lie("%s entry %d names entry %d, which is another workspace's", e.Kind, e.Index, e.Ref)
		return
	case it.trouble != nil || r.payload == nil || w.ledger == nil:
		return
	}
	if e.Kind == chain.KindConflict {
		if o.Record != nil && o.Same(r.record, r.attributes) {
			it.lie("conflict entry %d has the very bytes of entry %d: it is a duplicate", e.Index, e.Ref)
		}
		return
	}
	if o.Record == nil || e.Code != chain.DuplicateSame && !w.commits(e, r.payload, o.Record) {
		ck.unchecked++ // the original is gone, or the duplicate says that it was
		it.orphan = true
		return
	}
	ck.payloads++
	if !w.commits(e, r.payload, o.Record) {
		it.lie("duplicate entry %d does not commit to the bytes of entry %d: "+
			"it was not the same record, or its salt, subject, headers or door were changed", e.Index, e.Ref)
		return
	}
	if !o.Same(o.Record, r.attributes) {
		it.lie("duplicate entry %d is of another event than entry %d: they have other attributes", e.Index, e.Ref)
		return
	}
	if !w.around(r.payload, o.Record) {
		it.lie("the record of duplicate entry %d is more than the bytes of entry %d", e.Index, e.Ref)
		return
	}
	w.place(it, e, r.payload)
}

// around reports whether the bytes kept of a duplicate leave exactly the record
// value out: the whole body on activity., the frame's record on vouched.
func (w *worker) around(p *chain.Payload, record []byte) bool {
	if p.Kept != chain.KeptAround {
		leaf := chain.Leaf{Payload: p}
		_, own := leaf.Record()
		return bytes.Equal(own, record)
	}
	if w.subject(p.SubjectBytes()).Root != chain.RootVouched {
		return len(p.Before)+len(p.After) == 0
	}
	body := slices.Concat(p.Before, record, p.After)
	v, bad := activity.SplitVouched(body)
	return bad == nil && v.RecordStart == len(p.Before) && v.RecordEnd == len(body)-len(p.After)
}
