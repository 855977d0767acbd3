package projections

import (
	"errors"

	"annals/activity"
	"annals/ledger/chain"
)

// MaxLimit is the most indexes that a page holds.
const MaxLimit = 10_000

// DefaultWork is how many rows an answer reads at most, where the question names
// no other bound.
const DefaultWork = 200_000

// ErrQuery says that a question is malformed: the caller's fault.
var ErrQuery = errors.New("projections: malformed query")

// Query is a question: the entries of one workspace for which everything it says
// is true. What is left at its zero value says nothing.
type Query struct {
	// Workspace is its tag; the zero tag is the system's workspace, never "any".
	Workspace chain.Hash

	Where []Condition // all of them hold

	// Groups is by which vocabulary a type has its group, where groups are asked for or
	// counted; nil: the published catalogue.
	Groups *activity.Vocabulary

	// Kinds of entry; none: record and conflict, which is what timelines show.
	// Only records, duplicates and conflicts say anything about users, objects
	// and the like.
	Kinds []chain.Kind

	From uint64 // first index
	To   uint64 // first index beyond; 0: no bound

	// The time it occurred at, ns since 1970, [from, to); both 0: no bound. It is
	// the record's occurred_at where that can be read (activity.Occurred), clipped
	// to what 64 bits hold, else the millisecond in the entry's ULID.
	OccurredFrom, OccurredTo int64

	// Updated entries: those at the indexes [from, to), and those that a record there
	// amends; a to of 0 is no bound, both 0 no condition. It is the one thing that
	// later entries change: a [Matcher] looks at the first half alone.
	UpdatedFrom, UpdatedTo uint64

	Work int // rows that are read at most; 0: DefaultWork

	// The rest says which page, and means nothing to other answers.
	Order  Order
	Limit  int       // indexes on the page, 1 to MaxLimit
	Oldest bool      // oldest first, instead of newest
	After  *Position // the page goes on strictly after this place in its order; nil: from the beginning
}

// Condition is true of an entry that has one of the values in the field, or with
// Not of one that has none of them.
type Condition struct {
	Field Field
	Any   []Value
	Not   bool
}

// Value is what a field is compared with, byte by byte. Of an object A is the
// type and B the id; of a dimension A is the name and B the value; of any other
// field A is the value. An address may be a CIDR prefix, such as 10.0.0.0/8.
type Value struct {
	A, B string
	// Prefix compares with the beginning: of B for dimensions, of A for the rest.
	// Of an object, it is every object of the type A, whose id begins with B. An
	// empty beginning is any value at all.
	Prefix bool
}

// Order is the order of a page.
type Order uint8

// The orders. Entries that occurred at one time are in the order of their indexes.
const (
	ByRecorded Order = 0
	ByOccurred Order = 1
)

// Position is a place in the order of a page. ByRecorded looks at Index only.
type Position struct {
	Occurred int64 // ns since 1970
	Index    uint64
}

// Page is a page of ledger indexes, in the order asked for.
type Page struct {
	Indexes   []uint64
	Last      Position // where to go on, as After: of the last index, or how far a search came that was cut short
	More      bool     // there is at least one more, or there may be: Truncated
	Truncated bool     // the bound on work was reached before the page was full
}

// Count is a number of entries: N, or at least N where the bound on work was
// reached.
type Count struct {
	N         uint64
	Truncated bool
}

// Values are the values of a field among the entries that a question finds.
type Values struct {
	Top       []ValueCount // by N, most first, then by value
	Distinct  uint64       // how many values there are
	Truncated bool         // the bound on work was reached: there may be more of everything
}

// ValueCount is a value, and how many entries have it.
type ValueCount struct {
	Value Value
	N     uint64
}
