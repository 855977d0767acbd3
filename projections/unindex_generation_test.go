package projections

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var errNotDeleted = errors.New("it can't be deleted")

// erasing is live projections of a ledger in which a user's records are to be erased.
type erasing struct {
	t     *testing.T
	model *model
	fs    vfs.FS
	o     Options
	live  *Live
	gone  []uint64
	stuck atomic.Bool // generation 1 can't be deleted
}

func newErasing(t *testing.T) *erasing {
	t.Helper()
	e := &erasing{t: t, model: newModel(), fs: vfs.NewMem()}
	for i := range 3000 {
		user := idOf(i % 100)
		index := e.model.add(spec{
			kind: chain.KindRecord, workspace: "w", subject: "activity.w.app.renamed",
			body: []byte(`{"actor":{"id":"` + user + `"},"object":{"type":"app","id":"of ` + user + `"}}`),
		})
		if i%100 == 42 {
			e.gone = append(e.gone, index)
		}
	}
	e.o = small(errorfs.Wrap(e.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if e.stuck.Load() && strings.HasPrefix(op.Path, "projections/1") && (op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRemoveAll) {
			return errNotDeleted
		}
		return nil
	})))
	e.open()
	check(t, e.live.Fold(e.model.all()))
	return e
}

func (e *erasing) open() {
	e.t.Helper()
	var err error
	e.live, err = OpenLive("projections", e.model.ledger, e.o)
	check(e.t, err)
}

// until is the ledger's entries, of which one calls back.
func (e *erasing) until(at uint64, call func()) Leaves {
	return func(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
		return func(yield func(chain.Leaf, error) bool) {
			for leaf, err := range e.model.from(from, to) {
				if leaf.Entry.Index == at {
					call()
				}
				if !yield(leaf, errors.Join(err, ctx.Err())) || ctx.Err() != nil {
					return
				}
			}
		}
	}
}

// interrupt begins a rebuild and stops it near the ledger's end.
func (e *erasing) interrupt() {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	defer cancel()
	size := e.model.size()
	if err := e.live.Rebuild(ctx, e.until(2500, cancel), func() uint64 { return size }, nil); !errors.Is(err, context.Canceled) {
		e.t.Fatalf("a rebuild that was stopped: %v", err)
	}
}

// erase erases the user's records, and folds that.
func (e *erasing) erase() (index uint64) {
	e.t.Helper()
	gone := &chain.Gone{Workspace: tagOf("w"), Indexes: e.gone}
	for _, i := range e.gone {
		gone.Millis = append(gone.Millis, uint64(millis(i)))
	}
	index = e.model.add(spec{kind: chain.KindControl})
	e.model.leaves.leaves[index].Gone = gone
	check(e.t, e.live.Fold(e.model.from(index, index+1)))
	return index
}

// waits asks once whether an erasure is complete, and it must not be.
func (e *erasing) waits(index uint64) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	cancel()
	if err := e.live.Scrubbed(ctx, index); !errors.Is(err, context.Canceled) {
		e.t.Errorf("the erasure is not waited for: %v", err)
	}
}

func (e *erasing) holds(dir string) {
	e.t.Helper()
	if len(grep(e.t, e.fs, dir, idOf(42))) == 0 {
		e.t.Fatalf("%s holds nothing of the user: this test would see nothing", dir)
	}
}

// TestErasedGenerations: an erasure is complete only when no generation beside the
// one that serves holds a value that was erased, however it came to stay there.
func TestErasedGenerations(t *testing.T) {
	for name, prepare := range map[string]func(e *erasing) (index uint64){
		"a rebuild was interrupted": func(e *erasing) uint64 {
			e.interrupt()
			e.holds("projections/2")
			return e.erase()
		},
		"in the process before": func(e *erasing) uint64 {
			e.interrupt()
			check(e.t, e.live.Close())
			e.open()
			e.holds("projections/2")
			return e.erase()
		},
		"between the erasure and its end": func(e *erasing) uint64 {
			e.interrupt()
			index := e.erase()
			check(e.t, e.live.Close())
			e.open()
			e.holds("projections/2")
			return index
		},
		"a rebuild runs, and is stopped": func(e *erasing) (index uint64) {
			ctx, cancel := context.WithCancel(e.t.Context())
			defer cancel()
			size := e.model.size()
			begun, resume, ended := make(chan struct{}), make(chan struct{}), make(chan error)
			go func() {
				ended <- e.live.Rebuild(ctx, e.until(2500, func() { close(begun); <-resume }), func() uint64 { return size }, nil)
			}()
			<-begun
			index = e.erase()
			e.waits(index)
			cancel()
			close(resume)
			if err := <-ended; !errors.Is(err, context.Canceled) {
				e.t.Fatalf("a rebuild that was stopped: %v", err)
			}
			e.holds("projections/2")
			return index
		},
		"a view keeps an old one": func(e *erasing) uint64 {
			v, err := e.live.View()
			check(e.t, err)
			check(e.t, e.live.Rebuild(e.t.Context(), e.until(0, func() {}), e.model.size, nil))
			index := e.erase()
			e.waits(index)
			e.holds("projections/1")
			check(e.t, v.Close())
			return index
		},
		"an old one can't be deleted": func(e *erasing) uint64 {
			e.stuck.Store(true)
			check(e.t, e.live.Rebuild(e.t.Context(), e.until(0, func() {}), e.model.size, nil))
			e.live.retired.Wait()
			index := e.erase()
			if err := e.live.Scrubbed(e.t.Context(), index); !errors.Is(err, errNotDeleted) {
				e.t.Errorf("the erasure is complete, or why not isn't said: %v", err)
			}
			e.holds("projections/1")
			e.stuck.Store(false)
			return index
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newErasing(t)
			defer func() { check(t, e.live.Close()) }()
			index := prepare(e)
			check(t, e.live.Scrubbed(t.Context(), index))
			if found := grep(t, e.fs, "projections", idOf(42)); len(found) > 0 {
				t.Errorf("the erased user stands in %v", found)
			}
			if numbers := e.live.folder.found(); len(numbers) != 1 {
				t.Errorf("generations %d are there", numbers)
			}
			// What was deleted is folded anew by the next rebuild.
			check(t, e.live.Rebuild(t.Context(), e.until(0, func() {}), e.model.size, nil))
		})
	}
}
