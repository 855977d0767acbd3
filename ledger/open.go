package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// tailChecked is how many of the last entries Open hashes again.
const tailChecked = 1024

// Open opens a ledger that Create made. It never makes one. It verifies the right
// edge: the root over the stored nodes, the last entries' links and nodes, and
// the state that the fold goes on from. Errors wrap [ErrNoLedger] or [ErrInUse],
// or are a [DamageError].
func Open(dir string, o Options) (*Ledger, error) {
	o = o.withDefaults()
	db, err := openExisting(dir, o)
	if err != nil {
		return nil, err
	}
	l, err := resume(db, o)
	if pebble.IsCorruptionError(err) {
		err = &DamageError{What: firstLine(err)}
	}
	if err != nil {
		return nil, closeAfter(db, err)
	}
	l.dir = dir
	if o.Rows > 0 {
		l.rows = newRows(o.Rows)
		l.warmer = startWarmer(db, l.rows, func() uint64 { return l.Head().Size }, l.log)
	}
	return l, nil
}

// openExisting opens the folder's store, and never makes one.
func openExisting(dir string, o Options) (*pebble.DB, error) {
	switch names, err := o.FS.List(dir); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0:
		return nil, fmt.Errorf("%w (%s)", ErrNoLedger, dir)
	case err != nil:
		return nil, &StorageError{Err: err}
	}
	change := o.Pebble
	o.Pebble = func(p *pebble.Options) {
		p.ErrorIfNotExists = true
		if change != nil {
			change(p)
		}
	}
	return openStore(dir, o)
}

func resume(db *pebble.DB, o Options) (*Ledger, error) {
	if version, err := get(db, keyFormat); err != nil {
		return nil, err
	} else if string(version) != formatVersion {
		return nil, fmt.Errorf("ledger: the folder has format %q, this program reads %q: use the version of annals that wrote it", version, formatVersion)
	}
	first, settled, err := readGenesis(db)
	if err != nil {
		return nil, err
	}
	stored, err := get(db, keyState)
	if err != nil {
		return nil, err
	}
	state, root, err := parseStored(first, stored, seedIn(db))
	if err != nil {
		return nil, err
	}
	e, err := checkEdge(db, &state, root)
	if err != nil {
		return nil, err
	}
	l := newLedger(db, settled, o)
	if !o.Reading {
		if err := l.filter.load(db); err != nil {
			return nil, err
		}
	}
	l.start(state, e, o)
	return l, nil
}

// parseStored takes the stored state apart: the tree's root, and the state that
// the fold of the ledger that first begins goes on from.
func parseStored(first chain.State, b []byte, secret func(uint32) ([sha256.Size]byte, error)) (chain.State, chain.Hash, error) {
	if len(b) < sha256.Size {
		return chain.State{}, chain.Hash{}, &DamageError{What: "the stored state is short"}
	}
	state, err := first.Resume(b[sha256.Size:], secret)
	if err != nil {
		return chain.State{}, chain.Hash{}, &DamageError{What: firstLine(err)}
	}
	return state, chain.Hash(b), nil
}

// seedIn looks up stored seeds.
func seedIn(db pebble.Reader) func(uint32) ([sha256.Size]byte, error) {
	return func(number uint32) (secret [sha256.Size]byte, err error) {
		b, err := get(db, seedKey(number))
		if err == nil && len(b) != len(secret) {
			err = &DamageError{What: fmt.Sprintf("seed %d has %d bytes", number, len(b))}
		}
		copy(secret[:], b)
		return secret, err
	}
}

// get reads one value that must be there.
func get(db pebble.Reader, key []byte) ([]byte, error) {
	b, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, &DamageError{What: fmt.Sprintf("key %q is missing", key)}
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return slices.Clone(b), nil
}

// rowAt reads the row of an entry that must be there: the nodes that it completes,
// its bytes, and what they say.
func rowAt(db pebble.Reader, index uint64) (nodes, raw []byte, e chain.Entry, err error) {
	row, err := get(db, entryKey(index, partRow))
	if err != nil {
		return nil, nil, e, err
	}
	nodes, raw = splitRow(index, row)
	e, err = chain.ParseEntry(raw)
	return nodes, raw, e, err
}

// readGenesis rebuilds the state before entry 0 from the stored genesis.
func readGenesis(db pebble.Reader) (chain.State, chain.Genesis, error) {
	e, err := entryAt(db, 0)
	if err != nil {
		return chain.State{}, chain.Genesis{}, &DamageError{What: firstLine(err)}
	}
	b, err := get(db, entryKey(0, partPayload))
	if err != nil {
		return chain.State{}, chain.Genesis{}, err
	}
	payload, err := chain.ParsePayload(b)
	if err != nil {
		return chain.State{}, chain.Genesis{}, &DamageError{What: firstLine(err)}
	}
	state, settled, err := chain.OpenGenesis(&chain.Message{
		Subject: payload.Subject(), Body: payload.Body, Sequence: e.Sequence, Time: e.Timestamp,
	})
	if err != nil {
		return state, settled, &DamageError{What: firstLine(err)}
	}
	return state, settled, nil
}

// checkEdge rebuilds the tree's right edge and verifies it, with the last
// entries, against the stored state.
func checkEdge(db pebble.Reader, state *chain.State, root chain.Hash) (edge, error) {
	broken := func(index uint64, format string, args ...any) (edge, error) {
		return edge{}, damaged(index, fmt.Sprintf(format, args...))
	}
	from := state.Size - min(state.Size, tailChecked)
	e, err := edgeAt(db, from)
	if err != nil {
		return broken(from, "%v", err)
	}
	previous := chain.FirstPrevious(state.Ledger())
	if from > 0 {
		if previous, err = (storedNodes{db}).node(0, from-1); err != nil {
			return broken(from-1, "%v", err)
		}
	}
	for index := from; index < state.Size; index++ {
		nodes, raw, entry, err := rowAt(db, index)
		if err != nil {
			return broken(index, "%v", err)
		}
		if entry.Index != index || entry.Previous != previous {
			return broken(index, "it does not follow the entry before it")
		}
		previous = chain.LeafHash(raw)
		for i, node := range e.last[1 : 1+e.push(previous)] {
			if chain.Hash(nodes[i*len(node):]) != chain.Hash(node) {
				return broken(index, "the tree's node at level %d is not what the entries hash to", i+1)
			}
		}
	}
	switch got, err := e.root(); {
	case err != nil:
		return broken(state.Size, "%v", err)
	case got != root:
		return broken(state.Size, "the tree's root is %s, the stored one %s", got, root)
	case previous != state.Last:
		return broken(state.Size, "the last entry is not the one that the fold stopped at")
	}
	if _, closer, err := db.Get(entryKey(state.Size, partRow)); err == nil {
		_ = closer.Close()
		return broken(state.Size, "it stands beyond the ledger's end")
	}
	return e, nil
}

// edgeAt reads the right edge of the tree of the first size entries.
func edgeAt(db pebble.Reader, size uint64) (edge, error) {
	e := edge{size: size}
	for level := range e.last {
		complete := size >> level
		if complete == 0 {
			break
		}
		h, err := storedNodes{db}.node(level, complete-1)
		if err != nil {
			return e, err
		}
		e.last[level] = tlog.Hash(h)
	}
	return e, nil
}
