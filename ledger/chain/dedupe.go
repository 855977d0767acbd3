package chain

import "encoding/binary"

// fresh finds the first records of a batch by their dedupe keys. It is a hash
// table of places in the batch, plus 1: the keys' own bits choose the slots,
// since nobody can choose a key, an HMAC.
type fresh struct{ slots []uint32 }

// slot returns the slot that a key is in, or the empty one where it belongs.
func (f *fresh) slot(entries []Folded, key *Hash) *uint32 {
	mask := uint64(len(f.slots) - 1)
	for at := binary.BigEndian.Uint64(key[:]); ; at++ {
		s := &f.slots[at&mask]
		if *s == 0 || entries[*s-1].Key == *key {
			return s
		}
	}
}

// settle decides between record, duplicate and conflict, and reports whether the
// item is the first record under its key.
func (f *fold) settle(item *Item, e *Entry, payload *Payload) (first bool) {
	original := item.original
	if original == nil {
		at := *f.fresh.slot(f.out.Entries, &item.key)
		if at == 0 {
			return true
		}
		earlier := &f.out.Entries[at-1]
		// A body that the fold kept is whole, and its record bytes are a view of it.
		o := OriginalOf(earlier.Entry.Index, &earlier.Payload)
		original = &o
	}
	e.Ref = original.Index
	if original.Record != nil && !original.Same(item.Record(), item.attributes) {
		e.Kind = KindConflict
		return false
	}
	e.Kind, e.Code = KindDuplicate, DuplicateSame
	if original.Record == nil {
		// It may well be the record that was erased: with its salt anybody could
		// confirm a guess at that.
		e.Code = DuplicateUncompared
		*payload = Payload{Kept: KeptNone}
		return false
	}
	payload.Kept, payload.Body = KeptAround, nil
	payload.Before, payload.After = item.body[:item.start], item.body[item.end:]
	return false
}
