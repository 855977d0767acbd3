package ledger

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"annals/internal/disk"
	"annals/ledger/chain"
)

// Create makes a new ledger in an absent or empty folder, from the two messages
// that its stream begins with: the genesis and seed 0. It refuses, wrapping
// [chain.ErrNotGenesis], a stream that begins otherwise.
//
// The folder appears whole or not at all: it is made beside its place, as
// dir.new, and renamed. What a crash leaves of dir.new the next Create removes.
func Create(dir string, genesis, seed chain.Message, o Options) (*Ledger, error) {
	o = o.withDefaults()
	switch names, err := o.FS.List(dir); {
	case err == nil && len(names) > 0:
		return nil, fmt.Errorf("%w (%s)", ErrExists, dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, &StorageError{Err: err}
	}
	result, err := beginning(genesis, seed)
	if err != nil {
		return nil, err
	}
	if err := build(dir+".new", result, o); err != nil {
		return nil, err
	}
	// Remove, unlike RemoveAll, takes an empty folder only.
	if err := o.FS.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &StorageError{Err: err}
	}
	if err := o.FS.Rename(dir+".new", dir); err != nil {
		return nil, &StorageError{Err: err}
	}
	if err := disk.Sync(o.FS, o.FS.PathDir(dir)); err != nil {
		return nil, &StorageError{Err: err}
	}
	return Open(dir, o)
}

// beginning folds the two messages that every ledger begins with.
func beginning(genesis, seed chain.Message) (chain.Result, error) {
	state, _, err := chain.OpenGenesis(&genesis)
	if err != nil {
		return chain.Result{}, err
	}
	first, err := state.Fold([]chain.Prepared{state.Preparer().Prepare(genesis)}, chain.Known{})
	if err != nil {
		return chain.Result{}, err
	}
	second, err := first.State.Fold([]chain.Prepared{first.State.Preparer().Prepare(seed)}, chain.Known{Heads: first.Heads})
	second.Entries = append(first.Entries, second.Entries...)
	return second, err
}

// build writes a beginning into a new store, in one batch.
func build(dir string, result chain.Result, o Options) error {
	if err := o.FS.RemoveAll(dir); err != nil {
		return &StorageError{Err: err}
	}
	// What is published may be nobody else's business.
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return &StorageError{Err: err}
	}
	db, err := openStore(dir, o)
	if err != nil {
		return err
	}
	w := newWriter(db, edge{}, &result)
	if err := w.stage(&result); err != nil {
		return closeAfter(db, err)
	}
	if err := w.batch.Set(keyFormat, []byte(formatVersion), nil); err != nil {
		return closeAfter(db, err)
	}
	if err := w.batch.Commit(pebble.Sync); err != nil {
		return closeAfter(db, &StorageError{Err: err})
	}
	if err := db.Close(); err != nil {
		return &StorageError{Err: err}
	}
	return nil
}
