package ledger_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

var races = flag.Int("races", 40, "how often a hold and an erasure are raced")

// TestHoldRacesErase: a hold and an erasure, or an expiry, of one record are signed in
// the same moment by two who know nothing of each other, and signed anew while another
// control message came first. However that ends, a record whose hold was accepted while
// it was there is never lost.
func TestHoldRacesErase(t *testing.T) {
	s := chaintest.NewKeyed("races")
	l := create(t, s, ledger.Options{})
	defer func() { _ = l.Close() }()
	tag := l.Tag("ws_7")
	var mu sync.Mutex // the stream: it puts messages into an order
	append1 := func(publish func()) (kind chain.Kind, code uint16) {
		mu.Lock()
		defer mu.Unlock()
		publish()
		err := l.Append(t.Context(), s.Messages[len(s.Messages)-1:])
		if err == nil {
			err = l.Flush(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
		leaf, _, err := l.Get(l.Head().Size - 1)
		if err != nil {
			t.Error(err)
			return 0, 0
		}
		return leaf.Entry.Kind, leaf.Entry.Code
	}
	append1(func() {
		s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: tag, Types: "*", Period: 1})
	})
	won := map[string]int{}
	for round := range *races {
		append1(func() { s.Record("ws_7", fmt.Sprint(round), `"evidence"`) })
		mu.Lock()
		s.Now += int64(2 * time.Second)
		index := l.Head().Size - 1
		mu.Unlock()
		// sign makes a statement of what the ledger is now; it is published later.
		sign := func(hold bool) func() {
			head := l.Head()
			var leaf chain.Hash
			if err := l.GetMany([]uint64{index}, func(_ *chain.Leaf, h chain.Hash) error { leaf = h; return nil }); err != nil {
				t.Error(err)
			}
			ranges := []chain.Range{{From: index, To: index + 1}}
			leaves, _ := chain.SelectionHash(l.ID(), tag, ranges, func(uint64) (chain.Hash, error) { return leaf, nil })
			return func() {
				s.Control = head.State.Control // as it was when it was signed
				e := chain.Erase{Role: chain.RoleOperator, Reason: chain.EraseRequest, Rule: chain.NoRef, Workspace: tag, Parts: 1, Ranges: ranges, Leaves: leaves, Selection: leaves}
				switch {
				case hold:
					s.Hold(head.Size, head.Root, chain.Hold{Workspace: tag, Ranges: ranges, Leaves: leaves})
				case round%2 == 0:
					s.Erase(head.Size, head.Root, e, "")
				default:
					e.Role, e.Reason, e.Rule = chain.RoleLedger, chain.EraseExpired, 2
					s.Expire(head.Size, head.Root, e)
				}
			}
		}
		var wg sync.WaitGroup
		for _, hold := range []bool{true, false} {
			wg.Go(func() {
				for {
					if kind, code := append1(sign(hold)); kind != chain.KindRejection || code != uint16(chain.CodeControlNumber) {
						return
					}
				}
			})
		}
		wg.Wait()
		heldAt, goneAt := uint64(0), uint64(0)
		for at := index + 1; at < l.Head().Size; at++ {
			leaf, _, err := l.Get(at)
			if err != nil {
				t.Fatal(err)
			}
			switch e := &leaf.Entry; {
			case e.Kind != chain.KindControl:
			case chain.ControlType(e.Code) == chain.ControlHold:
				heldAt = at
			default:
				goneAt = at
			}
		}
		leaf, _, err := l.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		there := leaf.Payload != nil
		switch {
		case heldAt == 0:
			t.Fatalf("round %d: the hold was never placed", round)
		case goneAt > heldAt, there == (goneAt > 0):
			t.Fatalf("round %d: held in entry %d, destroyed in %d, the payload is there: %v", round, heldAt, goneAt, there)
		case there:
			won["hold"]++
		default:
			won["erasure"]++
		}
		append1(func() {
			head := l.Head()
			s.Control = head.State.Control
			s.Release(head.State.Holds()[0].Number)
		})
	}
	t.Logf("%d rounds: %v", *races, won)
}

// governed is a stream in which records, rules, holds, releases, catalogues, erasures and expiries
// come as chance has it.
func governed(t testing.TB, rng *rand.Rand, name string) *chaintest.Stream {
	s := chaintest.NewKeyed(name)
	l, err := chaintest.NewLog(s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for range 60 {
		s.Control = l.State.Control
		root, _ := l.At(l.State.Size)
		var some []uint64
		for i := range l.Entries {
			if e := &l.Entries[i].Entry; e.Workspace == l.State.Tag("ws_7") && e.Kind != chain.KindDuplicate && rng.IntN(6) == 0 {
				some = append(some, e.Index)
			}
		}
		switch n := rng.IntN(11); {
		case n == 10:
			s.Catalogue(l.State.Tag([]string{"ws_7", "ws_8"}[rng.IntN(2)]), []string{`{}`, `{"strict":true}`, "none"}[rng.IntN(3)])
		case n < 5 || len(some) == 0:
			s.Record("ws_7", fmt.Sprint(rng.IntN(20)), fmt.Sprint(rng.IntN(2)))
		case n == 5:
			s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: []string{"*", "app.*"}[rng.IntN(2)], Period: rng.Uint64N(60)})
		case n == 6:
			s.Hold(l.State.Size, root, chaintest.Holding(l, "ws_7", some...))
		case n == 7 && len(l.State.Holds()) > 0:
			s.Release(l.State.Holds()[rng.IntN(len(l.State.Holds()))].Number)
		case n == 8:
			rules := l.State.Rules()
			s.Expire(l.State.Size, root, chaintest.Expiry(l, rules[rng.IntN(len(rules))].At, "ws_7", some...))
		default:
			s.Erase(l.State.Size, root, chaintest.Select(l, "ws_7", some...), "")
		}
		s.Now += int64(rng.IntN(20)) * int64(time.Second)
		if err := l.Fold(s.Messages[done:], func(n int) int { return n }); err != nil {
			t.Fatal(err)
		}
		done = len(s.Messages)
	}
	return s
}

// TestGovernedLedgersAreEqual: what was destroyed is never there again. A ledger that
// was stopped and opened anew at any point, and one that folds the whole stream at once,
// hold entry for entry and payload for payload what the fold in memory has, and an audit
// calls them clean.
func TestGovernedLedgersAreEqual(t *testing.T) {
	streams := uint64(12)
	if testing.Short() {
		streams = 3
	}
	destroyed := map[chain.ControlType]int{}
	for seed := range streams {
		rng := rand.New(rand.NewPCG(seed, 19))
		s := governed(t, rng, fmt.Sprint("governed ", seed))
		want := fold(t, s)
		for _, stops := range []bool{false, true} {
			fs := vfs.NewMem()
			l := create(t, s, ledger.Options{FS: fs})
			for at := 2; at < len(s.Messages); {
				n := len(s.Messages) - at
				if stops {
					n = 1 + rng.IntN(n)
				}
				if err := l.Append(t.Context(), s.Messages[at:at+n]); err != nil {
					t.Fatal(err)
				}
				at += n
				if err := l.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if stops {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					var err error
					if l, err = ledger.Open("ledger", ledger.Options{FS: fs}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if root, _ := want.At(want.State.Size); l.Head().Root != root {
				t.Fatalf("seed %d: another root", seed)
			}
			for leaf, err := range l.Leaves(t.Context(), 0, l.Head().Size) {
				if err != nil {
					t.Fatal(err)
				}
				e := &leaf.Entry
				if bare := want.Entries[e.Index].Bare(); bare != (leaf.Payload == nil) {
					t.Errorf("seed %d, stops %v: %s entry %d has a payload: %v, want %v", seed, stops, e.Kind, e.Index, leaf.Payload != nil, !bare)
				}
				if _, ok := e.Erases(); ok {
					destroyed[chain.ControlType(e.Code)]++
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			source, err := ledger.OpenForAudit("ledger", ledger.Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			if err := source.CheckTables(t.Context()); err != nil {
				t.Error(err)
			}
			if r, err := proof.Audit(t.Context(), source, proof.Options{}); err != nil || r.Verdict != proof.Clean {
				t.Errorf("seed %d, stops %v: %v %s %+v", seed, stops, err, r.Sentence, r.Findings)
			}
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if destroyed[chain.ControlErase] == 0 || destroyed[chain.ControlExpire] == 0 {
		t.Errorf("nothing was tried: %v", destroyed)
	}
}
