package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/evidence"
	"annals/cmd/annals/internal/proposal"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// TestSubmittersAtOnce: several who submit the same signed file in the same moment have
// it recorded once, and each is told so. A hold would stand twice if it were recorded
// twice.
func TestSubmittersAtOnce(t *testing.T) {
	s := mustStart(t, options(filepath.Join(t.TempDir(), "data")))
	publishRecord(t, s, told("dana"))
	c := asking(t, s)
	at, err := control.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	hold := chain.Hold{Workspace: s.ledger.Tag("ws_7")}
	p, err := proposal.New(proposal.Run{Ledger: at.Ledger, Number: at.Control, Numbers: 20}, at.Origin,
		proposal.Told{Workspace: "ws_7", Words: "case 12"}, chain.Statement{Type: chain.ControlHold, Body: hold.Append(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(operator(t, s), "Olga"); err != nil {
		t.Fatal(err)
	}
	const submitters = 6
	var mu sync.Mutex
	recorded, before := map[uint64]int{}, map[uint64]int{}
	var wg sync.WaitGroup
	for range submitters {
		wg.Go(func() {
			head := s.ledger.Head()
			to := &proposal.Submission{
				Server: c,
				Entries: func(ctx context.Context) ([]proof.KeyEntry, error) {
					return evidence.Erasures(ctx, c.Client, "ws_7", 0)
				},
				Said: func(o proposal.Outcome) {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case o.Before:
						before[o.Index]++
					case o.Answer.Index != nil:
						recorded[*o.Answer.Index]++
					}
				},
			}
			if err := p.Submit(t.Context(), to, p.Tally(head.State.Roster())); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(recorded) != 1 || len(before) > 1 {
		t.Fatalf("recorded in %v, before in %v", recorded, before)
	}
	for index, n := range recorded {
		if n != 1 || before[index] != submitters-1 {
			t.Errorf("recorded by %d in %d, and %v were told of it", n, index, before)
		}
	}
	if head := s.ledger.Head(); len(head.State.Holds()) != 1 {
		t.Errorf("%d holds stand", len(head.State.Holds()))
	}
}

// TestTooFewSigners: what the keys in force don't carry is not published, and the answer
// says how many of how many have signed and what to do.
func TestTooFewSigners(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	a, b := chaintest.Signer("a"), chaintest.Signer("b")
	o.Erasers, o.ErasersNeeded = []chain.Key{a.Public(chain.RoleEraser), b.Public(chain.RoleEraser)}, 2
	s := mustStart(t, o)
	publishRecord(t, s, told("dana"))
	for name, c := range map[string]struct {
		signer chain.Signer
		count  int
	}{"the operator": {operator(t, s), 0}, "one eraser": {a, 1}} {
		size := s.ledger.Head().State.ControlSequence
		_, err := tryErase(t, s, "dana", c.signer)
		var p *client.Problem
		want := fmt.Sprintf("%d of 2: this server signs nothing of it; propose it", c.count)
		if !errors.As(err, &p) || p.Code != "control_refused" || !strings.Contains(p.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if s.ledger.Head().State.ControlSequence != size {
			t.Errorf("%s: something was published", name)
		}
	}
}
