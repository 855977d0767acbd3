package projections

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// write writes a complete tail: its rows, the cursor and the last leaf, in one
// batch.
func (p *Projections) write(t *tail) error {
	const framing = 1 + 2*5 + eraPrefix + 1 // of an operation in a batch, and what a key has beside the name
	b := p.db.NewBatchWithSize(t.held + framing*len(t.lists) + 9*len(t.occurred) + 64*len(t.zones) + 4096)
	defer func() { b.Close() }()
	h := head{schema: p.options.schema, lineage: p.lineage, size: t.size, last: t.last}
	if p.options.tornBatches {
		if err := errors.Join(p.db.Set(headKey, h.append(nil), pebble.NoSync), p.db.Flush()); err != nil {
			return p.failed(err)
		}
	}
	at := layout{p.options.eraBits}
	for _, rows := range []func(*pebble.Batch, layout) error{t.writeLists, t.writeZones, t.writeColumns, t.writeOthers} {
		if err := rows(b, at); err != nil {
			return p.failed(err)
		}
	}
	if !p.options.tornBatches {
		if err := b.Set(headKey, h.append(nil), nil); err != nil {
			return p.failed(err)
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return p.failed(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.show(h.size)
}

// show lets views see what was written. They read a snapshot, not the store as it
// is: Pebble may flush a batch, its merges joined with older ones, some moments
// before it lets readers see it, and a reader who comes in between would find
// neither. What a snapshot sees is kept apart. size is what its head says: views need
// not look for it. Call it with p.mu held.
func (p *Projections) show(size uint64) error {
	before := p.shown
	p.shown, p.written = p.db.NewSnapshot(), size
	if before == nil {
		return nil
	}
	return before.Close()
}

// whole reports whether the tail is a whole block, so that no row of it has other
// pieces: nearly all are, and there is nothing to merge.
func (t *tail) whole() bool { return t.base%blockSize == 0 && t.size%blockSize == 0 }

func (t *tail) writeLists(b *pebble.Batch, at layout) error {
	block := blockOf(t.base)
	prefix := appendEra(nil, at.eraOf(block), inEraPostings)
	put := b.MergeDeferred
	if t.whole() {
		put = b.SetDeferred
	}
	for _, l := range t.sorted() {
		op := put(len(prefix)+len(l.name)+1, l.storedSize())
		n := copy(op.Key, prefix)
		n += copy(op.Key[n:], l.name)
		op.Key[n] = at.within(block)
		t.store(l, op.Value)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) writeZones(b *pebble.Batch, at layout) error {
	var key, value []byte
	put := b.Merge
	if t.whole() {
		put = b.Set
	}
	for workspace, z := range t.zones {
		key = at.appendZoneKey(key[:0], blockOf(t.base), workspace)
		value = z.append(value[:0])
		if err := put(key, value, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) writeColumns(b *pebble.Batch, at layout) error {
	var key, value []byte
	for index := t.base; index < t.size; {
		end := min(t.size, index>>chunkBits<<chunkBits+chunkSize)
		key = at.appendColumnKey(key[:0], index)
		value = appendColumn(value[:0], int(index%chunkSize), t.occurred[index-t.base:end-t.base])
		if err := b.Merge(key, value, nil); err != nil {
			return err
		}
		index = end
	}
	return nil
}

func (t *tail) writeOthers(b *pebble.Batch, _ layout) error {
	for _, w := range t.workspaces {
		if err := b.Set(workspaceKey(&w.tag), binary.BigEndian.AppendUint32(nil, w.number), nil); err != nil {
			return err
		}
	}
	for _, q := range t.quarters {
		if err := b.Set(quarterKey(q.quarter), binary.BigEndian.AppendUint64(nil, q.index), nil); err != nil {
			return err
		}
	}
	return nil
}

func (l layout) appendZoneKey(dst []byte, block uint64, workspace uint32) []byte {
	dst = appendEra(dst, l.eraOf(block), inEraZone)
	dst = binary.BigEndian.AppendUint32(dst, workspace)
	return append(dst, l.within(block))
}

func (l layout) appendColumnKey(dst []byte, index uint64) []byte {
	block := blockOf(index)
	dst = appendEra(dst, l.eraOf(block), inEraColumn)
	return append(dst, l.within(block), byte(offsetOf(index)>>chunkBits))
}

func quarterKey(q uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{rowQuarter}, q)
}

// nextQuarter returns the first quarter of an hour that no entry in the store was
// recorded in or after.
func nextQuarter(db *pebble.DB) (uint64, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowQuarter}, UpperBound: []byte{rowQuarter + 1}})
	if err != nil {
		return 0, err
	}
	next := uint64(0)
	if it.Last() && len(it.Key()) == 9 && bytes.HasPrefix(it.Key(), []byte{rowQuarter}) {
		next = binary.BigEndian.Uint64(it.Key()[1:]) + 1
	}
	return next, it.Close()
}
