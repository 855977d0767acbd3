package ingest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"annals/ledger/chain"
)

// What the reader finds when the stream is not the one the ledger has folded.
// Each stops the reader for good: folding on would make a ledger that no replica
// agrees with. What was folded stays right and can be read; what to do next is in
// each error's text. errors.As tells them apart.

// RewoundError: the stream ends before what the ledger has folded. A server was
// restored from an older copy of its folder, or lost its tail.
type RewoundError struct {
	Last   uint64 // the stream's last sequence
	Folded uint64 // the ledger's
}

func (e *RewoundError) Error() string {
	return fmt.Sprintf("ingest: stream %s was rewound: it ends at sequence %d and the ledger has folded %d; stop the producers, for what they publish now takes sequences that were used before; bring the stream's newest copy back, or have an operator begin a new epoch (`annals epoch`)",
		Stream, e.Last, e.Folded)
}

// ForkedError: at the last folded sequence stands another message. The stream was
// rewound and written anew, or its sequences were used twice.
type ForkedError struct {
	Sequence  uint64
	Want, Got chain.Hash // digests of the message, as chain.Message.Digest has them
}

func (e *ForkedError) Error() string {
	return fmt.Sprintf("ingest: stream %s was forked: at sequence %d the ledger folded a message with digest %s and the stream now holds %s; keep both as evidence, and don't fold on: bring the original stream back, or have an operator begin a new epoch (`annals epoch`)",
		Stream, e.Sequence, e.Want, e.Got)
}

// RecreatedError: it is another stream than the one the ledger began with. Field
// is "name", "created" or "first message".
type RecreatedError struct{ Field, Want, Got string }

func (e *RecreatedError) Error() string {
	return fmt.Sprintf("ingest: stream %s was created anew: its %s is %s and the ledger's stream had %s; if that was meant, an operator begins a new epoch (`annals epoch`), else point the ledger at its own stream",
		Stream, e.Field, e.Got, e.Want)
}

// RetentionError: the stream begins after what the ledger has to read next. It
// was trimmed past a ledger that had not folded so far.
type RetentionError struct {
	First  uint64 // the stream's first sequence
	Folded uint64 // the ledger's last
}

func (e *RetentionError) Error() string {
	return fmt.Sprintf("ingest: stream %s no longer holds what the ledger needs: it begins at sequence %d and the ledger has folded %d, so %d messages are out of retention; restore this ledger from a peer's or a backup that reaches sequence %d",
		Stream, e.First, e.Folded, e.First-1-e.Folded, e.First-1)
}

// HoleError: messages are missing inside the stream, and the stream's leader has
// not got them either. That proves nothing about its peers: see [Climb].
type HoleError struct {
	Missing uint64 // the first missing sequence
	Next    uint64 // the next one there is, or, at the stream's end, will be
	// After is the digest of the message at Next; zeros: there was none yet.
	After chain.Hash
	// Tried says what was tried in vain to get them, a clause each; the leader was
	// asked in any case.
	Tried []string
}

// Last is the last missing sequence.
func (e *HoleError) Last() uint64 { return e.Next - 1 }

func (e *HoleError) Error() string {
	missing := fmt.Sprintf("sequence %d is missing", e.Missing)
	if e.Last() != e.Missing {
		missing = fmt.Sprintf("sequences %d to %d are missing", e.Missing, e.Last())
	}
	tried := "the stream's leader has not got it"
	if len(e.Tried) > 0 {
		tried = strings.Join(e.Tried, ", ")
	}
	return fmt.Sprintf("ingest: stream %s has a hole: %s (%s); bring back the server or the backup of the stream that has it; only if there is none, an operator admits the loss with `annals gap --first %d --last %d`: it is signed into the stream, never decided here",
		Stream, missing, tried, e.Missing, e.Last())
}

// ErrNoStream is a server without the stream.
var ErrNoStream = errors.New("ingest: the server has no stream " + Stream + "; check that this is the right server and account; a ledger that has folded some of it must not be given an empty one")

// Identity is how a stream is known again. The zero value of a field is not
// compared.
type Identity struct {
	Name    string
	Created time.Time
	// First and Digest are of the genesis: the message's sequence and digest. They
	// are compared as long as the stream still holds it. Once it was trimmed, the
	// message at the ledger's last sequence stands in for it: a trim always leaves
	// that one, and its digest holds its place, its time and its bytes.
	First  uint64
	Digest chain.Hash
}
