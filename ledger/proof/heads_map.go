package proof

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// HeadsMap is the map of all workspaces' heads at one size of the ledger, which a
// mark commits to: an RFC 6962 tree over its rows, sorted by tag. It is never
// changed after it was made, and takes about 180 bytes a workspace.
type HeadsMap struct {
	tags   []chain.Hash
	heads  []chain.Head
	stored []tlog.Hash // of the tree, in tlog's order
}

// NewHeadsMap makes the map's tree.
func NewHeadsMap(heads map[chain.Hash]chain.Head) *HeadsMap {
	m := &HeadsMap{tags: make([]chain.Hash, 0, len(heads)), heads: make([]chain.Head, 0, len(heads))}
	for tag := range heads {
		m.tags = append(m.tags, tag)
	}
	slices.SortFunc(m.tags, compareTags)
	m.stored = make([]tlog.Hash, 0, 2*len(heads))
	var row []byte
	for n, tag := range m.tags {
		head := heads[tag]
		m.heads = append(m.heads, head)
		row = chain.AppendHeadsRow(row[:0], tag, head)
		// Reading back from a slice that just grew can't fail.
		added, _ := tlog.StoredHashes(int64(n), row, m)
		m.stored = append(m.stored, added...)
	}
	return m
}

func compareTags(a, b chain.Hash) int { return bytes.Compare(a[:], b[:]) }

// ReadHashes implements [tlog.HashReader] over the map's own tree.
func (m *HeadsMap) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = m.stored[at]
	}
	return out, nil
}

// Root is what a mark commits to; the same as [chain.HeadsRoot].
func (m *HeadsMap) Root() chain.Hash {
	root, _ := tlog.TreeHash(int64(len(m.tags)), m) // reads what was just made
	return chain.Hash(root)
}

// Row returns a workspace's row with its proof; ok is false for a workspace that
// had no entries.
func (m *HeadsMap) Row(tag chain.Hash) (r HeadsRow, ok bool) {
	at, ok := slices.BinarySearchFunc(m.tags, tag, compareTags)
	if !ok {
		return r, false
	}
	r = HeadsRow{Tag: tag, Head: m.heads[at], MapSize: uint64(len(m.tags)), MapIndex: uint64(at), Proof: []chain.Hash{}}
	hashes, _ := tlog.ProveRecord(int64(len(m.tags)), int64(at), m)
	for _, h := range hashes {
		r.Proof = append(r.Proof, chain.Hash(h))
	}
	return r, true
}

// HeadsRow is one workspace's row of a heads map, with the proof that the map has
// it (RFC 6962, 2.1.1): all that a tenant may see of the map, besides how many
// workspaces there are.
type HeadsRow struct {
	Tag      chain.Hash
	Head     chain.Head
	MapSize  uint64
	MapIndex uint64
	Proof    []chain.Hash // the leaf's sibling first
}

// Check checks that the map with the given root has the row. Errors wrap
// [ErrProof].
func (r *HeadsRow) Check(root chain.Hash) error {
	leaf := chain.Hash(tlog.RecordHash(chain.AppendHeadsRow(nil, r.Tag, r.Head)))
	if err := CheckInclusion(r.MapSize, root, r.MapIndex, leaf, r.Proof); err != nil {
		return fmt.Errorf("the map of heads has no such row: %w", err)
	}
	return nil
}
