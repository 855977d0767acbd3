package ledger

import (
	"slices"
	"sync"

	"annals/internal/offheap"
	"annals/ledger/chain"
)

// rows holds entries in memory, by their index and as they are stored: one is found by
// two looks, where the store searches a dozen layers of files for it, and the fifty of a
// page stand in fifty places. It holds the newest, as many as have room, and none that
// is younger than what the warmer has come to.
//
// A reader gets a copy, so that what is let go of is gone, and a payload that is
// destroyed is overwritten where it stands.
type rows struct {
	most int64 // bytes that all shelves may have

	mu        sync.RWMutex
	shelves   map[uint64]*shelf // by their number: the index of the first entry, over shelfEntries
	floor     uint64            // below are none: there is no room
	weight    int64
	entries   int
	forgotten uint64 // how often payloads were destroyed
}

// shelf is so many entries in a row, one behind the other; the newest may be fewer.
type shelf struct {
	places []place
	bytes  []byte // of [offheap]: of each entry its hash, itself and its payload
	held   int    // entries
}

// place is where an entry stands on its shelf.
type place struct {
	at      uint32
	payload uint32 // bytes; 0: it has none, or none any more
	raw     uint16 // bytes of the entry; 0: it isn't held
}

// end is where the entry ends, with its payload.
func (p *place) end() int { return int(p.at) + len(chain.Hash{}) + int(p.raw) + int(p.payload) }

const (
	shelfEntries = 1024
	placeSize    = 12
	// heldPayload is the largest payload that is held: a shelf has a few MiB at the most,
	// and the search for a large one is little beside what is made of it.
	heldPayload = 16 << 10
)

func newRows(most int64) *rows { return &rows{most: most, shelves: map[uint64]*shelf{}} }

// copied is a reader's copy of an entry.
type copied struct {
	found
	bytes  []byte
	stored []byte // the payload; nil: it has none
	hash   chain.Hash
}

// leaf parses the copy. It is valid until another one is made.
func (c *copied) leaf() (*chain.Leaf, error) { return c.parse(c.stored) }

// copy copies the entry at an index, if it is held.
func (r *rows) copy(index uint64, c *copied) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, s := r.place(index)
	if p == nil || p.raw == 0 {
		return false
	}
	b := s.bytes[p.at:p.end()]
	c.hash = chain.Hash(b[:len(c.hash)])
	c.bytes = append(c.bytes[:0], b[len(c.hash):]...)
	c.index, c.out, c.stored = index, chain.Leaf{Raw: c.bytes[:p.raw:p.raw]}, nil
	if p.payload > 0 {
		c.stored = c.bytes[p.raw:]
	}
	return true
}

// place returns where an entry stands, nil where there is no place for it. Call it with
// r.mu held.
func (r *rows) place(index uint64) (*place, *shelf) {
	s := r.shelves[index/shelfEntries]
	if s == nil || index%shelfEntries >= uint64(len(s.places)) {
		return nil, nil
	}
	return &s.places[index%shelfEntries], s
}

// missing returns the newest shelf before top that isn't held, or not all of it, and would
// have room; ok is false where there is none.
func (r *rows) missing(top uint64) (number uint64, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for number = top; number > r.floor; {
		number--
		if s := r.shelves[number]; s == nil || len(s.places) < shelfEntries {
			return number, true
		}
	}
	return 0, false
}

// epoch counts the times that payloads were destroyed.
func (r *rows) epoch() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.forgotten
}

// put adds a shelf of what was read while the epoch was the given one, in the place of a
// shorter one. Where the epoch has ended it is not taken, for it may hold what is
// destroyed. Older ones make room, and where it is the oldest itself it doesn't stay.
func (r *rows) put(number uint64, s *shelf, epoch uint64) (taken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.shelves[number]; r.forgotten != epoch || before != nil && len(before.places) >= len(s.places) {
		s.free()
		return false
	}
	r.drop(number)
	r.shelves[number] = s
	r.weight += s.weight()
	r.entries += s.held
	for ; r.weight > r.most; r.floor++ {
		r.drop(r.floor)
	}
	return true
}

// drop lets go of a shelf, if it is there. Call it with r.mu held.
func (r *rows) drop(number uint64) {
	if s := r.shelves[number]; s != nil {
		delete(r.shelves, number)
		r.weight -= s.weight()
		r.entries -= s.held
		s.free()
	}
}

// forget overwrites payloads that were destroyed.
func (r *rows) forget(gone []uint64) {
	if len(gone) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten++
	for _, index := range gone {
		if p, s := r.place(index); p != nil && p.payload > 0 {
			clear(s.bytes[p.end()-int(p.payload) : p.end()])
			p.payload = 0
		}
	}
}

// size returns how many bytes the rows take, and of how many entries.
func (r *rows) size() (bytes int64, entries int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.weight, r.entries
}

// clear lets go of everything.
func (r *rows) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number := range r.shelves {
		r.drop(number)
	}
}

func (s *shelf) weight() int64 { return int64(len(s.bytes) + placeSize*len(s.places)) }

func (s *shelf) free() {
	if len(s.bytes) > 0 {
		offheap.Free(s.bytes)
	}
}

// shelving is a shelf that is being filled. The space is kept for the next one, and holds
// nothing of the one before: what is erased later must not stay in it.
type shelving struct {
	number uint64
	most   int    // entries that it takes
	epoch  uint64 // of the rows when it was begun
	places []place
	bytes  []byte
	held   int
}

func (s *shelving) begin(number uint64, most int, epoch uint64) {
	clear(s.bytes)
	*s = shelving{number: number, most: most, epoch: epoch, places: s.places[:0], bytes: s.bytes[:0]}
}

// next is the index of the entry that comes next.
func (s *shelving) next() uint64 { return s.number*shelfEntries + uint64(len(s.places)) }

func (s *shelving) full() bool { return len(s.places) == s.most }

// leaveOut fills the shelf with nothing, so that it isn't filled again.
func (s *shelving) leaveOut() {
	s.begin(s.number, s.most, s.epoch)
	s.places = append(s.places, make([]place, s.most)...)
}

// add adds the next entry. What is too large, or is nothing that was written, is for the
// store to read.
func (s *shelving) add(raw, payload []byte) {
	if len(raw) > chain.MaxEntrySize || len(payload) > heldPayload || payload != nil && len(payload) == 0 {
		s.places = append(s.places, place{})
		return
	}
	s.places = append(s.places, place{at: uint32(len(s.bytes)), raw: uint16(len(raw)), payload: uint32(len(payload))})
	s.held++
	hash := chain.LeafHash(raw)
	s.bytes = append(append(append(s.bytes, hash[:]...), raw...), payload...)
}

// shelf returns what was filled.
func (s *shelving) shelf() (*shelf, error) {
	out := &shelf{places: slices.Clone(s.places), held: s.held}
	if len(s.bytes) == 0 {
		return out, nil
	}
	var err error
	if out.bytes, err = offheap.Alloc(len(s.bytes)); err != nil {
		return nil, err
	}
	copy(out.bytes, s.bytes)
	return out, nil
}
