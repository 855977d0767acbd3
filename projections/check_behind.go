package projections

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// unfolded is what erasures and expiries cover that the ledger has and the
// projections have not folded yet. The ledger's payloads are gone already, so rows
// that were right when they were written can't be folded again. Of these entries a
// check believes what stands, until a server takes it out; of all others nothing.
type unfolded struct {
	of     map[chain.Hash]map[uint64]*set // by workspace's tag and block
	all    map[uint64]*set                // by block, of all workspaces
	stands bool                           // a row holds one of them
}

// readUnfolded reads what the ledger has behind the projections, up to size.
func (c *checking) readUnfolded(size uint64) error {
	for leaf, err := range c.leaves(c.ctx, c.of, size) {
		if err != nil {
			return err
		}
		if leaf.Gone != nil {
			c.unfolded.add(leaf.Gone)
		}
	}
	return c.ctx.Err()
}

func (u *unfolded) add(gone *chain.Gone) {
	if u.all == nil {
		u.of, u.all = map[chain.Hash]map[uint64]*set{}, map[uint64]*set{}
	}
	blocks := u.of[gone.Workspace]
	if blocks == nil {
		blocks = map[uint64]*set{}
		u.of[gone.Workspace] = blocks
	}
	for _, index := range gone.Indexes {
		for _, into := range []map[uint64]*set{blocks, u.all} {
			s := into[blockOf(index)]
			if s == nil {
				s = new(set)
				into[blockOf(index)] = s
			}
			s.addSorted([]uint16{uint16(offsetOf(index))})
		}
	}
}

// excuse takes out of a row what unfolded erasures and expiries explain, before it
// is judged.
func (c *checking) excuse(r *row) error {
	if len(c.unfolded.all) == 0 || r.missing {
		return nil
	}
	kind := kindOf(r.key)
	if kind != RowList && kind != RowColumn && kind != RowZone {
		return nil
	}
	era, _ := eraIn(r.key)
	if kind == RowColumn {
		if gone := c.unfolded.all[c.layout.at(era, r.key[eraPrefix])]; gone != nil {
			c.excuseColumn(r, gone)
		}
		return nil
	}
	tag, _ := c.tagOf(binary.BigEndian.Uint32(r.key[eraPrefix:]))
	gone := c.unfolded.of[tag][c.layout.at(era, r.key[len(r.key)-1])]
	switch {
	case gone == nil:
		return nil
	case kind == RowZone:
		return c.excuseZone(r, gone)
	case !Field(r.key[eraPrefix+listPrefix-1]).outlives():
		c.excuseList(r, gone)
	}
	return nil
}

// excuseList takes entries out of a list.
func (c *checking) excuseList(r *row, gone *set) {
	offsets, ok := offsetsOf(r.says)
	if !ok {
		return
	}
	var left set
	left.addSorted(offsets)
	left.keep(gone, true)
	if left.n == len(offsets) {
		return
	}
	c.unfolded.stands = true
	switch {
	case left.n > 0:
		r.says = left.stored(nil)
	case r.extra: // as if there were no row
		r.says, r.extra = nil, false
	default:
		r.says, r.missing = nil, true
	}
}

// excuseColumn gives entries the times that the fold now gives them.
func (c *checking) excuseColumn(r *row, gone *set) {
	says, should := column(r.says), column(r.should)
	if r.extra || says.check() != nil || says.start() != should.start() || says.len() != should.len() {
		return
	}
	first := offsetOf(uint64(r.key[eraPrefix+1]) * chunkSize)
	times := make([]int64, 0, says.len())
	for i := says.start(); says.within(i); i++ {
		t := says.at(i)
		if gone.has(uint16(first + i)) {
			c.unfolded.stands = c.unfolded.stands || t != should.at(i)
			t = should.at(i)
		}
		times = append(times, t)
	}
	r.says = appendColumn(nil, says.start(), times)
}

// excuseZone expects a zone that reaches as far as the times that stand: those of the
// entries are in the column alone.
func (c *checking) excuseZone(r *row, gone *set) error {
	if r.extra {
		return nil
	}
	era, _ := eraIn(r.key)
	block := c.layout.at(era, r.key[len(r.key)-1])
	entries, err := c.entriesOf(era, binary.BigEndian.Uint32(r.key[eraPrefix:]), block)
	if err != nil {
		return c.anew.failed(err)
	}
	z := noZone
	for chunk := range uint64(chunksBlock) {
		key := c.layout.appendColumnKey(nil, indexAt(block, 0)+chunk*chunkSize)
		should, err := columnAt(c.anew.db, key)
		if err != nil {
			return c.anew.failed(err)
		}
		says, err := columnAt(c.stored.db, key)
		if err != nil {
			return c.stored.failed(err)
		}
		for i := should.start(); should.within(i); i++ {
			o := uint16(chunk*chunkSize) + uint16(i)
			switch {
			case !entries.has(o):
			case !gone.has(o):
				z.add(should.at(i))
			case says.check() != nil || !says.within(i): // the column's own fault
				return nil
			default:
				z.add(says.at(i))
			}
		}
	}
	if z != noZone {
		r.should = z.append(nil)
	}
	return nil
}

// entriesOf returns all entries of a workspace in a block, whatever their kind.
func (c *checking) entriesOf(era uint64, workspace uint32, block uint64) (entries *set, err error) {
	prefix := appendList(appendEra(nil, era, inEraPostings), workspace, FieldKind)
	it, err := c.anew.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	entries = new(set)
	for ok := it.First(); ok; ok = it.Next() {
		if key := it.Key(); c.layout.at(era, key[len(key)-1]) != block {
			continue
		}
		stored, err := postingsAt(it)
		if err != nil {
			return nil, err
		}
		entries.addStored(stored)
	}
	return entries, it.Error()
}

// columnAt reads a column as it stands; one that isn't there, or that no fold wrote,
// has no times.
func columnAt(db *pebble.DB, key []byte) (column, error) {
	none := column(make([]byte, columnHead))
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	c := column(bytes.Clone(value))
	if c.check() != nil {
		c = none
	}
	return c, closer.Close()
}

// tagOf returns the tag of the workspace that a number stands for, as the entries
// that were folded so far have it.
func (c *checking) tagOf(number uint32) (tag chain.Hash, ok bool) {
	known := c.anew.past.Load().workspaces.number
	if len(c.tags) != len(known) {
		c.tags = map[uint32]chain.Hash{}
		for tag, n := range maps.All(known) {
			c.tags[n] = tag
		}
	}
	tag, ok = c.tags[number]
	return tag, ok
}
