package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"annals/internal/disk"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Source is a ledger's folder as an audit reads it: what is stored at one moment,
// judged by nobody. It is a [proof.Source].
type Source struct {
	db      pebble.Reader
	close   func() error
	genesis func() (chain.State, error) // the state before entry 0, read once
}

var _ proof.Source = (*Source)(nil)

// Source returns the ledger as it stands now; recording goes on beside it. Close
// it when done.
func (l *Ledger) Source() *Source {
	snapshot := l.db.NewSnapshot()
	return newSource(snapshot, snapshot.Close)
}

func newSource(db pebble.Reader, closing func() error) *Source {
	return &Source{db: db, close: closing, genesis: sync.OnceValues(func() (chain.State, error) {
		state, _, err := readGenesis(db)
		return state, err
	})}
}

// CacheToReadOnce is an [Options.CacheSize] for whoever opens a folder to read all of
// it once, in bytes: nothing is found in a cache then, and fresh memory for each block
// costs as much as reading it.
const CacheToReadOnce = 32 << 20

// OpenForAudit opens a folder to be audited and nothing else. Unlike [Open] it
// takes a damaged ledger: to say what is wrong with it is the audit's work. It
// changes no file, so a read-only copy will do. Options.CacheSize is
// [CacheToReadOnce] here where nothing is said.
func OpenForAudit(dir string, o Options) (*Source, error) {
	if o.audit = true; o.CacheSize == 0 {
		o.CacheSize = CacheToReadOnce
	}
	o = o.withDefaults()
	o.FS = disk.ReadOnly{FS: o.FS}
	change := o.Pebble
	o.Pebble = func(p *pebble.Options) {
		p.ReadOnly = true
		if change != nil {
			change(p)
		}
	}
	db, err := openExisting(dir, o)
	if err != nil {
		return nil, err
	}
	return newSource(db, db.Close), nil
}

// Close lets go of the folder, or of the moment.
func (s *Source) Close() error { return s.close() }

// Head returns the stored head.
func (s *Source) Head(context.Context) (proof.Head, error) {
	b, err := get(s.db, keyState)
	if err != nil {
		return proof.Head{}, err
	}
	state, root, err := parseStored(chain.State{}, b, func(uint32) (secret [sha256.Size]byte, err error) { return secret, nil })
	return proof.Head{Size: state.Size, Root: root, LastLeaf: state.Last}, err
}

// Tag returns a workspace's pseudonym: whoever may read the folder holds the key.
// It fails where the stored genesis doesn't parse.
func (s *Source) Tag(workspace string) (chain.Hash, error) {
	state, err := s.genesis()
	if err != nil {
		return chain.Hash{}, err
	}
	return state.Tag(workspace), nil
}

// Roster returns the keys that the stored state names, with the entries that changed
// them.
func (s *Source) Roster() (*chain.Roster, error) {
	state, _, err := readGenesis(s.db)
	if err != nil {
		return nil, err
	}
	b, err := get(s.db, keyState)
	if err != nil {
		return nil, err
	}
	stored, _, err := parseStored(state, b, func(uint32) (secret [sha256.Size]byte, err error) { return secret, nil })
	return stored.Roster(), err
}

// Leaves yields the stored entries with their payloads and nodes, as
// [proof.Source] says.
func (s *Source) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		if from >= to {
			return
		}
		r, err := newReader(s.db, between(from, to))
		if err != nil {
			yield(chain.Leaf{}, err)
			return
		}
		defer r.close()
		next := from
		for n, ok := 0, r.seek(from); ok; n, ok = n+1, r.next() {
			if n%1024 == 0 && ctx.Err() != nil {
				yield(chain.Leaf{}, ctx.Err())
				return
			}
			next = r.index + 1
			leaf, err := r.stored()
			if err != nil {
				yield(chain.Leaf{}, &readError{from: r.index, err: err})
				return
			}
			if !yield(leaf, nil) {
				return
			}
		}
		if err := r.it.Error(); err != nil {
			yield(chain.Leaf{}, &readError{from: next, err: err})
		}
	}
}

// stored returns what stands at the reader's index, without judging it.
func (r *reader) stored() (chain.Leaf, error) {
	b, err := r.take()
	if err != nil || b == nil {
		return r.out, err
	}
	if r.payload, err = chain.ParsePayload(b); err != nil {
		r.payload = chain.Payload{}
	}
	r.out.Payload = &r.payload
	return r.out, nil
}

// Nodes yields the stored hashes of a level's nodes, as [proof.Source] says.
func (s *Source) Nodes(ctx context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		it, err := s.db.NewIter(bounds(prefixEntry))
		if err != nil {
			yield(chain.Hash{}, err)
			return
		}
		defer func() { _ = it.Close() }()
		for n := from; n < to && ctx.Err() == nil; n++ {
			index, place := nodeRow(level, n)
			key := entryKey(index, partRow)
			if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
				break
			}
			row, err := it.ValueAndErr()
			if err != nil {
				break
			}
			nodes, _ := splitRow(index, row)
			if len(nodes) < (place+1)*len(chain.Hash{}) {
				return // a row cut short lacks the node
			}
			if !yield(chain.Hash(nodes[place*len(chain.Hash{}):]), nil) {
				return
			}
		}
		if err := errors.Join(it.Error(), ctx.Err()); err != nil {
			yield(chain.Hash{}, err)
		}
	}
}

// Heads returns a durable head, and the root of the map of all workspaces' heads
// as it stood there: what a mark says.
func (l *Ledger) Heads(ctx context.Context) (Head, chain.Hash, error) {
	head, heads, err := l.HeadsMap(ctx)
	return head, chain.HeadsRoot(heads), err
}

func readHeads(db pebble.Reader) (map[chain.Hash]chain.Head, error) {
	it, err := db.NewIter(bounds(prefixHead))
	if err != nil {
		return nil, err
	}
	heads := map[chain.Hash]chain.Head{}
	for it.First(); it.Valid(); it.Next() {
		head, err := parseHead(it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if len(it.Key()) != 1+len(chain.Hash{}) {
			return nil, errors.Join(&DamageError{What: fmt.Sprintf("key %x", it.Key())}, it.Close())
		}
		heads[chain.Hash(it.Key()[1:])] = head
	}
	return heads, it.Close()
}
