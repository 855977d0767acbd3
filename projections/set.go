package projections

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// set is a set of offsets within one block: a sorted list while they are few and
// come from one place, else a bit for each offset. It keeps its room between uses.
type set struct {
	n     int // how many
	dense bool
	list  []uint16 // ascending, unless dense
	bits  bitmap   // where dense
}

// bitmap has a bit for each offset of a block.
type bitmap [blockSize / 64]uint64

// bitmapBytes is a bitmap's size when it is stored.
const bitmapBytes = blockSize / 8

func (b *bitmap) has(o uint16) bool { return b[o>>6]&(1<<(o&63)) != 0 }
func (b *bitmap) add(o uint16)      { b[o>>6] |= 1 << (o & 63) }

func (b *bitmap) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s *set) clear() { s.n, s.dense, s.list = 0, false, s.list[:0] }

// spread makes a list a bitmap.
func (s *set) spread() {
	if s.dense {
		return
	}
	s.bits = bitmap{}
	for _, o := range s.list {
		s.bits.add(o)
	}
	s.dense, s.list = true, s.list[:0]
}

// addSorted adds ascending offsets.
func (s *set) addSorted(offsets []uint16) {
	switch {
	case len(offsets) == 0:
	case !s.dense && (s.n == 0 || s.list[len(s.list)-1] < offsets[0]):
		s.list = append(s.list, offsets...)
		s.n = len(s.list)
	default:
		s.spread()
		for _, o := range offsets {
			s.bits.add(o)
		}
		s.n = s.bits.count()
	}
}

func (s *set) addBits(b *bitmap) {
	if s.n == 0 {
		s.dense, s.bits = true, *b
	} else {
		s.spread()
		for i, w := range b {
			s.bits[i] |= w
		}
	}
	s.n = s.bits.count()
}

// addStored adds a list as it is stored; check has seen it.
func (s *set) addStored(p postings) {
	if p.dense() {
		s.spread()
		for i := range s.bits {
			s.bits[i] |= binary.LittleEndian.Uint64(p[8*i:])
		}
		s.n = s.bits.count()
		return
	}
	if !s.dense && (s.n == 0 || s.list[len(s.list)-1] < p.at(0)) {
		s.list = p.decode(s.list)
		s.n = len(s.list)
		return
	}
	s.spread()
	for i := range p.len() {
		s.bits.add(p.at(i))
	}
	s.n = s.bits.count()
}

// addSet adds another set.
func (s *set) addSet(t *set) {
	if t.dense {
		s.addBits(&t.bits)
	} else {
		s.addSorted(t.list)
	}
}

func (s *set) has(o uint16) bool {
	if s.dense {
		return s.bits.has(o)
	}
	_, found := slices.BinarySearch(s.list, o)
	return found
}

// keep keeps the offsets that t has, or with without those that it hasn't.
func (s *set) keep(t *set, without bool) {
	switch {
	case s.n == 0:
	case t.n == 0:
		if !without {
			s.clear()
		}
	case !s.dense && t.dense:
		kept := s.list[:0]
		for _, o := range s.list {
			if t.bits.has(o) != without {
				kept = append(kept, o)
			}
		}
		s.list, s.n = kept, len(kept)
	case !s.dense:
		s.keepSorted(t.list, without)
	case t.dense:
		for i, w := range &t.bits {
			if without {
				w = ^w
			}
			s.bits[i] &= w
		}
		s.n = s.bits.count()
	case without:
		for _, o := range t.list {
			s.bits[o>>6] &^= 1 << (o & 63)
		}
		s.n = s.bits.count()
	default:
		s.list = s.list[:0]
		for _, o := range t.list {
			if s.bits.has(o) {
				s.list = append(s.list, o)
			}
		}
		s.dense, s.n = false, len(s.list)
	}
}

func (s *set) keepSorted(t []uint16, without bool) {
	kept := s.list[:0]
	for _, o := range s.list {
		for len(t) > 0 && t[0] < o {
			t = t[1:]
		}
		if (len(t) > 0 && t[0] == o) != without {
			kept = append(kept, o)
		}
	}
	s.list, s.n = kept, len(kept)
}

// keepStored is keep with a list as it is stored: most of what a long one has need
// not be looked at, to find the few that are asked for.
func (s *set) keepStored(p postings, without bool) {
	switch {
	case !s.dense:
		kept := s.list[:0]
		i := 0
		for _, o := range s.list {
			has := false
			if p.dense() {
				has = p.has(o)
			} else {
				i = p.from(i, o)
				has = i < p.len() && p.at(i) == o
			}
			if has != without {
				kept = append(kept, o)
			}
		}
		s.list, s.n = kept, len(kept)
	case p.dense():
		for i := range s.bits {
			w := binary.LittleEndian.Uint64(p[8*i:])
			if without {
				w = ^w
			}
			s.bits[i] &= w
		}
		s.n = s.bits.count()
	case without:
		for i := range p.len() {
			o := p.at(i)
			s.bits[o>>6] &^= 1 << (o & 63)
		}
		s.n = s.bits.count()
	default:
		s.list = s.list[:0]
		for i := range p.len() {
			if o := p.at(i); s.bits.has(o) {
				s.list = append(s.list, o)
			}
		}
		s.dense, s.n = false, len(s.list)
	}
}

// clip keeps the offsets in [lo, hi).
func (s *set) clip(lo, hi int) {
	if lo <= 0 && hi >= blockSize {
		return
	}
	if !s.dense {
		from, _ := slices.BinarySearch(s.list, uint16(lo))
		to := len(s.list)
		if hi < blockSize {
			to, _ = slices.BinarySearch(s.list, uint16(hi))
		}
		s.list = append(s.list[:0], s.list[from:max(from, to)]...)
		s.n = len(s.list)
		return
	}
	for i := range s.bits {
		s.bits[i] &= within(i, lo, hi)
	}
	s.n = s.bits.count()
}

// within is the mask of the offsets in [lo, hi) in a bitmap's word.
func within(word, lo, hi int) uint64 {
	first := word * 64
	if hi <= first || lo >= first+64 {
		return 0
	}
	mask := ^uint64(0)
	if lo > first {
		mask &= ^uint64(0) << (lo - first)
	}
	if hi < first+64 {
		mask &= ^uint64(0) >> (first + 64 - hi)
	}
	return mask
}

// between returns how many offsets are in [lo, hi).
func (s *set) between(lo, hi int) int {
	if lo <= 0 && hi >= blockSize {
		return s.n
	}
	if lo >= hi {
		return 0
	}
	if !s.dense {
		from, _ := slices.BinarySearch(s.list, uint16(lo))
		to := len(s.list)
		if hi < blockSize {
			to, _ = slices.BinarySearch(s.list, uint16(hi))
		}
		return to - from
	}
	n := 0
	for i := lo / 64; i*64 < hi; i++ {
		n += bits.OnesCount64(s.bits[i] & within(i, lo, hi))
	}
	return n
}

// common returns how many offsets of a stored list the set has.
func (s *set) common(p postings) int {
	n := 0
	if p.dense() && s.dense {
		for i, w := range &s.bits {
			n += bits.OnesCount64(w & binary.LittleEndian.Uint64(p[8*i:]))
		}
		return n
	}
	if p.dense() {
		for _, o := range s.list {
			if p.has(o) {
				n++
			}
		}
		return n
	}
	for i := range p.len() {
		if s.has(p.at(i)) {
			n++
		}
	}
	return n
}

// appendTo appends the offsets, ascending.
func (s *set) appendTo(dst []uint16) []uint16 {
	if !s.dense {
		return append(dst, s.list...)
	}
	for i, w := range &s.bits {
		for ; w != 0; w &= w - 1 {
			dst = append(dst, uint16(i*64+bits.TrailingZeros64(w)))
		}
	}
	return dst
}

// stored appends a set in the form in which it is stored.
func (s *set) stored(dst []byte) []byte {
	if s.n < sparseMost {
		if !s.dense {
			for _, o := range s.list {
				dst = binary.BigEndian.AppendUint16(dst, o)
			}
			return dst
		}
		for i, w := range &s.bits {
			for ; w != 0; w &= w - 1 {
				dst = binary.BigEndian.AppendUint16(dst, uint16(i*64+bits.TrailingZeros64(w)))
			}
		}
		return dst
	}
	s.spread()
	for _, w := range &s.bits {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}
