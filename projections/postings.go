package projections

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sort"
)

// postings is a list's offsets of one block as they are stored, in the one form
// that their set has: fewer than sparseMost ascending, two bytes each,
// big-endian; else a bitmap of 2 KiB, little-endian words, so that the first
// byte holds the first eight.
type postings []byte

const sparseMost = bitmapBytes / 2

func (p postings) dense() bool     { return len(p) == bitmapBytes }
func (p postings) len() int        { return len(p) / 2 } // unless dense
func (p postings) at(i int) uint16 { return binary.BigEndian.Uint16(p[2*i:]) }

// decode appends a sparse list's offsets.
func (p postings) decode(dst []uint16) []uint16 {
	from := len(dst)
	dst = slices.Grow(dst, p.len())[:from+p.len()]
	out := dst[from:]
	for len(p) >= 8 && len(out) >= 4 { // four at a time
		four := binary.BigEndian.Uint64(p)
		out[0], out[1], out[2], out[3] = uint16(four>>48), uint16(four>>32), uint16(four>>16), uint16(four)
		p, out = p[8:], out[4:]
	}
	for i := range out {
		out[i] = p.at(i)
	}
	return dst
}

// check holds a stored list to its form, as far as that costs nothing.
func (p postings) check() error {
	n := p.len()
	if p.dense() || len(p)%2 == 0 && 0 < n && n < sparseMost && int(p.at(n-1)) < blockSize && int(p.at(n-1)) >= n-1 {
		return nil
	}
	return fmt.Errorf("a posting list of %d bytes that no fold writes", len(p))
}

// count returns how many offsets a list has.
func (p postings) count() int {
	if !p.dense() {
		return p.len()
	}
	n := 0
	for b := p; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	return n
}

// has reports whether a bitmap has an offset.
func (p postings) has(o uint16) bool { return p[o>>3]&(1<<(o&7)) != 0 }

// from returns the place of the first offset of a sparse list, from place i on, that
// is not below o. Lists are gone through in order, so it is looked for nearby first.
func (p postings) from(i int, o uint16) int {
	step := 1
	for i+step <= p.len() && p.at(i+step-1) < o {
		i += step
		step *= 2
	}
	end := min(i+step, p.len())
	return i + sort.Search(end-i, func(j int) bool { return p.at(i+j) >= o })
}
