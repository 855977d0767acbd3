package signer

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// errWrite is what a disk that fails says.
var errWrite = errors.New("the disk failed")

// run is one interleaving: a ledger that grows, is restored and forks, a signer that
// dies anywhere, and whatever anybody was ever shown.
type run struct {
	t    *testing.T
	r    *rand.Rand
	o    Options
	h    *history
	s    *Signer
	fate int // of the next write
	fork uint64

	shown Checkpoint // the last one that anybody saw
}

// What becomes of a write.
const (
	fine = iota
	lost
	writtenButErrored
	diesBefore
	diesAfter
)

type death struct{}

func (r *run) write(path string, data []byte) error {
	fate := r.fate
	r.fate = fine
	switch fate {
	case lost:
		return errWrite
	case diesBefore:
		panic(death{})
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	switch fate {
	case writtenButErrored:
		return errWrite
	case diesAfter:
		panic(death{})
	}
	return nil
}

// start is a process that begins.
func (r *run) start() {
	r.s = open(r.o, origin, r.h.tree())
	r.look()
}

// sign is an attempt, which the process may not survive.
func (r *run) sign() {
	defer func() {
		if v := recover(); v != nil {
			if _, died := v.(death); !died {
				panic(v)
			}
			r.start()
		}
	}()
	_ = r.s.Sign(r.t.Context())
	r.look()
}

// look asks for the last checkpoint, and holds it against the one before.
func (r *run) look() {
	c, ok := r.s.Latest()
	if !ok {
		return
	}
	if on, _, err := r.s.files.last(); err != nil || string(on.Note) != string(c.Note) && on.Size < c.Size {
		r.t.Errorf("size %d is shown, and the disk has %d: %v", c.Size, on.Size, err)
	}
	if c.Size < r.shown.Size {
		r.t.Errorf("size %d is shown after %d", c.Size, r.shown.Size)
	}
	if r.shown.Size > 0 {
		between, err := r.h.consistency(r.shown.Size, c.Size)
		if err != nil {
			r.t.Fatal(err)
		}
		p := make(tlog.TreeProof, len(between))
		for i := range between {
			p[i] = tlog.Hash(between[i])
		}
		if err := tlog.CheckTree(p, int64(c.Size), tlog.Hash(c.Root), int64(r.shown.Size), tlog.Hash(r.shown.Root)); err != nil {
			r.t.Errorf("sizes %d and %d were both shown, and are not of one history", r.shown.Size, c.Size)
		}
	}
	if c.Root != r.h.root(c.Size) {
		r.t.Errorf("size %d is shown, and the ledger can't prove it", c.Size)
	}
	r.shown = c
}

func (r *run) step() {
	switch p := r.r.IntN(100); {
	case p < 35:
		r.h.grow(1+r.r.IntN(5), r.fork)
	case p < 70:
		r.sign()
	case p < 78:
		r.fate = 1 + r.r.IntN(4)
		r.sign()
		r.fate = fine
	case p < 86:
		r.start()
	case p < 92: // an older copy of the same history
		r.h.cut(1 + uint64(r.r.Int64N(int64(r.h.size))))
		r.start()
	case p < 94: // an older copy that goes on otherwise
		r.h.cut(1 + uint64(r.r.Int64N(int64(r.h.size))))
		r.fork++
		r.start()
	default:
		r.h.grow(1, r.fork)
		r.sign()
	}
}

// TestNeverBack: whatever happens to ledger, disk and process, what is shown is on
// disk first, is of one history, and never goes back.
func TestNeverBack(t *testing.T) {
	folder := mustKeys(t, false)
	forked, shown := 0, 0
	for seed := range uint64(1000) {
		r := &run{t: t, r: rand.New(rand.NewPCG(seed, 0)), h: newHistory(folder)}
		r.o = Options{Keys: folder, Check: ours, Path: t.TempDir(), write: r.write}
		r.h.grow(1, 0)
		r.start()
		for range 40 {
			r.step()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		if contradicts(r.s.Err()) {
			forked++
		}
		if r.shown.Size > 0 {
			shown++
		}
	}
	if forked < 50 || shown < 900 {
		t.Errorf("%d runs ended forked and %d showed anything: the test looks at too little", forked, shown)
	}
}

// TestDiesBetween: a process that dies after a checkpoint is on disk and before
// anybody has seen it goes on from that checkpoint.
func TestDiesBetween(t *testing.T) {
	folder := mustKeys(t, false)
	r := &run{t: t, h: newHistory(folder)}
	r.o = Options{Keys: folder, Check: ours, Path: t.TempDir(), write: r.write}
	r.h.grow(3, 0)
	r.start()
	r.fate = diesAfter
	r.sign()
	if c, ok := r.s.Latest(); !ok || c.Size != 3 {
		t.Fatalf("after a death between disk and publishing: %d, %v", c.Size, ok)
	}
	// The ledger loses its end, which was signed and durable: nothing is signed until
	// it is there again, and nothing if it comes back otherwise.
	r.h.cut(2)
	r.start()
	if _, ok := r.s.Latest(); ok {
		t.Error("a checkpoint is shown that the ledger has no tree for")
	}
	var behind *BehindError
	if err := r.s.Sign(context.Background()); !errors.As(err, &behind) || behind.Signed != 3 || behind.Size != 2 {
		t.Errorf("an older copy: %v", err)
	}
	r.h.grow(2, 0)
	r.sign()
	if c, _ := r.s.Latest(); c.Size != 4 {
		t.Errorf("the same entries again: %d, %v", c.Size, r.s.Err())
	}
	r.h.cut(2)
	r.start()
	r.h.grow(9, 1)
	if err := r.s.Sign(context.Background()); !contradicts(err) {
		t.Errorf("other entries: %v", err)
	}
	if _, ok := r.s.Latest(); ok {
		t.Error("a checkpoint is shown that the ledger contradicts")
	}
}
