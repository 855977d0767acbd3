package ledger

import (
	"bytes"
	"fmt"
	"testing"
)

// shelve reads a shelf of entries, each with a payload that names it, while the rows are
// at an epoch.
func shelve(t *testing.T, number, epoch uint64) *shelf {
	t.Helper()
	var s shelving
	s.begin(number, shelfEntries, epoch)
	for !s.full() {
		s.add([]byte("an entry"), fmt.Appendf(nil, "payload %08d", s.next()))
	}
	out, err := s.shelf()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRowsRefuse: a shelf that was read before a payload was destroyed is not taken,
// though it comes afterwards; nor is a second one in the place of a first.
func TestRowsRefuse(t *testing.T) {
	r := newRows(1 << 20)
	defer r.clear()
	epoch := r.epoch()
	early := shelve(t, 3, epoch)
	index := uint64(3*shelfEntries + 5)
	r.forget([]uint64{index})
	r.put(3, early, epoch)
	var c copied
	if r.copy(index, &c) {
		t.Fatalf("what is destroyed is held: %q", c.stored)
	}
	r.put(3, shelve(t, 3, r.epoch()), r.epoch())
	if !r.copy(index, &c) || string(c.stored) != fmt.Sprintf("payload %08d", index) {
		t.Fatalf("what was read afterwards is not held: %q", c.stored)
	}
	r.forget([]uint64{index})
	r.put(3, shelve(t, 3, r.epoch()), r.epoch())
	if !r.copy(index, &c) || c.stored != nil {
		t.Errorf("a second shelf took the place of the first: %q", c.stored)
	}
	if !r.copy(index+1, &c) || string(c.stored) != fmt.Sprintf("payload %08d", index+1) {
		t.Errorf("of the next entry %q is held", c.stored)
	}
}

// TestRowsMissing: what is filled next is the newest that is missing, and nothing for
// which there was no room.
func TestRowsMissing(t *testing.T) {
	one := shelve(t, 0, 0).weight()
	r := newRows(2*one + one/2)
	defer r.clear()
	for _, c := range []struct {
		top  uint64
		want []uint64
	}{{4, []uint64{3, 2, 1}}, {4, nil}, {5, []uint64{4}}, {5, nil}} {
		var got []uint64
		for {
			number, ok := r.missing(c.top)
			if !ok {
				break
			}
			got = append(got, number)
			r.put(number, shelve(t, number, 0), 0)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("up to %d: %v were filled, want %v", c.top, got, c.want)
		}
	}
	if size, entries := r.size(); entries != 2*shelfEntries || size > r.most {
		t.Errorf("%d entries take %d bytes", entries, size)
	}
}

// TestRowsOfNothing: of a shelf that holds nothing, or not all, nothing is read, and what
// is destroyed of it harms nobody. A longer one takes its place.
func TestRowsOfNothing(t *testing.T) {
	r := newRows(1 << 20)
	defer r.clear()
	var s shelving
	for number, fill := range map[uint64]func(){
		0: s.leaveOut,
		1: func() {
			for !s.full() {
				s.add([]byte("an entry"), make([]byte, heldPayload+1))
			}
		},
		2: func() { s.add([]byte("an entry"), []byte("its payload")) },
	} {
		s.begin(number, shelfEntries, 0)
		if number == 2 {
			s.begin(number, 1, 0)
		}
		fill()
		filled, err := s.shelf()
		if err != nil || !s.full() || !r.put(number, filled, 0) {
			t.Fatal(number, err)
		}
	}
	var c copied
	first, last := uint64(2*shelfEntries), uint64(3*shelfEntries-1)
	if !r.copy(first, &c) || string(c.stored) != "its payload" || r.copy(last, &c) || r.copy(0, &c) || r.copy(shelfEntries, &c) {
		t.Errorf("what is there is not held, or what isn't is")
	}
	r.forget([]uint64{0, 1, shelfEntries, first, last})
	if !r.copy(first, &c) || c.stored != nil {
		t.Errorf("%q is destroyed", c.stored)
	}
	if number, ok := r.missing(3); !ok || number != 2 || !r.put(2, shelve(t, 2, r.epoch()), r.epoch()) || !r.copy(last, &c) {
		t.Error("a shelf that is not full is not filled")
	}
	if _, ok := r.missing(3); ok {
		t.Error("what can't be held is tried again")
	}
}

// TestShelvingForgets: nothing of a shelf stays in the space that the next one is filled in.
func TestShelvingForgets(t *testing.T) {
	for name, end := range map[string]func(*shelving){
		"the next one": func(s *shelving) { s.begin(1, shelfEntries, 0) },
		"left out":     (*shelving).leaveOut,
	} {
		var s shelving
		s.begin(0, shelfEntries, 0)
		s.add([]byte("an entry"), []byte("a secret"))
		end(&s)
		if b := s.bytes[:cap(s.bytes)]; bytes.Contains(b, []byte("secret")) {
			t.Errorf("%s: %q", name, b)
		}
	}
}
