package proof

import (
	"fmt"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// ofLog is a folded ledger with what stands beside it, seeds that were destroyed left
// out as a ledger does.
func ofLog(l *chaintest.Log, destroyed ...int) *memory {
	m := &memory{}
	for i := range l.Entries {
		f := &l.Entries[i]
		r := row{raw: f.Raw}
		if !f.Bare() {
			r.payload = f.Payload.Clone()
		}
		m.rows = append(m.rows, r)
	}
	for _, i := range destroyed {
		m.rows[i].payload = nil
	}
	m.seal()
	return m
}

// erasedLedger is a ledger with an erasure (entry 25) of entries 2, 4 and 5, and so of
// 22, a duplicate of 2; behind it a repeat that isn't compared (26), and what repeats
// a record that stands (27). With trim, entry 28 lets go of all that seed 0 salted.
func erasedLedger(t *testing.T, trim bool) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s := chaintest.NewKeyed("erased")
	l, err := chaintest.NewLog(s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	fold := func() (size uint64, root chain.Hash, sequence uint64) {
		t.Helper()
		if err := l.Fold(s.Messages[done:], func(n int) int { return n }); err != nil {
			t.Fatal(err)
		}
		done = len(s.Messages)
		root, sequence = l.At(l.State.Size)
		return l.State.Size, root, sequence
	}
	for i := range 20 {
		s.Record("ws_7", fmt.Sprint(i), `{}`)
	}
	s.Record("ws_7", "0", `{}`)
	s.Seed()
	s.Record("ws_8", "0", `{}`)
	// The duplicate is entry 22, the seed 23, ws_8's record 24.
	size, root, _ := fold()
	s.Erase(size, root, chaintest.Select(l, "ws_7", 2, 4, 5), "by Erin")
	s.Record("ws_7", "0", `{}`)
	s.Record("ws_7", "10", `{}`)
	size, root, sequence := fold()
	if trim {
		s.Trim(size, root, sequence-1, map[string]uint64{"a": sequence})
		fold()
	}
	return s, l
}

// TestErasedLedgers: what a signed statement erases is gone lawfully, and the report
// says so; until a trim a seed is still there, and behind it it is not.
func TestErasedLedgers(t *testing.T) {
	for _, trim := range []bool{false, true} {
		_, l := erasedLedger(t, trim)
		m := ofLog(l)
		if trim {
			m = ofLog(l, 1)
		}
		for _, chunk := range []int{2, 8, 1024} {
			for _, only := range []bool{false, true} {
				r := mustBeClean(t, m, Options{Chunk: chunk, EntriesOnly: only})
				said := 0
				for _, n := range r.Notices {
					if n.Notice == Erased {
						said++
						if *n.Index != 25 || !only && !strings.Contains(n.Detail, "what 4 entries held: request") {
							t.Errorf("at %d: %s", *n.Index, n.Detail)
						}
					}
				}
				if said != 1 {
					t.Errorf("chunks of %d: %d notices of an erasure", chunk, said)
				}
			}
		}
	}
}

// TestErasureTampered: what an erasure doesn't cover may not be missing, what it
// covers may not be there, and what nobody signed erases nothing.
func TestErasureTampered(t *testing.T) {
	s, l := erasedLedger(t, true)
	before, err := chaintest.NewLog(s.Messages[0])
	if err == nil {
		err = before.Fold(s.Messages[:25], func(n int) int { return n })
	}
	if err != nil {
		t.Fatal(err)
	}
	const by = 25
	restate := func(change func(*chain.Erase), signers ...chain.Signer) func(m *memory) *memory {
		return func(m *memory) *memory {
			return m.restate(by, func(st *chain.Statement) {
				e, err := chain.ParseErase(st.Body)
				if err != nil {
					t.Fatal(err)
				}
				change(&e)
				st.Body = e.Append(nil)
			}, []byte("by Erin"), signers...)
		}
	}
	beside := func(i int) func(m *memory) *memory {
		return func(m *memory) *memory { m.rows[i].payload = before.Entries[i].Payload.Clone(); return m }
	}
	reselect := func(indexes ...uint64) func(*chain.Erase) {
		return func(e *chain.Erase) {
			*e = chaintest.Select(before, "ws_7", indexes...)
		}
	}
	for _, c := range []struct {
		name   string
		tamper func(*memory) *memory
		want   Finding
		at     int
	}{
		{"another payload is gone", func(m *memory) *memory { m.rows[6].payload = nil; return m }, PayloadMissing, 6},
		{"a duplicate of one that stands is gone", func(m *memory) *memory { m.rows[27].payload = nil; return m }, PayloadMissing, 27},
		{"a seed that is needed is gone", func(m *memory) *memory { m.rows[23].payload = nil; return m }, PayloadMissing, 23},
		{"the erasure's words are gone", func(m *memory) *memory { m.rows[by].payload = nil; return m }, PayloadMissing, by},
		{"an erased record is back", beside(2), ErasureIncomplete, 2},
		{"its duplicate is back", beside(22), ErasureIncomplete, 22},
		{"the repeat has a salt", func(m *memory) *memory {
			m.rows[26].payload = &chain.Payload{
				Salt: chain.Salt(chaintest.Secret("seed 1"), m.id(), 0, 27, 0), Kept: chain.KeptAround,
				Envelope: before.Entries[2].Payload.Envelope,
			}
			return m
		}, ErasureIncomplete, 26},
		{"the seed is back", beside(1), ErasureIncomplete, 1},
		{"by the ledger's key", restate(func(*chain.Erase) {}, s.Keeper), UnauthorisedControl, by},
		{"by a stranger", restate(func(*chain.Erase) {}, chaintest.Signer("stranger")), UnknownKey, by},
		{"in another role", restate(func(e *chain.Erase) { e.Role = chain.RoleEraser }, s.Operator), UnauthorisedControl, by},
		{"of other leaves", restate(func(e *chain.Erase) { e.Leaves[0] ^= 1; e.Selection = e.Leaves }, s.Operator), UnauthorisedControl, by},
		{"of another workspace's record", restate(reselect(2, 4, 5, 24), s.Operator), UnauthorisedControl, by},
		{"of a duplicate", restate(reselect(2, 4, 5, 22), s.Operator), UnauthorisedControl, by},
		{"of less than is gone", restate(reselect(2, 4), s.Operator), PayloadMissing, 5},
		{"of more than its signer saw", func(m *memory) *memory {
			return m.restate(by, func(st *chain.Statement) { st.Size = 5; st.Root = rootOf(leavesOf(m, 5)) }, []byte("by Erin"), s.Operator)
		}, UnauthorisedControl, by},
		{"without a state", func(m *memory) *memory {
			return m.restate(by, func(st *chain.Statement) { st.Size, st.Root = 0, chain.Hash{} }, []byte("by Erin"), s.Operator)
		}, UnauthorisedControl, by},
		{"a body that is none", func(m *memory) *memory {
			return m.restate(by, func(st *chain.Statement) { st.Body = st.Body[1:] }, []byte("by Erin"), s.Operator)
		}, MalformedEntry, by},
		{"a repeat that says it was compared", func(m *memory) *memory {
			m.edit(26, func(e *chain.Entry) { e.Code = chain.DuplicateSame })
			m.relink(27, false)
			m.seal()
			return m
		}, FalseDuplicate, 26},
		{"a repeat that says it was not", func(m *memory) *memory {
			m.edit(27, func(e *chain.Entry) { e.Code = chain.DuplicateUncompared })
			m.rows[27].payload = nil
			m.relink(28, false)
			m.seal()
			return m
		}, FalseDuplicate, 27},
	} {
		m := c.tamper(ofLog(l, 1))
		r := audit(t, m, Options{})
		found := false
		for _, f := range r.Findings {
			found = found || f.Finding == c.want && (f.Index == nil || *f.Index == uint64(c.at))
		}
		if !found { // the trim behind it may be signed for another state now
			t.Errorf("%s: %s\n%v", c.name, r.Sentence, details(r))
		}
	}
}
