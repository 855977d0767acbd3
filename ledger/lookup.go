package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// known looks up what the fold needs to know: heads, originals, roots.
func (f *folder) known(prepared []chain.Prepared) (known chain.Known, err error) {
	known = chain.Known{Heads: f.heads, Roots: map[uint64]chain.Hash{}, Reached: map[uint64]uint64{}}
	var last chain.Hash
	for i := range prepared {
		p := &prepared[i]
		if tag := p.Tag(); i == 0 || tag != last {
			if err := f.know(tag); err != nil {
				return known, err
			}
			last = tag
		}
		if s, ok := p.Selects(); ok {
			if known.Selected, err = f.selected(&s); err != nil {
				return known, err
			}
			if known.Holds, err = f.holds(s.Workspace); err != nil {
				return known, err
			}
		}
		if size, needed := p.Condition(); needed && size <= f.state.Size {
			root, err := rootAt(f.db, size)
			if err != nil {
				return known, err
			}
			known.Roots[size] = root
			if known.Reached[size], err = reachedAt(f.db, size); err != nil {
				return known, err
			}
		}
	}
	return known, f.originals(prepared)
}

// selected reads the entries that a statement selects, as far as there are any.
func (f *folder) selected(statement *chain.Selecting) (map[uint64]chain.Selected, error) {
	selected := map[uint64]chain.Selected{}
	for index := range chain.Indexes(statement.Ranges) {
		if index >= f.state.Size {
			break
		}
		_, raw, e, err := rowAt(f.db, index)
		if err != nil {
			return nil, err
		}
		s := e.Selected(chain.LeafHash(raw))
		if statement.Types && e.Kind.HasRecord() {
			if s.Type, s.Gone, err = f.typeOf(index); err != nil {
				return nil, err
			}
		}
		selected[index] = s
	}
	return selected, nil
}

// typeOf returns the type of an entry's record, by what it commits to: what somebody
// has changed in this folder must not decide whether it expires. gone says that the
// record is erased.
func (f *folder) typeOf(index uint64) (typ string, gone bool, err error) {
	if _, err := stillThere(f.db, f.state.Ledger(), index, f.state.Size); err != nil {
		return "", false, err
	}
	b, closer, err := f.db.Get(entryKey(index, partPayload))
	if errors.Is(err, pebble.ErrNotFound) {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	defer closer.Close()
	payload, err := chain.ParsePayload(b)
	leaf := chain.Leaf{Entry: chain.Entry{Kind: chain.KindRecord}, Payload: &payload}
	return leaf.Type(), false, err
}

// holds reads what the holds that stand under a tag cover.
func (f *folder) holds(tag chain.Hash) (map[uint64]chain.Hold, error) {
	holds := map[uint64]chain.Hold{}
	for _, by := range f.state.Holds().Of(tag) {
		if by.Whole {
			continue
		}
		e, err := entryAt(f.db, by.At)
		if err != nil {
			return nil, err
		}
		h, ok := e.Hold()
		if !ok {
			return nil, damaged(by.At, "the state says that it is a hold, and it is none")
		}
		holds[by.At] = h
	}
	return holds, nil
}

// reachedAt returns the stream sequence that the first size entries reach.
func reachedAt(db pebble.Reader, size uint64) (uint64, error) {
	if size == 0 {
		return 0, nil
	}
	e, err := entryAt(db, size-1)
	return e.Reaches(), err
}

// know makes sure that a workspace's head is in the cache.
func (f *folder) know(tag chain.Hash) error {
	if _, ok := f.heads[tag]; ok {
		return nil
	}
	b, closer, err := f.db.Get(hashKey(prefixHead, tag))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	head, err := parseHead(b)
	f.heads[tag] = head
	return err
}

// question asks which record stands under an item's dedupe key.
type question struct {
	key  chain.Hash
	item *chain.Item
}

// originals tells each item that has a dedupe key which record stands under it.
func (f *folder) originals(prepared []chain.Prepared) error {
	var asked []question
	for i := range prepared {
		for j := range prepared[i].Items {
			item := &prepared[i].Items[j]
			if key, keyed := item.Key(); keyed && f.filter.mayHold(&key) {
				asked = append(asked, question{key, item})
			}
		}
	}
	slices.SortFunc(asked, func(a, b question) int { return bytes.Compare(a.key[:], b.key[:]) })
	const fewest = 64 // questions that are worth a goroutine
	workers := min(runtime.GOMAXPROCS(0), (len(asked)+fewest-1)/fewest)
	return inParallel(workers, func(i int) error {
		return f.answer(asked[i*len(asked)/workers : (i+1)*len(asked)/workers])
	})
}

// answer answers questions that are sorted by key, in one pass. Pebble's Get can't
// be told to use the lowest level's filters, and so reads a block of it for each
// key that isn't there; an iterator can.
func (f *folder) answer(asked []question) (err error) {
	o := bounds(prefixDedupe)
	o.UseL6Filters = true
	it, err := f.db.NewIter(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, q := range asked {
		key := hashKey(prefixDedupe, q.key)
		if !it.SeekPrefixGE(key) || !bytes.Equal(it.Key(), key) {
			if err := it.Error(); err != nil {
				return err
			}
			continue
		}
		index := binary.BigEndian.Uint64(it.Value())
		original, err := originalAt(f.db, index)
		if err != nil {
			return err
		}
		if original.Record == nil {
			// Unless it is erased everywhere, to fold on without comparing would give
			// another entry than a replica that has the payload gives.
			if _, gone, err := erased(f.db, index); err != nil {
				return err
			} else if !gone {
				return damaged(index, "the payload of the first record under an id is missing")
			}
		}
		q.item.Know(original)
	}
	return nil
}
