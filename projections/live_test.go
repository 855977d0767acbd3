package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// growing is a ledger that grows while it is read, and what is true of it.
type growing struct {
	mu sync.RWMutex
	*leaves
	said []said
	gate func(index uint64) // unless nil, called before a leaf is handed out
	from []uint64           // where each reading began
}

// said is what one of its records says.
type said struct{ workspace, user, typ string }

func newGrowing(n int) *growing {
	g := &growing{leaves: newLeaves()}
	g.grow(n)
	return g
}

// grow adds n records.
func (g *growing) grow(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		i := len(g.said)
		s := said{fmt.Sprint("ws", i%3), fmt.Sprint("u", i*i%7), fmt.Sprint("t", i%5)}
		g.said = append(g.said, s)
		g.add(spec{
			kind: chain.KindRecord, workspace: s.workspace, subject: "activity." + s.workspace + "._",
			body: fmt.Appendf(nil, `{"type":%q,"actor":{"type":"user","id":%q}}`, s.typ, s.user),
		})
	}
}

func (g *growing) size() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.leaves.size()
}

// read hands out the entries [from, to), as a ledger's iterator does.
func (g *growing) read(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	g.mu.Lock()
	g.from = append(g.from, from)
	still := &leaves{leaves: slices.Clip(g.leaves.leaves)}
	gate := g.gate
	g.mu.Unlock()
	return func(yield func(chain.Leaf, error) bool) {
		for leaf := range still.from(from, min(to, still.size())) {
			if gate != nil {
				gate(leaf.Entry.Index)
			}
			if err := ctx.Err(); err != nil {
				yield(chain.Leaf{}, err)
				return
			}
			if !yield(leaf, nil) {
				return
			}
		}
	}
}

// questions are asked of every view.
var questions = func() (all []said) {
	for _, w := range []string{"ws0", "ws2", "nobody's"} {
		all = append(all, said{workspace: w}, said{workspace: w, user: "u1"}, said{workspace: w, user: "u4", typ: "t3"}, said{workspace: w, typ: "t0"})
	}
	return all
}()

// answers are what a ledger of size answers to the questions, by looking at each
// entry: totals, and the newest entries.
func (g *growing) answers(size uint64) string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var b strings.Builder
	for _, q := range questions {
		found := []uint64{}
		for i, s := range g.said[:size] {
			if s.workspace == q.workspace && (q.user == "" || q.user == s.user) && (q.typ == "" || q.typ == s.typ) {
				found = append(found, uint64(i))
			}
		}
		n := len(found)
		slices.Reverse(found)
		fmt.Fprintln(&b, q, n, found[:min(n, 20)])
	}
	return b.String()
}

// answersOf asks a view, as of a size.
func answersOf(v *View, size uint64) (string, error) {
	if size == 0 {
		size = 1 // of which To: 0 would be no bound
	}
	var b strings.Builder
	for _, s := range questions {
		q := Query{Workspace: tagOf(s.workspace), To: size, Limit: 20}
		if s.user != "" {
			q.Where = append(q.Where, Condition{Field: FieldUser, Any: []Value{{A: s.user}}})
		}
		if s.typ != "" {
			q.Where = append(q.Where, Condition{Field: FieldType, Any: []Value{{A: s.typ}}})
		}
		page, err := v.Page(context.Background(), q)
		if err != nil {
			return "", err
		}
		count, err := v.Count(context.Background(), q)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, s, count.N, page.Indexes)
	}
	return b.String(), nil
}

// verify holds a view to the ledger, as of its own size and as of others.
func (g *growing) verify(v *View, sizes ...uint64) error {
	for _, size := range append(sizes, v.Cursor()) {
		if got, err := answersOf(v, size); err != nil || got != g.answers(size) {
			return fmt.Errorf("as of %d, the view of %d answers (%v)\n%swant\n%s", size, v.Cursor(), err, got, g.answers(size))
		}
	}
	return nil
}

// verified opens a view and holds it to the ledger.
func (g *growing) verified(t *testing.T, l *Live) {
	t.Helper()
	v, err := l.View()
	check(t, err)
	defer v.Close()
	check(t, g.verify(v))
}

func openLive(t *testing.T, g *growing, o Options) *Live {
	t.Helper()
	l, err := OpenLive("projections", g.ledger, o)
	check(t, err)
	return l
}

// follow folds what the live projections lack.
func (g *growing) follow(t *testing.T, l *Live) {
	t.Helper()
	at, _ := l.Cursor()
	err := l.Fold(g.read(context.Background(), at, g.size()))
	if now, _ := l.Cursor(); errors.Is(err, ErrLineage) && now > at {
		return // a rebuild took over between the two
	}
	check(t, err)
}

// small makes tails short and flushes many. A rebuild reads what it folds next.
func small(fs vfs.FS) Options { return Options{FS: fs, flush: 1 << 6, memTable: 64 << 10, readers: 1} }

// TestRebuild reads, folds and waits while a rebuild runs: every answer is the
// ledger's at its size, nothing goes back, and nobody meets an error. The old
// generation is there until its last view is closed, and then it isn't.
func TestRebuild(t *testing.T) {
	g := newGrowing(6000)
	fs := vfs.NewMem()
	l := openLive(t, g, small(fs))
	g.follow(t, l)
	old, err := l.View() // kept open over the swap
	check(t, err)
	want, err := answersOf(old, 5000)
	check(t, err)

	halfway, resume := make(chan struct{}), make(chan struct{})
	g.gate = func(index uint64) {
		if index == 3000 {
			close(halfway)
			<-resume
		}
	}
	rebuilt := make(chan error, 1)
	go func() { rebuilt <- l.Rebuild(t.Context(), g.read, g.size, nil) }()
	<-halfway
	g.mu.Lock()
	g.gate = nil
	g.mu.Unlock()

	done := make(chan struct{})
	var beside sync.WaitGroup
	for range 2 { // readers
		beside.Go(func() {
			last := uint64(0)
			for {
				v, err := l.View()
				if err != nil {
					t.Error(err)
					return
				}
				if v.Cursor() < last {
					t.Errorf("a view of %d after one of %d", v.Cursor(), last)
				}
				last = v.Cursor()
				if err := errors.Join(g.verify(v, 1, 5000), v.Close()); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	waited := make(chan error, 1)
	go func() { waited <- l.Wait(t.Context(), 8000) }() // before the swap, for what comes after it
	for range 20 {
		g.grow(50)
		g.follow(t, l)
	}
	p := l.Progress()
	if !p.Running || p.Generation != 1 || p.Of < 6000 {
		t.Errorf("while it runs: %+v", p)
	}
	close(resume)
	for n := 0; len(rebuilt) == 0 && n < 500; n++ { // the follower goes on over the swap
		g.grow(2)
		g.follow(t, l)
	}
	check(t, <-rebuilt)
	if p := l.Progress(); p.Running || p.Generation != 2 || p.Err != nil || p.Done < 7000 || p.Folded != p.Done || p.Took <= 0 {
		t.Errorf("afterwards: %+v", p)
	}
	g.grow(1000)
	g.follow(t, l)
	check(t, <-waited)
	g.verified(t, l)
	close(done)
	beside.Wait()

	if again, err := answersOf(old, 5000); err != nil || again != want {
		t.Errorf("the view from before the swap answers (%v)\n%swant\n%s", err, again, want)
	}
	if got := l.folder.found(); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("with a view of the old one open there are the generations %v", got)
	}
	check(t, old.Close())
	l.retired.Wait()
	if got := l.folder.found(); !slices.Equal(got, []uint64{2}) {
		t.Errorf("there are the generations %v", got)
	}
	check(t, l.Close())

	l = openLive(t, g, small(fs))
	defer func() { check(t, l.Close()) }()
	if p := l.Progress(); p.Generation != 2 || l.Restarted() != "" {
		t.Errorf("opened again: %+v, %q", p, l.Restarted())
	}
	g.verified(t, l)
}

// TestSwapHoldsFolding sees the last entries folded into the new generation while
// nothing can be folded into the old one.
func TestSwapHoldsFolding(t *testing.T) {
	g := newGrowing(100)
	l := openLive(t, g, small(vfs.NewMem()))
	defer func() { check(t, l.Close()) }()
	g.follow(t, l)
	held := false
	g.gate = func(uint64) {
		if held = !l.folding.TryLock(); !held {
			l.folding.Unlock()
		}
	}
	// The ledger grows whenever it is looked at, so that something always lacks.
	check(t, l.Rebuild(t.Context(), g.read, func() uint64 { g.grow(1); return g.size() }, nil))
	if !held {
		t.Error("the old generation could be folded on behind the new one's back")
	}
	g.verified(t, l)
}

// TestRebuildSame compares every row of a rebuilt generation with those of one
// that was folded piece by piece.
func TestRebuildSame(t *testing.T) {
	g := newGrowing(0)
	fs := vfs.NewMem()
	l := openLive(t, g, small(fs))
	for range 40 {
		g.grow(77)
		g.follow(t, l)
	}
	check(t, l.Close())
	rows := func() map[string]string {
		n := l.Progress().Generation
		p, err := Open(l.folder.pathOf(n), g.ledger, small(fs))
		check(t, err)
		return rowsOf(t, p)
	}
	before := rows()
	abreast := small(fs)
	abreast.readers = 0
	l = openLive(t, g, abreast)
	check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
	check(t, l.Close())
	after := rows()
	if l.Progress().Generation != 2 || len(after) < 10 {
		t.Fatalf("generation %d has %d rows", l.Progress().Generation, len(after))
	}
	for key, value := range before {
		if after[key] != value {
			t.Errorf("row %x is %x in the rebuilt generation, not %x", key, after[key], value)
		}
	}
	if len(before) != len(after) {
		t.Errorf("%d rows became %d", len(before), len(after))
	}
}

// TestRebuildOnce refuses a second rebuild while one runs, and one after Close.
func TestRebuildOnce(t *testing.T) {
	g := newGrowing(100)
	l := openLive(t, g, small(vfs.NewMem()))
	g.follow(t, l)
	begun, resume := make(chan struct{}), make(chan struct{})
	g.gate = func(index uint64) {
		if index == 50 {
			close(begun)
			<-resume
		}
	}
	check(t, l.StartRebuild(g.read, g.size))
	<-begun
	g.mu.Lock()
	g.gate = nil
	g.mu.Unlock()
	if err := l.Rebuild(t.Context(), g.read, g.size, nil); !errors.Is(err, ErrRebuilding) {
		t.Errorf("a second one: %v", err)
	}
	if err := l.StartRebuild(g.read, g.size); !errors.Is(err, ErrRebuilding) {
		t.Errorf("a second one beside: %v", err)
	}
	swapped := l.Swapped()
	close(resume)
	<-swapped
	l.rebuilds.Wait()
	check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
	if n := l.Progress().Generation; n != 3 {
		t.Errorf("generation %d after two rebuilds", n)
	}
	check(t, l.Close())
	check(t, l.Close())
	if err := l.Rebuild(t.Context(), g.read, g.size, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := l.View(); !errors.Is(err, ErrClosed) {
		t.Errorf("a view after Close: %v", err)
	}
	if err := l.Wait(t.Context(), 1000); !errors.Is(err, ErrClosed) {
		t.Errorf("waiting after Close: %v", err)
	}
}

// TestRebuildHeals has projections into which nothing can be folded any more: a
// rebuild puts others in their place, and tells who waits for that.
func TestRebuildHeals(t *testing.T) {
	g := newGrowing(300)
	fs := vfs.NewMem()
	l := openLive(t, g, small(fs))
	defer func() { check(t, l.Close()) }()
	g.follow(t, l)
	g.grow(10)
	sick := l.serving.Load()
	sick.folder.condemn(l.folder.o.Logger, ErrDamaged)
	sick.announce(ErrDamaged)
	swapped := l.Swapped()
	if err := l.Fold(g.read(t.Context(), 300, 310)); !errors.Is(err, ErrDamaged) || !errors.Is(l.Err(), ErrDamaged) {
		t.Errorf("folded: %v, %v", err, l.Err())
	}
	check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
	<-swapped
	check(t, l.Err())
	g.grow(10)
	g.follow(t, l)
	check(t, l.Wait(t.Context(), 320))
	g.verified(t, l)
	l.retired.Wait()
	if got := l.folder.found(); !slices.Equal(got, []uint64{2}) {
		t.Errorf("there are the generations %v", got)
	}
}
