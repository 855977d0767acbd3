package ledger

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers tell apart.
var (
	// ErrNotFound: no such entry, or it isn't durable yet.
	ErrNotFound = errors.New("ledger: no such entry")
	// ErrClosed: the ledger was closed.
	ErrClosed = errors.New("ledger: closed")
	// ErrInUse: another process has the folder open. Pebble lets one process in,
	// for reading too.
	ErrInUse = errors.New("ledger: the folder is in use by another process: stop it first, or ask the running server instead (--url)")
	// ErrExists: Create found something there.
	ErrExists = errors.New("ledger: the folder is not empty: open it, or create the ledger elsewhere")
	// ErrNoLedger: Open found no ledger there.
	ErrNoLedger = errors.New("ledger: the folder holds no ledger")
)

// DamageError says that what is stored can't have been written by a ledger: a
// bit flipped, a file was swapped or lost. The ledger does not open.
type DamageError struct {
	Where string // "at entry 7"; "" where the place is not known
	What  string
}

func (e *DamageError) Error() string {
	where := e.Where
	if where != "" {
		where = " " + where
	}
	return fmt.Sprintf("ledger: damaged%s: %s; keep the folder as it is, and restore a backup, "+
		"or fold the stream again into an empty folder", where, e.What)
}

// damaged makes a DamageError of a place that is known.
func damaged(index uint64, what string) error {
	return &DamageError{Where: fmt.Sprintf("at entry %d", index), What: what}
}

// readError is an error of the store, in one line: Pebble's run over several.
type readError struct {
	from uint64 // entry from which on it could not read
	err  error
}

func (e *readError) Error() string {
	return fmt.Sprintf("ledger: can't read from entry %d on: %s", e.from, firstLine(e.err))
}

func (e *readError) Unwrap() error { return e.err }

// firstLine is what of an error's text a person can use.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, "<corruption detail")
	return strings.TrimRight(line, "; ")
}

// StorageError is what the ledger stops with when the disk failed it. What is
// durable is unknown until the folder is opened anew, so nothing is retried in
// place.
type StorageError struct{ Err error }

func (e *StorageError) Error() string {
	return fmt.Sprintf("ledger: storage failed: %v; recording stops here: free space or mend the disk, then start again", e.Err)
}

func (e *StorageError) Unwrap() error { return e.Err }

func failedStorage(err error) bool {
	var storage *StorageError
	return errors.As(err, &storage)
}
