package chain_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

const day = 24 * 60 * 60

// kept is erasable, and a rule in entry 11 that keeps ws_7's records for a day; its
// next message is published a minute more than that later.
func kept(t testing.TB, name string) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s, l := erasable(t, name)
	s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: "*", Period: day})
	if got := next(t, l, s); got != "control 0/1 retention" {
		t.Fatal(got)
	}
	wait(t, s, l, day*time.Second+time.Minute)
	return s, l
}

// wait lets time pass, which a mark witnesses.
func wait(t testing.TB, s *chaintest.Stream, l *chaintest.Log, d time.Duration) {
	t.Helper()
	s.Now += int64(d)
	root, _ := l.At(l.State.Size)
	s.Mark(l.State.Size, root, chain.HeadsRoot(l.Heads))
	if got := next(t, l, s); got != "control 0/1 mark" {
		t.Fatal(got)
	}
}

// expire publishes an expiry of what the ledger holds now and folds it.
func expire(t testing.TB, s *chaintest.Stream, l *chaintest.Log, rule uint64, workspace string, indexes ...uint64) string {
	t.Helper()
	root, _ := l.At(l.State.Size)
	s.Expire(l.State.Size, root, chaintest.Expiry(l, rule, workspace, indexes...))
	return next(t, l, s)
}

const (
	expired = "control 0/1 expire"
	notDue  = "rejection 0/1 not_due"
	held    = "rejection 0/1 held"
)

// TestExpiries is docs/format/control.md's section on expiries, a line each.
func TestExpiries(t *testing.T) {
	const rule = 11
	for _, c := range []struct {
		name   string
		change func(s *chaintest.Stream, l *chaintest.Log, e *chain.Erase) (signer chain.Signer)
		want   string
	}{
		{"records and a conflict", nil, expired},
		{"the operator signs", func(s *chaintest.Stream, _ *chaintest.Log, _ *chain.Erase) chain.Signer { return s.Operator }, badSigned},
		{"as the operator's", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Role = chain.RoleOperator
			return s.Keeper
		}, badBody},
		{"a reason besides its rule", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Reason = chain.EraseRequest
			return s.Keeper
		}, badBody},
		{"no rule", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Rule = chain.NoRef
			return s.Keeper
		}, badBody},
		{"a rule that never stood", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Rule = 9
			return s.Keeper
		}, badBody},
		{"the rule for something else", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Rule = 0
			return s.Keeper
		}, notDue},
		{"a rejection besides", func(s *chaintest.Stream, l *chaintest.Log, e *chain.Erase) chain.Signer {
			*e = chaintest.Expiry(l, rule, "ws_7", 2, 7)
			return s.Keeper
		}, notDue},
		{"another workspace's", func(s *chaintest.Stream, l *chaintest.Log, e *chain.Erase) chain.Signer {
			*e = chaintest.Expiry(l, rule, "ws_8", 8)
			return s.Keeper
		}, notDue},
		{"a duplicate by itself", func(s *chaintest.Stream, l *chaintest.Log, e *chain.Erase) chain.Signer {
			*e = chaintest.Expiry(l, rule, "ws_7", 5)
			return s.Keeper
		}, badBody},
		{"other leaves", func(s *chaintest.Stream, _ *chaintest.Log, e *chain.Erase) chain.Signer {
			e.Leaves[0] ^= 1
			e.Selection = e.Leaves
			return s.Keeper
		}, "rejection 0/1 control_condition"},
	} {
		s, l := kept(t, "expiries")
		e, signer := chaintest.Expiry(l, rule, "ws_7", 2, 3, 6), s.Keeper
		if c.change != nil {
			signer = c.change(s, l, &e)
		}
		root, _ := l.At(l.State.Size)
		s.Expire(l.State.Size, root, e, signer)
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if _, gone := l.Gone(2); gone != (c.want == expired) {
			t.Errorf("%s: entry 2 is gone: %v", c.name, gone)
		}
	}
}

// TestExpiryIsDue: to the millisecond, and by the clamped time, so that nobody who
// publishes with a far time lets something go before it is due.
func TestExpiryIsDue(t *testing.T) {
	for _, c := range []struct {
		late int64 // ms after the period is over
		want string
	}{{-1, notDue}, {0, expired}, {1, expired}} {
		s, l := erasable(t, "due")
		s.Retain(chain.Retention{Role: chain.RoleOperator, Everywhere: true, Types: "*", Period: day})
		if got := next(t, l, s); got != "control 0/1 retention" {
			t.Fatal(got)
		}
		wait(t, s, l, time.Hour)
		s.Now = int64(l.Entries[3].Entry.ULID.Time())*1e6 + (day*1000+c.late)*1e6
		if got := expire(t, s, l, 11, "ws_7", 2, 3); got != c.want {
			t.Errorf("%d ms after its time: %s, want %s", c.late, got, c.want)
		}
	}
	s, l := erasable(t, "far")
	s.Retain(chain.Retention{Role: chain.RoleOperator, Everywhere: true, Types: "*", Period: 10 * day})
	next(t, l, s)
	s.Now += 1000 * day * 1e9 // no mark witnesses it: it is clamped
	if got := expire(t, s, l, 11, "ws_7", 2); got != notDue+" clamped" {
		t.Errorf("by a time that nobody has witnessed: %s", got)
	}
}

// TestFirstRule: rejections go after 30 days by the rule that every ledger begins
// with, the system's too; until a statement says otherwise.
func TestFirstRule(t *testing.T) {
	s, l := erasable(t, "first rule")
	wait(t, s, l, 29*day*time.Second)
	if got := expire(t, s, l, 0, "ws_7", 7); got != notDue {
		t.Errorf("after 29 days: %s", got)
	}
	wait(t, s, l, 2*day*time.Second)
	if got := expire(t, s, l, 0, "ws_7", 2); got != notDue {
		t.Errorf("a record: %s", got)
	}
	if got := expire(t, s, l, 0, "ws_7", 7); got != expired {
		t.Errorf("after 31 days: %s", got)
	}
	rejected := uint64(12) // the expiry of 29 days: the system's
	if got := expire(t, s, l, 0, "", rejected); got != notDue {
		t.Errorf("a fresh rejection: %s", got)
	}
	s.Retain(chain.Retention{Role: chain.RoleOperator, Everywhere: true, Rejections: true, Period: chain.KeepForever})
	if got := next(t, l, s); got != "control 0/1 retention" {
		t.Fatal(got)
	}
	wait(t, s, l, 60*day*time.Second)
	if got := expire(t, s, l, 0, "", rejected); got != badBody {
		t.Errorf("by the first rule, which was replaced: %s", got)
	}
	if got := expire(t, s, l, uint64(len(l.Entries)-3), "", rejected); got != notDue {
		t.Errorf("by a rule that keeps for ever: %s", got)
	}
}

// TestRules: which rule is for what.
func TestRules(t *testing.T) {
	tag, other := chain.Hash{7}, chain.Hash{8}
	rule := func(everywhere bool, types string) chain.Retention {
		r := chain.Retention{Role: chain.RoleOperator, Everywhere: everywhere, Types: types, Period: 1}
		if !everywhere {
			r.Workspace = tag
		}
		return r
	}
	rs := chain.FirstRules()
	for i, r := range []chain.Retention{rule(true, "*"), rule(true, "app.*"), rule(true, "app.renamed"), rule(false, "app.*"), rule(false, "app.renamed"), rule(false, "app.renamed*")} {
		rs = rs.With(uint64(i+1), r)
	}
	for _, c := range []struct {
		kind chain.Kind
		tag  chain.Hash
		typ  string
		want uint64
	}{
		{chain.KindRecord, other, "file.read", 1},
		{chain.KindRecord, other, "app.created", 2},
		{chain.KindConflict, other, "app.renamed", 3},
		{chain.KindRecord, tag, "file.read", 1},
		{chain.KindRecord, tag, "app.created", 4},
		{chain.KindRecord, tag, "app.renamed", 5},
		{chain.KindRecord, tag, "app.renamed.twice", 6},
		{chain.KindRejection, tag, "", 0},
	} {
		if got, ok := rs.For(c.kind, c.tag, c.typ); !ok || got.At != c.want {
			t.Errorf("%s of %s in %x: rule %d, want %d", c.kind, c.typ, c.tag[:1], got.At, c.want)
		}
	}
	if _, ok := rs.For(chain.KindControl, tag, ""); ok {
		t.Error("a rule is for control entries")
	}
	ended := rule(true, "*")
	ended.Period = chain.RuleEnds
	if rs = rs.With(9, ended); len(rs) != 6 {
		t.Errorf("%d rules stand", len(rs))
	}
	if _, ok := rs.For(chain.KindRecord, other, "file.read"); ok {
		t.Error("a rule that ended is for something")
	}
}

// TestRuleForTypes: the records' types decide which rule is for them; the fold reads
// them, and a wider rule with a shorter period takes nothing of what has its own.
func TestRuleForTypes(t *testing.T) {
	s, l := kept(t, "types")
	s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: "app.renamed", Period: 1000 * day})
	if got := next(t, l, s); got != "control 0/1 retention" {
		t.Fatal(got)
	}
	if got := expire(t, s, l, 11, "ws_7", 2); got != notDue {
		t.Errorf("by the rule for all types: %s", got)
	}
	s.Publish("activity.ws_7._", `{"actor":{"type":"user","id":"u1"},"type":"app.seen"}`)
	if got := next(t, l, s); got != "record 0/1 asserted" {
		t.Fatal(got)
	}
	seen := uint64(len(l.Entries) - 1)
	wait(t, s, l, 2*day*time.Second)
	if got := expire(t, s, l, 11, "ws_7", seen); got != expired {
		t.Errorf("a type that only the record names: %s", got)
	}
	if got := expire(t, s, l, 11, "ws_7", seen); got != expired {
		t.Errorf("what is gone already: %s", got)
	}
}

// TestRefusedRules breaks a rule's own rules, one each.
func TestRefusedRules(t *testing.T) {
	tag := chain.Hash{1}
	for name, r := range map[string]chain.Retention{
		"everywhere and somewhere":  {Role: chain.RoleOperator, Everywhere: true, Workspace: tag, Types: "*", Period: 1},
		"a type of rejections":      {Role: chain.RoleOperator, Everywhere: true, Rejections: true, Types: "*", Period: 1},
		"no type of records":        {Role: chain.RoleOperator, Everywhere: true, Period: 1},
		"a type that is none":       {Role: chain.RoleOperator, Everywhere: true, Types: "a b", Period: 1},
		"a star within":             {Role: chain.RoleOperator, Everywhere: true, Types: "a*b", Period: 1},
		"a longer period":           {Role: chain.RoleOperator, Everywhere: true, Types: "*", Period: 1 << 40},
		"the end of what is not":    {Role: chain.RoleOperator, Everywhere: true, Types: "*"},
		"the eraser's, who is none": {Role: chain.RoleEraser, Everywhere: true, Types: "*", Period: 1},
		"the ledger's":              {Role: chain.RoleLedger, Everywhere: true, Types: "*", Period: 1},
	} {
		s, l := erasable(t, "refused rules")
		s.Retain(r)
		if got := next(t, l, s); got != badBody {
			t.Errorf("%s: %s", name, got)
		}
		if len(l.State.Rules()) != 1 {
			t.Errorf("%s: %d rules stand", name, len(l.State.Rules()))
		}
	}
}

// TestResumeWithRulesAndHolds: a stored state keeps them, and judges on by them.
func TestResumeWithRulesAndHolds(t *testing.T) {
	s, l := kept(t, "resumed with rules")
	root, _ := l.At(l.State.Size)
	s.Hold(l.State.Size, root, chaintest.Holding(l, "ws_7", 2))
	next(t, l, s)
	s.Hold(0, chain.Hash{}, chaintest.Holding(l, "ws_8"))
	next(t, l, s)
	first, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	stored := l.State.Append(nil)
	again, err := first.Resume(stored, func(uint32) ([32]byte, error) { return l.State.Secret, nil })
	if err != nil || !reflect.DeepEqual(again, l.State) || len(again.Rules()) != 2 || len(again.Holds()) != 2 {
		t.Fatalf("%+v was stored, %+v is resumed (%v)", l.State, again, err)
	}
	for cut := 1; cut < 200; cut++ {
		if _, err := first.Resume(stored[:len(stored)-cut], func(uint32) ([32]byte, error) { return l.State.Secret, nil }); err == nil {
			t.Fatalf("a state that is %d bytes short is resumed", cut)
		}
	}
}

// TestMostHoldsAndRules: what is in every stored state is bounded.
func TestMostHoldsAndRules(t *testing.T) {
	s, l := erasable(t, "most")
	for range chain.MaxHolds {
		s.Hold(0, chain.Hash{}, chaintest.Holding(l, "ws_8"))
		if got := next(t, l, s); got != "control 0/1 hold" {
			t.Fatal(got)
		}
	}
	s.Hold(0, chain.Hash{}, chaintest.Holding(l, "ws_8"))
	if got := next(t, l, s); got != badBody {
		t.Errorf("one hold more: %s", got)
	}
	r := chain.Retention{Role: chain.RoleOperator, Everywhere: true, Period: day}
	for i := range chain.MaxRules {
		r.Types = fmt.Sprint("app.", i)
		s.Retain(r)
		want := "control 0/1 retention"
		if i == chain.MaxRules-1 { // the first rule is one
			want = badBody
		}
		if got := next(t, l, s); got != want {
			t.Fatalf("rule %d: %s", i, got)
		}
	}
}

// TestRetentionVectors is docs/format/vectors/retention.json: a rule, a hold, what
// both let through and don't, a release, and what expires by the first rule.
func TestRetentionVectors(t *testing.T) {
	s, l := erasable(t, "retention vectors")
	step := func(want string, publish func(size uint64, root chain.Hash)) int {
		t.Helper()
		root, _ := l.At(l.State.Size)
		publish(l.State.Size, root)
		if got := next(t, l, s); got != want {
			t.Fatalf("entry %d is %q, want %q", len(l.Entries)-1, got, want)
		}
		return len(l.Entries) - 1
	}
	rule := step("control 0/1 retention", func(uint64, chain.Hash) {
		s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: "app.*", Period: day})
	})
	expiry := func(rule int, indexes ...uint64) func(uint64, chain.Hash) {
		return func(size uint64, root chain.Hash) {
			s.Expire(size, root, chaintest.Expiry(l, uint64(rule), "ws_7", indexes...))
		}
	}
	step(notDue, expiry(rule, 2, 3, 6))
	wait(t, s, l, (day+60)*time.Second)
	number := s.Control
	hold := step("control 0/1 hold", func(size uint64, root chain.Hash) { s.Hold(size, root, chaintest.Holding(l, "ws_7", 3)) })
	step(held, expiry(rule, 2, 3, 6))
	step(held, func(size uint64, root chain.Hash) { s.Erase(size, root, chaintest.Select(l, "ws_7", 3), "") })
	went := step(expired, expiry(rule, 2, 6))
	release := step("control 0/1 release", func(uint64, chain.Hash) { s.Release(number) })
	step(badBody, func(uint64, chain.Hash) { s.Release(number) })
	step("duplicate 0/1 code 2 of 2 asserted", func(uint64, chain.Hash) { s.Record("ws_7", "0", `"personal"`) })
	wait(t, s, l, 30*day*time.Second)
	step(expired, expiry(0, 7))
	published(t, "retention.json", vectorsOf(t, s, l, "ws_7", "ws_8"))
	values := map[string][]byte{"retention's ledger id": s.ID[:]}
	for name, at := range map[string]int{"rule": rule, "hold": hold, "expiry": went, "release": release} {
		st := statementIn(t, l, at)
		values[name+"'s body"] = st.Body
		if st.Size > 0 {
			values[name+"'s root"] = st.Root[:]
		}
		values[name+"'s number"] = binary.BigEndian.AppendUint64(nil, st.Number)
	}
	worked(t, values)
}

func FuzzParseRetention(f *testing.F) {
	for _, r := range []chain.Retention{
		{Role: chain.RoleOperator, Everywhere: true, Rejections: true, Period: day},
		{Role: chain.RoleEraser, Workspace: chain.Hash{7}, Types: "app.*", Period: chain.KeepForever},
		{Role: chain.RoleEraser, Workspace: chain.Hash{7}, Types: "*"},
	} {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := chain.ParseRetention(b)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) {
				t.Errorf("%x: %v", b, err)
			}
		} else if !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x parses and prints as %x", b, r.Append(nil))
		}
	})
}
