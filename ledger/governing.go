package ledger

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// Governing returns the indexes of the entries that say, or once said, what may be
// destroyed of what stands under a tag: retention rules that are for it, holds, and
// their releases; ascending, as far as they are durable.
func (l *Ledger) Governing(tag chain.Hash) (indexes []uint64, err error) {
	return governing(l.db, tag, l.Head().Size)
}

func governing(db pebble.Reader, tag chain.Hash, size uint64) (indexes []uint64, err error) {
	it, err := db.NewIter(bounds(prefixGoverning))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	holds := map[uint64]bool{} // numbers of the tag's
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+8 || binary.BigEndian.Uint64(key[1:]) >= size {
			continue
		}
		index := binary.BigEndian.Uint64(key[1:])
		e, err := entryAt(db, index)
		if err != nil {
			return nil, err
		}
		c, err := e.Control()
		if err != nil {
			return nil, err
		}
		of := false
		switch c.Statement.Type {
		case chain.ControlRetention:
			r, err := chain.ParseRetention(c.Statement.Body)
			of = err == nil && (r.Everywhere || r.Workspace == tag)
		case chain.ControlHold:
			h, err := chain.ParseHold(c.Statement.Body)
			of = err == nil && h.Workspace == tag
			holds[c.Statement.Number] = of
		case chain.ControlRelease:
			number, err := chain.ParseRelease(c.Statement.Body)
			of = err == nil && holds[number]
		}
		if of {
			indexes = append(indexes, index)
		}
	}
	return indexes, it.Error()
}
