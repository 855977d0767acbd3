package projections

import (
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// merger puts the pieces of a row together that were written one after the other:
// what a restart, or very long names, cut apart. A row has one form, whatever its
// pieces were. The merger's name stands in the store, which refuses to be opened
// with another.
var merger = &pebble.Merger{
	Name: "annals.rows.v2",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		m := &merging{}
		if len(key) > eraPrefix {
			m.what = key[eraPrefix-1]
		}
		return m, m.MergeOlder(value)
	},
}

// merging is a row's pieces, in any order: each knows its place.
type merging struct {
	what   byte
	pieces [][]byte
}

func (m *merging) MergeNewer(value []byte) error { return m.MergeOlder(value) }

func (m *merging) MergeOlder(value []byte) error {
	m.pieces = append(m.pieces, slices.Clone(value))
	return nil
}

func (m *merging) Finish(bool) ([]byte, io.Closer, error) {
	if len(m.pieces) == 1 {
		return m.pieces[0], nil, nil
	}
	var out []byte
	var err error
	switch m.what {
	case inEraPostings:
		out, err = mergePostings(m.pieces)
	case inEraZone:
		out, err = mergeZones(m.pieces)
	case inEraColumn:
		out, err = mergeColumns(m.pieces)
	default:
		err = fmt.Errorf("rows of the kind %d have no pieces", m.what)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", pebble.ErrCorruption, err)
	}
	return out, nil, nil
}

func mergePostings(pieces [][]byte) ([]byte, error) {
	var s set
	for _, p := range pieces {
		if err := postings(p).check(); err != nil {
			return nil, err
		}
		s.addStored(p)
	}
	return s.stored(nil), nil
}
