package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// unindex takes erased entries out of every list that their payloads put them in,
// and gives them the times that their entries have, as a fold of the ledger as it is
// now does. Which values they had nobody knows any more, so all the workspace's lists
// are looked through in the blocks concerned. What files hold is rewritten before it
// returns: then the cursor may pass the erasure.
//
// It may be done again, and over rows of a fold that never saw the payloads.
func (p *Projections) unindex(gone *chain.Gone) error {
	if err := p.levelled(); err != nil {
		return err
	}
	number, ok := p.past.Load().workspaces.of(&gone.Workspace)
	if !ok || len(gone.Indexes) == 0 {
		return nil
	}
	u := &unindexing{db: p.db, at: layout{p.options.eraBits}, workspace: number, blocks: map[uint64]*erasedOf{}}
	for i, index := range gone.Indexes {
		b := u.blocks[blockOf(index)]
		if b == nil {
			b = &erasedOf{times: map[uint64]int64{}}
			u.blocks[blockOf(index)] = b
		}
		b.gone.addSorted([]uint16{uint16(offsetOf(index))})
		b.times[index] = Nanoseconds(time.UnixMilli(int64(gone.Millis[i])))
	}
	batch := p.db.NewBatch()
	defer func() { _ = batch.Close() }()
	eras := map[uint64]bool{}
	for block := range u.blocks {
		eras[u.at.eraOf(block)] = true
	}
	for era := range eras {
		if err := u.lists(batch, era); err != nil {
			return p.failed(err)
		}
	}
	for block, b := range u.blocks {
		if err := u.times(batch, block, b); err != nil {
			return p.failed(err)
		}
	}
	if err := p.let(batch); err != nil {
		return p.failed(err)
	}
	for era := range eras {
		if err := p.db.Compact(context.Background(), appendEra(nil, era, 0), appendEra(nil, era+1, 0), false); err != nil {
			return p.failed(err)
		}
	}
	if err := p.forgetBounds(); err != nil {
		return p.failed(err)
	}
	return nil
}

// forgetBounds makes the store begin its manifest anew until no old one is left. A
// manifest lists the first and last key of every table that there was, and so values.
// Pebble begins another when as many tables came and went as there are, and keeps the
// one before it.
func (p *Projections) forgetBounds() error {
	old, err := p.manifests()
	if err != nil {
		return err
	}
	for {
		now, err := p.manifests()
		if err != nil || !slices.ContainsFunc(now, func(name string) bool { return slices.Contains(old, name) }) {
			return err
		}
		value, closer, err := p.db.Get(headKey)
		if err != nil {
			return err
		}
		err = p.db.Set(headKey, bytes.Clone(value), pebble.NoSync)
		if err = errors.Join(err, closer.Close(), p.db.Flush()); err != nil {
			return err
		}
		if err := p.db.Compact(context.Background(), headKey, []byte{rowEnd}, false); err != nil {
			return err
		}
	}
}

// manifests lists the store's manifests.
func (p *Projections) manifests() (names []string, err error) {
	all, err := p.options.FS.List(p.folder.path)
	for _, name := range all {
		if strings.HasPrefix(name, "MANIFEST-") {
			names = append(names, name)
		}
	}
	return names, err
}

// let commits what unindex staged, lets views see it, and forgets what was counted
// before. Then it makes the store write its memory down, for the compaction to find.
func (p *Projections) let(batch *pebble.Batch) error {
	p.mu.Lock()
	err := batch.Commit(pebble.NoSync)
	if err == nil {
		err = p.show(p.written)
	}
	p.past.Store(&past{workspaces: p.past.Load().workspaces})
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.db.Flush()
}

// levelled writes what stands in memory, however little it is. Call it with
// p.folding held.
func (p *Projections) levelled() error {
	p.settle()
	if err := p.Err(); err != nil {
		return err
	}
	active := p.hot.Load().active
	if len(active.occurred) == 0 {
		return nil
	}
	if err := p.write(active); err != nil {
		return err
	}
	size, last := active.end()
	p.hot.Store(&hot{active: newTail(size, last, 0, 0)})
	return nil
}

// unindexing is one erasure on its way through the rows.
type unindexing struct {
	db        *pebble.DB
	at        layout
	workspace uint32
	blocks    map[uint64]*erasedOf
}

// erasedOf is what an erasure covers of a block.
type erasedOf struct {
	gone  set
	times map[uint64]int64 // by index, ns: what is left to go by
	all   set              // the workspace's entries of the block
}

// lists takes the entries out of an era's lists of the workspace.
func (u *unindexing) lists(batch *pebble.Batch, era uint64) (err error) {
	prefix := binary.BigEndian.AppendUint32(appendEra(nil, era, inEraPostings), u.workspace)
	it, err := u.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var left set
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) <= eraPrefix+listPrefix {
			return damaged(key, errValue)
		}
		b := u.blocks[u.at.at(era, key[len(key)-1])]
		if b == nil {
			continue
		}
		stored, err := postingsAt(it)
		if err != nil {
			return err
		}
		field := Field(key[eraPrefix+listPrefix-1])
		if field == FieldKind { // every entry has one, erased or not
			b.all.addStored(stored)
		}
		if field.outlives() {
			continue
		}
		left.clear()
		left.addStored(stored)
		before := left.n
		switch left.keep(&b.gone, true); {
		case left.n == before:
		case left.n == 0:
			err = batch.Delete(key, nil)
		default:
			err = batch.Set(key, left.stored(nil), nil)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// times gives the entries of a block their entries' times, and the workspace's zone
// the times that are left.
func (u *unindexing) times(batch *pebble.Batch, block uint64, b *erasedOf) error {
	zone := noZone
	for chunk := range uint64(chunksBlock) {
		first := indexAt(block, 0) + chunk*chunkSize
		key := u.at.appendColumnKey(nil, first)
		value, closer, err := u.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		c := column(bytes.Clone(value))
		if err := errors.Join(c.check(), closer.Close()); err != nil {
			return damaged(key, err)
		}
		all := make([]int64, 0, c.len())
		changed := false
		for i := c.start(); c.within(i); i++ {
			index := first + uint64(i)
			t := c.at(i)
			if own, gone := b.times[index]; gone {
				changed = changed || t != own
				t = own
			}
			if b.all.has(uint16(offsetOf(index))) {
				zone.add(t)
			}
			all = append(all, t)
		}
		if !changed {
			continue
		}
		if err := batch.Set(key, appendColumn(nil, c.start(), all), nil); err != nil {
			return err
		}
	}
	if zone == noZone {
		return nil
	}
	return batch.Set(u.at.appendZoneKey(nil, block, u.workspace), zone.append(nil), nil)
}

// oftenEnough is how often Scrubbed looks again.
const oftenEnough = 20 * time.Millisecond

// Scrubbed returns once the erasure in the entry at an index is folded, and no file
// is there any more that an erased value stood in: views that are open keep some, and
// so does a rebuild that runs. What is left of one that was interrupted it deletes;
// that it can't is an error, and the erasure not complete.
func (l *Live) Scrubbed(ctx context.Context, index uint64) error {
	if err := l.Wait(ctx, index+1); err != nil {
		return err
	}
	tick := time.NewTicker(oftenEnough)
	defer tick.Stop()
	for {
		// A rebuild that begins after the first question finds the payloads gone.
		gone, err := l.alone()
		if gone && err == nil {
			err = l.ask(func(g *generation) (err error) {
				gone, err = g.oldTablesGone()
				return err
			})
		}
		if gone || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("projections: waiting for old files to go: %w", ctx.Err())
		}
	}
}

// oldTablesGone reports whether every table in the folder is one that the store uses.
func (p *Projections) oldTablesGone() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, ErrClosed
	}
	names, err := p.options.FS.List(p.folder.path)
	if err != nil {
		return false, err
	}
	levels, err := p.db.SSTables()
	if err != nil {
		return false, p.failed(err)
	}
	used := map[string]bool{}
	for _, level := range levels {
		for _, table := range level {
			used[table.BackingSSTNum.String()+".sst"] = true
		}
	}
	for _, name := range names {
		if strings.EqualFold(filepath.Ext(name), ".sst") && !used[name] {
			return false, nil
		}
	}
	return true, nil
}
