package cosign_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/proof"
)

// faulty is one run: a ledger that grows and signs, the collector that asks for
// cosignatures, and witnesses that are down, slow, lying or restarted.
type faulty struct {
	t       *testing.T
	r       *rand.Rand
	l       *ledger
	fork    uint64
	trees   []*tree // every history that the key signed, the last one is the ledger's
	net     *network
	nodes   []*node
	honest  map[*node]bool // those that keep what they cosigned, and never lie
	checked map[*node]int  // how much of what it cosigned was looked at
	policy  *proof.Policy
	need    int
	dir     string

	c    *cosign.Collector
	stop func()
	seen uint64 // size of the last witnessed checkpoint that this folder showed
}

func newFaulty(t *testing.T, seed uint64) *faulty {
	r := rand.New(rand.NewPCG(seed, 5))
	f := &faulty{
		t: t, r: r, l: newLedger(), dir: filepath.Join(t.TempDir(), "ledger"),
		net:    &network{r: rand.New(rand.NewPCG(seed, 6)), nodes: map[string]*node{}},
		honest: map[*node]bool{}, checked: map[*node]int{},
	}
	f.trees = []*tree{f.l.tree}
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var vkeys []string
	for i := range 1 + r.IntN(4) {
		n := newNode(t, fmt.Sprintf("w%d", i), t.TempDir(), f.l.vkey, toDisk)
		f.nodes = append(f.nodes, n)
		f.net.nodes[fmt.Sprintf("w%d.example", i)] = n
		f.honest[n] = r.IntN(4) > 0
		vkeys = append(vkeys, n.vkey)
	}
	f.need = 1 + r.IntN(len(f.nodes))
	f.policy = mustPolicy(t, f.need, vkeys...)
	f.start()
	return f
}

// start is a process that begins.
func (f *faulty) start() {
	o := cosign.Options{
		Policy: f.policy, Next: f.l.next, Consistency: f.l.consistency, Path: f.dir, Client: &http.Client{
			Transport: f.net, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	o.Hooks(toDisk, func(failures int) time.Duration { return time.Duration(failures) * 700 * time.Millisecond }, nil)
	var err error
	if f.c, err = cosign.New(o); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		f.c.Run(ctx)
		close(done)
	}()
	f.stop = func() {
		cancel()
		<-done
	}
}

// step is something that happens.
func (f *faulty) step() {
	begun := time.Now()
	switch p := f.r.IntN(100); {
	case p < 45:
		f.l.grow(1+f.r.IntN(40), f.fork)
		f.l.sign()
	case p < 70:
		n := f.nodes[f.r.IntN(len(f.nodes))]
		switch f.r.IntN(3) {
		case 0:
			n.set(well)
		case 1:
			n.set([]int{down, stalled, slow, lost, failing}[f.r.IntN(5)])
		default:
			if !f.honest[n] {
				n.set(f.r.IntN(ways))
			}
		}
	case p < 80:
		n := f.nodes[f.r.IntN(len(f.nodes))]
		n.restart(!f.honest[n] && f.r.IntN(2) == 0)
	case p < 90:
		f.stop()
		f.start()
	case p < 93 && f.l.tree.size > 4:
		f.restore(1+uint64(f.r.Int64N(int64(f.l.tree.size-1))), f.r.IntN(2) == 0)
	}
	// What the ledger does waits for no witness: no time went by.
	if took := time.Since(begun); took != 0 {
		f.t.Errorf("recording, signing or serving waited %s for witnesses", took)
	}
	time.Sleep(time.Duration(f.r.IntN(4000)) * time.Millisecond)
	f.look()
}

// restore goes back to an older copy of ledger and folder, which grows again: with
// the same entries, or with others.
func (f *faulty) restore(size uint64, same bool) {
	f.stop()
	old := f.l
	f.l = newLedger()
	f.l.tree = old.tree.cut(size)
	for _, name := range []string{"witnessed", "cosigned"} { // the copy had none yet, or these
		if f.r.IntN(2) == 0 {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	f.seen = 0
	if !same {
		f.fork++
	}
	f.trees = append(f.trees, f.l.tree)
	f.l.grow(1, f.fork)
	f.l.sign()
	f.start()
}

// look asks for everything that is shown, and holds it against the policy, the
// ledger and what was shown before.
func (f *faulty) look() {
	begun := time.Now()
	f.l.mu.Lock()
	last := f.l.last
	f.l.mu.Unlock()
	if last.Size > 0 {
		if _, _, err := f.policy.Judge(f.c.Dress(last.Size, last.Note)); err != nil {
			f.t.Errorf("the checkpoint is served with a line that isn't valid: %v", err)
		}
	}
	size, n := f.c.Witnessed()
	if size > 0 {
		c, met, err := f.policy.Judge(n)
		if err != nil || !met || c.Size != size {
			f.t.Errorf("size %d is said to be witnessed, and the policy says %v, %v", size, met, err)
		}
		if size > f.l.tree.size || c.Root != f.l.tree.root(size) {
			f.t.Errorf("size %d is said to be witnessed, and is another history's", size)
		}
	}
	if size < f.seen {
		f.t.Errorf("size %d was witnessed, and now it is %d", f.seen, size)
	}
	f.seen = size
	_ = f.c.Status()
	if took := time.Since(begun); took != 0 {
		f.t.Errorf("serving waited %s for witnesses", took)
	}
	for n := range f.honest {
		f.oneHistory(n)
	}
}

// oneHistory checks that an honest witness cosigned one history.
func (f *faulty) oneHistory(n *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := max(f.checked[n], 1); i < len(n.took) && f.honest[n]; i++ {
		before, now := n.took[i-1], n.took[i]
		ok := false
		for _, tree := range f.trees {
			ok = ok || now.Size >= before.Size && tree.size >= now.Size && tree.root(now.Size) == now.Root && tree.root(before.Size) == before.Root
		}
		if !ok {
			f.t.Errorf("%s cosigned two histories:\n%s\n%s", n.name, before.Note, now.Note)
		}
	}
	f.checked[n] = len(n.took)
}

// mend ends all faults but the lies, and reports whether the policy is met.
func (f *faulty) mend() (met, can bool) {
	honest := 0
	for _, n := range f.nodes {
		if f.honest[n] {
			n.set(well)
			honest++
		}
	}
	for _, tree := range f.trees { // a copy that was restored has caught up with its stream
		f.l.grow(int(max(tree.size, f.l.tree.size)-f.l.tree.size), f.fork)
	}
	for range 20 {
		f.l.grow(1, f.fork)
		f.l.sign()
		time.Sleep(10 * time.Second)
		f.look()
	}
	f.l.mu.Lock()
	newest := f.l.last.Size
	f.l.mu.Unlock()
	size, _ := f.c.Witnessed()
	return size == newest, honest >= f.need
}

// TestFaults: whatever witnesses do, an honest one cosigns one history, nothing
// waits for any of them, what is shown is valid, and the policy is met again once
// enough are honest and up.
func TestFaults(t *testing.T) {
	var met, refused, forked int
	runs := 200
	if testing.Short() {
		runs = 40
	}
	for seed := range uint64(runs) {
		synctest.Test(t, func(t *testing.T) {
			f := newFaulty(t, seed)
			for range 40 {
				f.step()
			}
			was := f.seen
			ended, can := f.mend()
			switch {
			case ended:
				met++
			case can && f.fork == 0:
				t.Errorf("seed %d: %d of %d are needed and honest, and size %d is witnessed: %+v", seed, f.need, len(f.nodes), f.seen, f.c.Status())
			case f.fork > 0:
				forked++
			default:
				refused++
			}
			if f.seen < was {
				t.Errorf("seed %d: %d was witnessed", seed, was)
			}
			f.stop()
			for _, n := range f.nodes {
				if err := n.w.Close(); err != nil {
					t.Error(err)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
	t.Logf("%d runs ended witnessed, %d with another history than was cosigned, %d with too few honest witnesses", met, forked, refused)
	if met < runs/4 || forked < runs/4 || refused < runs/40 {
		t.Error("the test looks at too little")
	}
}
