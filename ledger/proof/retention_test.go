package proof

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// Entries of expiredLedger.
const (
	atRule    = 6
	atFresh   = 8 // a record, a day and an hour after those before it
	atHold    = 9 // of entry 4
	atExpiry  = 10
	atRelease = 11
	atErasure = 12
)

// expiredLedger is a ledger with records of ws_7 (2 to 5) that are kept for a day by
// the rule in entry 6, and a fresh one; the expiry in entry 10 takes 2 and 3. Entry 4
// is held then, and erased in entry 12, once it is released.
func expiredLedger(t *testing.T) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s := chaintest.NewKeyed("expired")
	l, err := chaintest.NewLog(s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	step := func(publish func(size uint64, root chain.Hash)) {
		t.Helper()
		root, _ := l.At(l.State.Size)
		publish(l.State.Size, root)
		if err := l.Fold(s.Messages[done:], func(n int) int { return n }); err != nil {
			t.Fatal(err)
		}
		if e := &l.Entries[len(l.Entries)-1].Entry; e.Kind == chain.KindRejection {
			name, _ := chain.Reason(e.Code)
			t.Fatalf("entry %d is rejected: %s", e.Index, name)
		}
		done = len(s.Messages)
	}
	for i := range 4 {
		s.Record("ws_7", fmt.Sprint(i), `{}`)
	}
	step(func(uint64, chain.Hash) {
		s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: "*", Period: 24 * 60 * 60})
	})
	s.Now += int64(25 * time.Hour)
	step(func(size uint64, root chain.Hash) { s.Mark(size, root, chain.HeadsRoot(l.Heads)) })
	step(func(uint64, chain.Hash) { s.Record("ws_7", "fresh", `{}`) })
	var hold uint64
	step(func(size uint64, root chain.Hash) {
		hold = s.Control
		s.Hold(size, root, chaintest.Holding(l, "ws_7", 4))
	})
	step(func(size uint64, root chain.Hash) { s.Expire(size, root, chaintest.Expiry(l, atRule, "ws_7", 2, 3)) })
	step(func(uint64, chain.Hash) { s.Release(hold) })
	step(func(size uint64, root chain.Hash) { s.Erase(size, root, chaintest.Select(l, "ws_7", 4), "by Erin") })
	return s, l
}

// TestExpiredLedgers: what expired under a rule, and what was erased after its hold was
// released, is gone lawfully, and the report says so.
func TestExpiredLedgers(t *testing.T) {
	_, l := expiredLedger(t)
	for _, chunk := range []int{2, 8, 1024} {
		for _, only := range []bool{false, true} {
			said := map[NoticeName]string{}
			for _, n := range mustBeClean(t, ofLog(l), Options{Chunk: chunk, EntriesOnly: only}).Notices {
				if n.Notice == Erased || n.Notice == Expired {
					said[n.Notice] = fmt.Sprint(*n.Index, " ", n.Detail)
				}
			}
			if !strings.Contains(said[Expired], "10 control entry 10 let expire what 2 entries held, under the rule in entry 6") || !strings.HasPrefix(said[Erased], "12 ") {
				t.Errorf("chunks of %d: %q", chunk, said)
			}
		}
	}
}

// TestExpiryTampered: whoever signs what no fold would let in, and has it destroyed, is
// found out by whoever sees the entries alone.
func TestExpiryTampered(t *testing.T) {
	s, l := expiredLedger(t)
	size := func(st *chain.Statement, m *memory, n int) { st.Size, st.Root = uint64(n), rootOf(leavesOf(m, n)) }
	expiry := func(rule uint64, indexes ...uint64) func(m *memory) *memory {
		return func(m *memory) *memory {
			bad := m.restate(atExpiry, func(st *chain.Statement) {
				e := chaintest.Expiry(l, rule, "ws_7", indexes...)
				st.Body = e.Append(nil)
				size(st, m, atExpiry)
			}, nil, s.Keeper)
			for _, index := range indexes {
				bad.rows[index].payload = nil
			}
			return bad
		}
	}
	restate := func(at int, words string, change func(st *chain.Statement), signers ...chain.Signer) func(m *memory) *memory {
		return func(m *memory) *memory { return m.restate(at, change, []byte(words), signers...) }
	}
	rule := func(change func(r *chain.Retention)) func(m *memory) *memory {
		return restate(atRule, "by Erin: our policy", func(st *chain.Statement) {
			r, err := chain.ParseRetention(st.Body)
			if err != nil {
				t.Fatal(err)
			}
			change(&r)
			st.Body = r.Append(nil)
		}, s.Operator)
	}
	hold := func(h chain.Hold) func(m *memory) *memory {
		return restate(atHold, "Dana's case", func(st *chain.Statement) { st.Body = h.Append(nil) }, s.Operator)
	}
	for _, c := range []struct {
		name   string
		tamper func(*memory) *memory
		want   Finding
		at     int
	}{
		{"a fresh record besides", expiry(atRule, 2, 3, atFresh), ExpiredEarly, atExpiry},
		{"by a rule that never stood", expiry(atRule-1, 2, 3), ExpiredEarly, atExpiry},
		{"by the first rule, which is for rejections", expiry(0, 2, 3), ExpiredEarly, atExpiry},
		{"by a rule with a longer period", rule(func(r *chain.Retention) { r.Period++; r.Period *= 2 }), ExpiredEarly, atExpiry},
		{"by a rule that keeps for ever", rule(func(r *chain.Retention) { r.Period = chain.KeepForever }), ExpiredEarly, atExpiry},
		{"by another workspace's rule", rule(func(r *chain.Retention) { r.Workspace[0] ^= 1 }), ExpiredEarly, atExpiry},
		{"by a rule for rejections", rule(func(r *chain.Retention) { r.Rejections, r.Types = true, "" }), ExpiredEarly, atExpiry},
		{"what is held", expiry(atRule, 2, 3, 4), HoldViolated, atExpiry},
		{"the workspace is held", hold(chaintest.Holding(l, "ws_7")), HoldViolated, atExpiry},
		{"the expired is held", hold(chaintest.Holding(l, "ws_7", 3)), HoldViolated, atExpiry},
		{"the release was another's", restate(atRelease, "the case is closed", func(st *chain.Statement) { st.Body[7]++ }, s.Operator), HoldViolated, atErasure},
		{"a release that is none", restate(atRelease, "", func(st *chain.Statement) { st.Body = st.Body[1:] }, s.Operator), MalformedEntry, atRelease},
		{"released by the ledger's key", restate(atRelease, "", func(*chain.Statement) {}, s.Keeper), UnauthorisedControl, atRelease},
		{"ruled by the ledger's key", restate(atRule, "", func(*chain.Statement) {}, s.Keeper), UnauthorisedControl, atRule},
		{"ruled in another role", rule(func(r *chain.Retention) { r.Role = chain.RoleEraser }), UnauthorisedControl, atRule},
		{"expired by the operator's key", restate(atExpiry, "", func(*chain.Statement) {}, s.Operator), UnauthorisedControl, atExpiry},
		{"a hold of other leaves", restate(atHold, "Dana's case", func(st *chain.Statement) { st.Body[40] ^= 1 }, s.Operator), UnauthorisedControl, atHold},
		{"a hold of what nobody saw", restate(atHold, "Dana's case", func(st *chain.Statement) { st.Size, st.Root = 0, chain.Hash{} }, s.Operator), UnauthorisedControl, atHold},
		{"what expired is back", func(m *memory) *memory { m.rows[2].payload = m.rows[5].payload.Clone(); return m }, ErasureIncomplete, 2},
		{"more is gone than expired", func(m *memory) *memory { m.rows[5].payload = nil; return m }, PayloadMissing, 5},
	} {
		m := c.tamper(ofLog(l))
		for _, only := range []bool{false, true} {
			if only && (c.want == ErasureIncomplete || c.want == PayloadMissing) {
				continue // of payloads alone
			}
			r := audit(t, m, Options{EntriesOnly: only})
			found := false
			for _, f := range r.Findings {
				found = found || f.Finding == c.want && f.Index != nil && *f.Index == uint64(c.at)
			}
			if !found { // statements behind it are signed for another state now
				t.Errorf("%s, entries only %v: %s, want %s at entry %d\n%v", c.name, only, r.Sentence, c.want, c.at, details(r))
			}
		}
	}
}
