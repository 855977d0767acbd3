package tiles

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Tree is the tree of one checkpoint, as a log's tiles show it. It is a
// [proof.Source] of entries without payloads; its nodes are those that tiles hold,
// of every eighth level, the leaves' own hashes among them.
type Tree struct {
	place      *Place
	checkpoint proof.Checkpoint
	bundles    recent
	tiles      recent
}

var _ proof.Source = (*Tree)(nil)

// At returns the tree of a checkpoint. Open it first with the log's keys: nothing
// should be asked for that a log didn't sign.
func (p *Place) At(c proof.Checkpoint) *Tree {
	return &Tree{place: p, checkpoint: c, bundles: newRecent(16 << 20), tiles: newRecent(1 << 20)}
}

// maxAbsent is how many bundles in a row may be absent before the rest is taken
// for absent too: a signed size may be any number.
const maxAbsent = 64

// ahead is how many files one reader asks for before it needs them.
const ahead = 8

// Head returns the checkpoint's size and root; the last leaf is what the tiles
// hold, zeros when they don't.
func (t *Tree) Head(ctx context.Context) (proof.Head, error) {
	h := proof.Head{Size: t.checkpoint.Size, Root: t.checkpoint.Root}
	if h.Size == 0 {
		return h, nil
	}
	for last, err := range t.Nodes(ctx, 0, h.Size-1, h.Size) {
		if err != nil {
			return proof.Head{}, err
		}
		h.LastLeaf = last
	}
	return h, nil
}

// Leaves yields the entries as the bundles hold them, without payloads. What
// stands behind a bundle's last entry is handed on as a part of that entry, for
// the audit to find; an entry of which a bundle holds only a part is left out. Where
// many bundles in a row are absent, it ends.
func (t *Tree) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		to = min(to, t.checkpoint.Size)
		if from >= to {
			return
		}
		absent := 0
		for n, file := range t.read(ctx, from/Width, (to-1)/Width+1, t.bundle) {
			if errors.Is(file.err, ErrAbsent) {
				if absent++; absent == maxAbsent {
					return
				}
				continue
			}
			absent = 0
			if file.err != nil {
				yield(chain.Leaf{}, file.err)
				return
			}
			index := n * Width
			for raw := range split(file.bytes, Wide(t.checkpoint.Size, 0, n)) {
				if index >= from && index < to && !yield(chain.Leaf{Raw: raw}, nil) {
					return
				}
				index++
			}
		}
	}
}

// split takes a bundle of want entries apart. What follows the last is handed on
// with it.
func split(b []byte, want int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range want {
			if len(b) < 2 {
				return
			}
			n := 2 + int(binary.BigEndian.Uint16(b))
			if n > len(b) {
				return
			}
			end := n
			if i == want-1 {
				end = len(b)
			}
			if !yield(b[2:end]) {
				return
			}
			b = b[n:]
		}
	}
}

// Nodes yields the hashes that the tiles of a tree level hold; of a level that is
// in no tile it yields none. A tile that isn't as long as its width says is taken
// for absent.
func (t *Tree) Nodes(ctx context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		if level%Levels != 0 || level > 63 {
			return
		}
		to = min(to, t.checkpoint.Size>>level)
		if from >= to {
			return
		}
		fetch := func(ctx context.Context, n uint64) file { return t.tile(ctx, level, n) }
		for n, file := range t.read(ctx, from/Width, (to-1)/Width+1, fetch) {
			wide := Wide(t.checkpoint.Size, level, n)
			switch size := wide * len(chain.Hash{}); {
			case errors.Is(file.err, ErrAbsent):
				return
			case file.err != nil:
				yield(chain.Hash{}, file.err)
				return
			case len(file.bytes) != size:
				return
			}
			for i := range uint64(wide) {
				at := n*Width + i
				if at >= from && at < to && !yield(chain.Hash(file.bytes[i*32:]), nil) {
					return
				}
			}
		}
	}
}

// file is a bundle or tile as it was read.
type file struct {
	bytes []byte
	err   error
}

// read fetches files from number from up to to, some ahead of their use, and
// yields them in order.
func (t *Tree) read(ctx context.Context, from, to uint64, fetch func(context.Context, uint64) file) iter.Seq2[uint64, file] {
	return func(yield func(uint64, file) bool) {
		if to-from == 1 {
			yield(from, fetch(ctx, from))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var waiting [ahead]chan file
		start := func(n uint64) {
			out := make(chan file, 1)
			waiting[n%ahead] = out
			go func() { out <- fetch(ctx, n) }()
		}
		next := from
		for n := from; n < to; n++ {
			for ; next < min(to, n+ahead); next++ {
				start(next)
			}
			if !yield(n, <-waiting[n%ahead]) {
				return
			}
		}
	}
}

// bundle reads one bundle of entries.
func (t *Tree) bundle(ctx context.Context, n uint64) file {
	name := Name{Entries: true, N: n, Width: Wide(t.checkpoint.Size, 0, n)}
	return t.bundles.get(n, func() file { return t.fetch(ctx, name) })
}

// tile reads one tile of a tree level. Those above the leaves are asked for again
// and again, so they are kept.
func (t *Tree) tile(ctx context.Context, level int, n uint64) file {
	name := Name{Level: level, N: n, Width: Wide(t.checkpoint.Size, level, n)}
	if level == 0 {
		return t.fetch(ctx, name)
	}
	return t.tiles.get(uint64(level)<<56|n, func() file { return t.fetch(ctx, name) })
}

func (t *Tree) fetch(ctx context.Context, name Name) file {
	b, err := t.place.Read(ctx, name)
	return file{b, err}
}
