package proof

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// grove is a tree that grows, with its root at every size.
type grove struct {
	leaves, roots []chain.Hash
	stored        []tlog.Hash
}

func (g *grove) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i := range at {
		out[i] = g.stored[at[i]]
	}
	return out, nil
}

func plant(t *testing.T, leaves int) *grove {
	g := &grove{roots: []chain.Hash{emptyRoot}}
	for i := range leaves {
		leaf := chain.LeafHash(fmt.Appendf(nil, "leaf %d", i))
		stored, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaf), g)
		if err != nil {
			t.Fatal(err)
		}
		g.stored = append(g.stored, stored...)
		root, err := tlog.TreeHash(int64(i+1), g)
		if err != nil {
			t.Fatal(err)
		}
		g.leaves, g.roots = append(g.leaves, leaf), append(g.roots, chain.Hash(root))
	}
	return g
}

// spoil yields a proof spoilt in every way that a proof of hashes can be: each hash
// flipped, dropped, doubled, swapped with the one before, and one added at each
// place.
func spoil(hashes []chain.Hash, yield func(how string, hashes []chain.Hash)) {
	for i := range hashes {
		flipped := slices.Clone(hashes)
		flipped[i][i%len(chain.Hash{})] ^= 1 << (i % 8)
		yield("flipped", flipped)
		yield("dropped", slices.Delete(slices.Clone(hashes), i, i+1))
		yield("doubled", slices.Insert(slices.Clone(hashes), i, hashes[i]))
		if i > 0 {
			swapped := slices.Clone(hashes)
			swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
			yield("swapped", swapped)
		}
	}
	for i := range len(hashes) + 1 {
		yield("added", slices.Insert(slices.Clone(hashes), i, chain.Hash{byte(i)}))
	}
}

// others yields the numbers below most that differ from one in a bit: its sibling,
// and its place in each other subtree.
func others(one, most uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for bit := uint64(1); bit < most; bit <<= 1 {
			if other := one ^ bit; other < most && !yield(other) {
				return
			}
		}
	}
}

// groveUpTo is up to which size every tree is tried; the race detector's run takes fewer.
func groveUpTo() uint64 {
	if testing.Short() {
		return 70
	}
	return 200
}

// TestInclusionExhaustively proves every entry of every tree of up to 200, and
// spoils each proof in every way.
func TestInclusionExhaustively(t *testing.T) {
	t.Parallel()
	groveSize := groveUpTo()
	g := plant(t, int(groveSize))
	for size := uint64(1); size <= groveSize; size++ {
		for index := range size {
			p, err := tlog.ProveRecord(int64(size), int64(index), g)
			if err != nil {
				t.Fatal(err)
			}
			hashes := make([]chain.Hash, len(p))
			for i := range p {
				hashes[i] = chain.Hash(p[i])
			}
			root, leaf := g.roots[size], g.leaves[index]
			if err := CheckInclusion(size, root, index, leaf, hashes); err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
			passes := func(how string, size uint64, root chain.Hash, index uint64, leaf chain.Hash, hashes []chain.Hash) {
				if err := CheckInclusion(size, root, index, leaf, hashes); !errors.Is(err, ErrProof) {
					t.Fatalf("entry %d of %d, %s: %v", index, size, how, err)
				}
			}
			spoil(hashes, func(how string, spoilt []chain.Hash) { passes(how, size, root, index, leaf, spoilt) })
			for other := range others(index, size) {
				passes("another's index", size, root, other, leaf, hashes)
				passes("another's leaf", size, root, index, g.leaves[other], hashes)
			}
			for other := range others(size, groveSize+1) {
				passes("another size's root", size, g.roots[other], index, leaf, hashes)
			}
			if size > 1 {
				passes("the size before", size-1, g.roots[size-1], index, leaf, hashes)
			}
			if size < groveSize && index != size && !slices.Equal(hashes, inclusion(t, g, size+1, index)) {
				passes("the size after", size+1, g.roots[size+1], index, leaf, hashes)
			}
		}
	}
}

func inclusion(t *testing.T, g *grove, size, index uint64) []chain.Hash {
	p, err := tlog.ProveRecord(int64(size), int64(index), g)
	if err != nil {
		t.Fatal(err)
	}
	hashes := make([]chain.Hash, len(p))
	for i := range p {
		hashes[i] = chain.Hash(p[i])
	}
	return hashes
}

// TestConsistencyExhaustively shows every tree of up to 200 to be the beginning of
// every larger one, and spoils each proof in every way.
func TestConsistencyExhaustively(t *testing.T) {
	t.Parallel()
	groveSize := groveUpTo()
	g := plant(t, int(groveSize))
	for to := uint64(0); to <= groveSize; to++ {
		for from := range to + 1 {
			var hashes []chain.Hash
			if from > 0 {
				p, err := tlog.ProveTree(int64(to), int64(from), g)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range p {
					hashes = append(hashes, chain.Hash(h))
				}
			}
			if err := CheckConsistency(from, g.roots[from], to, g.roots[to], hashes); err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
			passes := func(how string, from uint64, old chain.Hash, to uint64, root chain.Hash, hashes []chain.Hash) {
				if err := CheckConsistency(from, old, to, root, hashes); !errors.Is(err, ErrProof) {
					t.Fatalf("%d to %d, %s: %v", from, to, how, err)
				}
			}
			spoil(hashes, func(how string, spoilt []chain.Hash) {
				passes(how, from, g.roots[from], to, g.roots[to], spoilt)
			})
			for other := range others(from, groveSize+1) {
				passes("another beginning", from, g.roots[other], to, g.roots[to], hashes)
			}
			for other := range others(to, groveSize+1) {
				if from > 0 {
					passes("another end", from, g.roots[from], to, g.roots[other], hashes)
				}
			}
		}
	}
}

// TestProofBounds: sizes and indexes that no tree has are refused, and not
// reckoned with.
func TestProofBounds(t *testing.T) {
	h := chain.Hash(sha256.Sum256(nil))
	for _, c := range [][2]uint64{{0, 0}, {1, 1}, {5, 7}, {1<<62 + 1, 0}, {1 << 63, 1}, {math.MaxUint64, 0}, {math.MaxUint64, math.MaxUint64 - 1}} {
		if err := CheckInclusion(c[0], h, c[1], h, nil); !errors.Is(err, ErrProof) {
			t.Errorf("entry %d of %d: %v", c[1], c[0], err)
		}
	}
	for _, c := range [][2]uint64{{2, 1}, {1, 1<<62 + 1}, {math.MaxUint64, math.MaxUint64}, {1 << 63, math.MaxUint64}, {0, math.MaxUint64}} {
		if err := CheckConsistency(c[0], h, c[1], h, nil); !errors.Is(err, ErrProof) {
			t.Errorf("%d to %d: %v", c[0], c[1], err)
		}
	}
	if err := CheckInclusion(1<<62, h, 5, h, make([]chain.Hash, 62)); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
}
