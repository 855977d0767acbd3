package proof

import (
	"annals/ledger/chain"
)

// trim checks a trim: that it lets go of nothing which a replica that it names
// had yet to fold, and that it speaks of this ledger.
func (j *joiner) trim(x uint64, e *chain.Entry, s *chain.Statement) {
	t, err := chain.ParseTrim(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	r := &j.rules
	if t.Epoch != e.Epoch {
		j.found.at(x, UnauthorisedControl, "control entry %d trims the stream of epoch %d in epoch %d", x, t.Epoch, e.Epoch)
	}
	if t.Through <= r.trimmed {
		j.found.at(x, UnauthorisedControl, "control entry %d lets messages go up to %d, but they had gone up to %d", x, t.Through, r.trimmed)
	}
	r.trimmed = max(r.trimmed, t.Through)
	j.erasures.last = moment{x, e.Epoch, r.trimmed}
	for _, replica := range t.Replicas {
		if replica.Sequence >= e.Sequence {
			j.found.at(x, UnauthorisedControl, "control entry %d, of message %d, says that replica %s had folded message %d", x, e.Sequence, replica.Name, replica.Sequence)
			break
		}
	}
	if s.Size == 0 && s.Root.IsZero() {
		j.found.at(x, UnauthorisedControl, "control entry %d trims the stream and names no state that its replicas had", x)
		return
	}
	if e.Epoch > 0 && s.Size <= r.epochAt {
		j.found.at(x, UnauthorisedControl, "control entry %d names a state of %d entries, from before the epoch that it trims", x, s.Size)
		return
	}
	j.state(x, s, nil, t.Least())
}

// reached is up to where the stream was folded at each of the last sizes: a trim
// speaks of one a little way back.
type reached struct {
	ring []uint64 // what the first i+1 entries reach is at i & mask
	mask uint64
	next uint64 // size up to which the ring is filled
}

func newReached(chunk int) reached {
	size := uint64(1)
	for size < uint64(chunk)*(windowChunks-2) {
		size <<= 1
	}
	return reached{ring: make([]uint64, size), mask: size - 1}
}

// set enters an entry.
func (r *reached) set(x uint64, e *chain.Entry) {
	r.ring[x&r.mask], r.next = e.Reaches(), x+1
}

// at returns what the first size entries reach; ok is false when that is too far
// back.
func (r *reached) at(size uint64) (sequence uint64, ok bool) {
	switch {
	case size == 0:
		return 0, true
	case size > r.next || size+uint64(len(r.ring)) <= r.next:
		return 0, false
	}
	return r.ring[(size-1)&r.mask], true
}
