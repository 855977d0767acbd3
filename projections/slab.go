package projections

import "unsafe"

// slab hands out pieces of large allocations of bytes: a tail has tens of thousands of
// small strings that live and die together.
type slab struct{ free []byte }

const slabSize = 64 << 10

// take returns n zeroed bytes, with no room behind them.
func (s *slab) take(n int) []byte {
	if n > len(s.free) {
		if n > slabSize/4 {
			return make([]byte, n)
		}
		s.free = make([]byte, slabSize)
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

// copy returns b as a string. A piece is written once, so sharing its bytes is
// safe.
func (s *slab) copy(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	kept := s.take(len(b))
	copy(kept, b)
	return unsafe.String(&kept[0], len(kept))
}
