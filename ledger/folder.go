package ledger

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// folder is the second stage's own state: what the next batch is folded onto.
type folder struct {
	db     *pebble.DB
	state  chain.State
	edge   edge
	heads  map[chain.Hash]chain.Head
	filter *filter
}

// maxCachedHeads bounds the folder's cache of workspaces' heads.
const maxCachedHeads = 128 << 10

// foldAll is the second stage.
func (p *pipeline) foldAll(state chain.State, e edge) {
	f := folder{db: p.l.db, state: state, edge: e, heads: map[chain.Hash]chain.Head{}, filter: p.l.filter}
	finished := false
	defer func() {
		if !finished { // Options.Fatal ended this goroutine
			p.l.stop(&StorageError{Err: errors.New("the store could not go on")})
			for r := range p.runs {
				p.pass(r)
			}
		}
		close(p.synced)
	}()
	for r := range p.runs {
		if len(r.prepared) == 0 && r.gap == nil || p.l.Err() != nil {
			p.pass(r)
			continue
		}
		var a applied
		if r.gap != nil {
			a = f.foldGap(r.gap)
		} else {
			a = f.fold(r.prepared)
		}
		a.bytes, a.flushed = r.bytes, r.flushed
		if a.err != nil {
			// Nothing after this batch may be folded; the last stage says so to all.
			p.synced <- a
			if r.after != nil {
				close(r.after)
			}
			for r := range p.runs {
				p.pass(r)
			}
			break
		}
		p.synced <- a
		if r.after != nil {
			r.after <- f.state
		}
	}
	finished = true
}

// pass hands a run on that isn't folded.
func (p *pipeline) pass(r run) {
	if r.after != nil {
		close(r.after)
	}
	p.synced <- applied{bytes: r.bytes, flushed: r.flushed}
}

// fold folds a run and applies it. What was folded before an error is applied
// all the same.
func (f *folder) fold(prepared []chain.Prepared) applied {
	known, err := f.known(prepared)
	var evidence *ErasureError
	if errors.As(err, &evidence) {
		return applied{err: evidence}
	}
	if err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	result, foldErr := f.state.Fold(prepared, known)
	if result.Messages == 0 {
		return applied{err: foldErr}
	}
	return f.apply(&result, foldErr)
}

// apply writes what a fold gave, which stopped with an error or didn't.
func (f *folder) apply(result *chain.Result, foldErr error) applied {
	w := newWriter(f.db, f.edge, result)
	var evidence *ErasureError
	if err := w.stage(result); errors.As(err, &evidence) {
		return applied{err: evidence}
	} else if err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	if err := f.db.ApplyNoSyncWait(w.batch, pebble.Sync); err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	f.state, f.edge = result.State, w.edge
	for i := range result.Entries {
		if e := &result.Entries[i]; e.First {
			f.filter.add(&e.Key)
		}
	}
	if len(f.heads) > maxCachedHeads {
		clear(f.heads)
	}
	for tag, head := range result.Heads {
		f.heads[tag] = head
	}
	root, err := f.edge.root()
	if err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	return applied{
		batch:   w.batch,
		head:    Head{Size: f.state.Size, Root: root, Last: f.state.Last, State: f.state},
		entries: result.Entries,
		gone:    w.gone,
		err:     foldErr,
	}
}
