// Package prooftest makes small ledgers in memory, with everything that is signed
// about them, for tests of what auditors check: key histories, checkpoints,
// workspace heads, marks, lines.
//
// The rule it exists for: what a test breaks on purpose was sound before. So it
// folds with the real fold, signs with real keys, and makes every proof anew for
// the size that is asked for.
package prooftest

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// Ledger is a ledger in memory, whose genesis names a key of each role.
type Ledger struct {
	*chaintest.Stream
	Leaves []chain.Leaf // entries with what stands beside them, by index

	state  chain.State
	heads  map[chain.Hash]chain.Head
	first  map[chain.Hash]uint64 // by dedupe key
	stored []tlog.Hash
	folded int
	marks  []marked

	erasures []uint64 // the entries that erase something
}

// marked is a mark that was published: its message, and the map it speaks of.
type marked struct {
	sequence uint64
	heads    *proof.HeadsMap
}

// New makes a ledger with its genesis and its first seed. Ledgers of different
// names have different ids and origins, and the same keys.
func New(name string) *Ledger { return On(chaintest.NewKeyed(name)) }

// On makes a ledger of a stream.
func On(stream *chaintest.Stream) *Ledger {
	l := &Ledger{Stream: stream, heads: map[chain.Hash]chain.Head{}, first: map[chain.Hash]uint64{}}
	state, _, err := chain.OpenGenesis(&l.Messages[0])
	must(err)
	l.state = state
	l.Fold()
	return l
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Fold folds what was published since.
func (l *Ledger) Fold() {
	for ; l.folded < len(l.Messages); l.folded++ {
		p := l.state.Preparer().Prepare(l.Messages[l.folded])
		for i := range p.Items {
			key, keyed := p.Items[i].Key()
			if index, ok := l.first[key]; keyed && ok {
				p.Items[i].Know(chain.OriginalOf(index, l.Leaves[index].Payload))
			}
		}
		known := chain.Known{Heads: l.heads, Selected: l.selected(&p), Holds: l.held()}
		if size, needed := p.Condition(); needed && size <= l.Size() {
			known.Roots = map[uint64]chain.Hash{size: l.Root(size)}
			known.Reached = map[uint64]uint64{size: l.reached(size)}
		}
		r, err := l.state.Fold([]chain.Prepared{p}, known)
		must(err)
		l.state = r.State
		for tag, head := range r.Heads {
			l.heads[tag] = head
		}
		for i := range r.Entries {
			l.add(&r.Entries[i])
		}
	}
}

func (l *Ledger) add(f *chain.Folded) {
	leaf := chain.Leaf{Raw: append([]byte{}, f.Raw...), Payload: f.Payload.Clone(), Hash: f.Leaf}
	var err error
	leaf.Entry, err = chain.ParseEntry(leaf.Raw)
	must(err)
	if f.Bare() {
		leaf.Payload = nil
	} else if leaf.Payload.Kept == chain.KeptAround {
		_, record := l.Leaves[leaf.Entry.Ref].Record()
		leaf.Original = append([]byte{}, record...)
	}
	added, err := tlog.StoredHashesForRecordHash(int64(l.Size()), tlog.Hash(f.Leaf), l)
	must(err)
	l.stored = append(l.stored, added...)
	l.Leaves = append(l.Leaves, leaf)
	l.destroy(&leaf.Entry)
	if f.First {
		l.first[f.Key] = f.Entry.Index
	}
}

// Size is how many entries are folded.
func (l *Ledger) Size() uint64 { return uint64(len(l.Leaves)) }

func (l *Ledger) reached(size uint64) uint64 {
	if size == 0 {
		return 0
	}
	return l.Leaves[size-1].Entry.Reaches()
}

// ReadHashes implements [tlog.HashReader].
func (l *Ledger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(l.stored)) {
			return nil, fmt.Errorf("no node %d", at)
		}
		out[i] = l.stored[at]
	}
	return out, nil
}

// Root is the root of the tree of a size.
func (l *Ledger) Root(size uint64) chain.Hash {
	root, err := tlog.TreeHash(int64(size), l)
	must(err)
	return chain.Hash(root)
}

// Inclusion is the proof that an entry is in the tree of a size.
func (l *Ledger) Inclusion(index, size uint64) []chain.Hash {
	hashes, err := tlog.ProveRecord(int64(size), int64(index), l)
	must(err)
	return hashesOf(hashes)
}

func hashesOf(hashes []tlog.Hash) []chain.Hash {
	out := make([]chain.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = chain.Hash(h)
	}
	return out
}

// MarkNow publishes a mark that speaks of the ledger as it stands, and folds it.
func (l *Ledger) MarkNow() {
	l.Fold()
	heads := proof.NewHeadsMap(l.heads)
	l.marks = append(l.marks, marked{l.Next, heads})
	l.Mark(l.Size(), l.Root(l.Size()), heads.Root())
	l.Fold()
}

// VKey is the verifier key that the ledger's checkpoints are signed by.
func (l *Ledger) VKey() string { return VKeyOf(l.Settled.Origin, "checkpoint") }

// Sign signs a note's text by the key that a name stands for: "checkpoint",
// "heads".
func (l *Ledger) Sign(text, key string) []byte { return SignAs(text, l.Settled.Origin, key) }

// SignAs signs a note's text by the key that a name stands for, under any name.
func SignAs(text, origin, key string) []byte {
	seed := chaintest.Secret(key)
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	id := proof.VKey(origin, 1, public)[len(origin)+1:][:8]
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	must(err)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(err)
	return signed
}

// Checkpoint is the signed checkpoint of a size.
func (l *Ledger) Checkpoint(size uint64) []byte {
	c := proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}
	return l.Sign(c.Text(), "checkpoint")
}

// VKeyOf is the verifier key of the key that a name stands for.
func VKeyOf(origin, key string) string {
	return proof.VKey(origin, 1, chaintest.Signer(key).Public(0).Public)
}

// Forge appends an entry that no fold made to the tree: its bytes are anything.
func (l *Ledger) Forge(raw []byte) (index uint64) {
	leaf := chain.Leaf{Raw: raw, Hash: chain.LeafHash(raw)}
	leaf.Entry, _ = chain.ParseEntry(raw)
	added, err := tlog.StoredHashesForRecordHash(int64(l.Size()), tlog.Hash(leaf.Hash), l)
	must(err)
	l.stored = append(l.stored, added...)
	l.Leaves = append(l.Leaves, leaf)
	return l.Size() - 1
}
