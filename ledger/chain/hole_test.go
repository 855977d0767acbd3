package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// atHole is a ledger that stands at a hole: messages 4 and 5 are lost, 6 is a
// record, and what is published next is message 7.
func atHole(t testing.TB) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s, l := keyed(t, "hole")
	s.Next = 6
	s.Record("ws_7", "later", "1")
	return s, l
}

// TestGapNotices is docs/format/control.md's section on gaps, a line each: what
// admits a hole, and what does not, for whatever reason.
func TestGapNotices(t *testing.T) {
	type trial struct {
		l       *chaintest.Log
		notice  chain.GapNotice
		number  uint64
		size    uint64
		root    chain.Hash
		ledger  chain.Hash
		subject string
		header  []string
		private []byte
		body    []byte // instead of the notice's
		signer  chain.Signer
	}
	for _, c := range []struct {
		name   string
		change func(*trial)
		want   string // "" admits it
	}{
		{"as it should be", func(*trial) {}, ""},
		{"why, in words", func(c *trial) { c.private = []byte("a disk died") }, ""},
		{"why, in words", func(c *trial) { c.private = []byte("the disk is gone") }, ""},
		{"the first of two", func(c *trial) { c.notice.Last = 4 }, ""},
		{"a number that others have used by then", func(c *trial) { c.number += 5 }, ""}, // checked where it stands
		{"beyond the hole", func(c *trial) { c.notice.Last = 6 }, ""},                    // the reader sees that

		{"up to itself", func(c *trial) { c.notice.Last = 7 }, "control_body"},
		{"another epoch", func(c *trial) { c.notice.Epoch = 1 }, "control_body"},
		{"what is folded", func(c *trial) { c.notice.First = 3 }, "control_body"},
		{"not from the hole on", func(c *trial) { c.notice.First = 5 }, "control_body"},
		{"from last to first", func(c *trial) { c.notice.First, c.notice.Last = 5, 4 }, "control_body"},
		{"a byte too many", func(c *trial) { c.body = append(c.notice.Append(nil), 0) }, "control_body"},
		{"a byte too few", func(c *trial) { b := c.notice.Append(nil); c.body = b[:len(b)-1] }, "control_body"},
		{"no state", func(c *trial) { c.size, c.root = 0, chain.Hash{} }, "control_body"},
		{"an earlier state", func(c *trial) { c.size--; c.root, _ = c.l.At(c.size) }, "control_body"},
		{"another control subject", func(c *trial) { c.subject = "annals.control.seed" }, "control_body"},
		{"no control subject", func(c *trial) { c.subject = "activity.ws_7.gap" }, "control_body"},

		{"another history", func(c *trial) { c.root[0] ^= 1 }, "control_condition"},
		{"another ledger", func(c *trial) { c.ledger[0] ^= 1 }, "control_ledger"},
		{"signed by the root", func(c *trial) { c.signer = chaintest.Signer("root") }, "control_signature"},
		{"signed by the ledger", func(c *trial) { c.signer = chaintest.Signer("keeper") }, "control_signature"},
		{"signed by a stranger", func(c *trial) { c.signer = chaintest.Signer("stranger") }, "control_signature"},
		{"headers over the bound", func(c *trial) { c.header = []string{"ce-x", string(make([]byte, 17<<10))} }, "headers_too_large"},
	} {
		s, l := atHole(t)
		root, _ := l.At(3)
		trial := &trial{
			l: l, number: s.Control, size: 3, root: root, ledger: s.ID, signer: s.Operator,
			subject: "annals.control.gap", notice: chain.GapNotice{First: 4, Last: 5},
		}
		c.change(trial)
		if trial.body == nil {
			trial.body = trial.notice.Append(nil)
		}
		s.Publish(trial.subject, string(chain.SealControl(chain.Statement{
			Ledger: trial.ledger, Number: trial.number, Type: chain.ControlGap, Size: trial.size, Root: trial.root, Body: trial.body,
		}, trial.private, trial.signer)), trial.header...)
		m := s.Messages[len(s.Messages)-1]
		state := l.State
		r, err := l.State.FoldGap(m, chain.Known{Heads: l.Heads, Roots: map[uint64]chain.Hash{3: root}})
		if checked := l.State.CheckGap(&m, root); fmt.Sprint(checked) != fmt.Sprint(err) {
			t.Errorf("%s: the fold says %v, the check %v", c.name, err, checked)
		}
		if !reflect.DeepEqual(l.State, state) {
			t.Errorf("%s: the state was changed in place", c.name)
		}
		var refused *chain.ControlError
		switch {
		case c.want == "":
			if err != nil || len(r.Entries) != 1 {
				t.Errorf("%s: %d entries, %v", c.name, len(r.Entries), err)
				continue
			}
			checkGapEntry(t, c.name, &r, &m, &trial.notice)
		case !errors.As(err, &refused) || len(r.Entries) > 0:
			t.Errorf("%s: %d entries, %v", c.name, len(r.Entries), err)
		default:
			if name, _ := chain.Reason(uint16(refused.Code)); name != c.want {
				t.Errorf("%s: %s, want %s", c.name, name, c.want)
			}
		}
	}
}

// checkGapEntry holds a gap's entry, and the state after it, to docs/format/fold.md.
func checkGapEntry(t *testing.T, name string, r *chain.Result, m *chain.Message, n *chain.GapNotice) {
	t.Helper()
	e, err := chain.ParseEntry(r.Entries[0].Raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	g, err := e.Gap()
	if want := (chain.Gap{First: n.First, Last: n.Last, Message: m.Sequence}); err != nil || g != want {
		t.Errorf("%s: the entry says %+v (%v), want %+v", name, g, err, want)
	}
	if e.Kind != chain.KindGap || e.Sequence != n.First || e.Timestamp != m.Time || !e.Commitment.IsZero() || e.Flags&chain.FlagRetained != 0 {
		t.Errorf("%s: entry %+v", name, e)
	}
	if at := r.State.Position(); at != (chain.Position{Sequence: n.Last}) {
		t.Errorf("%s: position %+v", name, at)
	}
	if open := r.State.Gaps(); len(open) != 1 || open[0] != g {
		t.Errorf("%s: open gaps %+v", name, open)
	}
}

// TestGapIsFoldedTwice: the notice, where it stands itself, is a control entry only
// if it is of the gap that was folded; what else comes up there is rejected.
func TestGapIsFoldedTwice(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(s *chaintest.Stream, root chain.Hash) // after the notice at 7, which must be folded in its turn
		want []string                                   // from message 6 on
	}{
		{"once", func(*chaintest.Stream, chain.Hash) {}, []string{"record 0/1 asserted clamped", "control 0/1 gap"}},
		{
			"again", func(s *chaintest.Stream, root chain.Hash) { s.Gap(3, root, 4, 5) },
			[]string{"record 0/1 asserted clamped", "control 0/1 gap", "rejection 0/1 control_body"},
		},
		{
			"of another range", func(s *chaintest.Stream, root chain.Hash) { s.Gap(3, root, 4, 6) },
			[]string{"record 0/1 asserted clamped", "control 0/1 gap", "rejection 0/1 control_body"},
		},
		{
			"of a range to come", func(s *chaintest.Stream, root chain.Hash) { s.Gap(3, root, 8, 9) },
			[]string{"record 0/1 asserted clamped", "control 0/1 gap", "rejection 0/1 control_body"},
		},
	} {
		s, l := atHole(t)
		root, _ := l.At(3)
		s.Gap(3, root, 4, 5)
		c.then(s, root)
		if err := l.Fill(s.Messages[3:]); err != nil {
			t.Fatal(err)
		}
		if err := l.Fold(s.Messages[3:], oneByOne); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, want := range c.want {
			if got := outcome(&l.Entries[4+i].Entry); got != want {
				t.Errorf("%s: entry %d is %q, want %q", c.name, 4+i, got, want)
			}
		}
	}
}

// TestGapNoticeThatFails: a notice that filled the hole may be rejected where it
// stands, for its number or its key. The gap stays, to be admitted by another.
func TestGapNoticeThatFails(t *testing.T) {
	s, l := atHole(t)
	root, _ := l.At(3)
	s.Gap(3, root, 4, 5) // 7, of the number that the seed after the record takes
	s.Control--
	late := s.Messages[4]
	s.Messages = s.Messages[:4]
	s.Next = 7
	s.Seed() // 7 now, and the notice is 8
	late.Sequence, late.Time = 8, s.Now
	s.Messages, s.Next = append(s.Messages, late), 9
	if err := l.Fill(s.Messages[3:]); err != nil {
		t.Fatal(err)
	}
	if err := l.Fold(s.Messages[3:], oneByOne); err != nil {
		t.Fatal(err)
	}
	if got := outcome(&l.Entries[6].Entry); got != "rejection 0/1 control_number" || len(l.State.Gaps()) != 1 {
		t.Errorf("%s, open gaps %v", got, l.State.Gaps())
	}
	if err := chain.CheckControl(&l.State, late.Body); err == nil {
		t.Error("the same notice would be accepted")
	}
	s.Control = l.State.Control
	for _, other := range []chain.GapNotice{{First: 4, Last: 4}, {First: 4, Last: 6}, {First: 5, Last: 5}, {Epoch: 1, First: 4, Last: 5}} {
		s.Publish("annals.control.gap", string(chain.SealGap(s.ID, s.Control, 3, root, other, "", s.Operator)))
		if got := next(t, l, s); got != "rejection 0/1 control_body" || len(l.State.Gaps()) != 1 {
			t.Errorf("a notice of %+v: %s, open gaps %v", other, got, l.State.Gaps())
		}
	}
	// In the next stream, too.
	now, _ := l.At(l.State.Size)
	s.Begin(l.State.Size, now, 1)
	if got := next(t, l, s); got != "control 0/1 epoch" || len(l.State.Gaps()) != 1 {
		t.Errorf("%s, open gaps %v", got, l.State.Gaps())
	}
	n := chain.GapNotice{First: 4, Last: 5}
	body := chain.SealGap(s.ID, s.Control, 3, root, n, "", s.Operator)
	if err := chain.CheckControl(&l.State, body); err != nil {
		t.Errorf("another notice: %v", err)
	}
	s.Publish("annals.control.gap", string(body))
	if got := next(t, l, s); got != "control 0/1 gap" || len(l.State.Gaps()) != 0 {
		t.Errorf("%s, open gaps %v", got, l.State.Gaps())
	}
}

// TestHeldMessages: a replica that has what others have lost must stop at the
// notice: they have a gap where it has entries. A notice that no replica can have
// taken is rejected by all.
func TestHeldMessages(t *testing.T) {
	for _, c := range []struct {
		name    string
		publish func(s *chaintest.Stream, l *chaintest.Log)
		want    string // "" stops
	}{
		{"what it holds", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(3); s.Gap(3, root, 4, 4) }, ""},
		{"the last that it holds", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(5); s.Gap(5, root, 6, 6) }, ""},
		{"of another state", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(4); s.Gap(4, root, 4, 4) }, "control_condition"},
		{"of another root", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(3); root[0] ^= 1; s.Gap(3, root, 4, 4) }, "control_condition"},
		{"of a state to come", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(3); s.Gap(7, root, 4, 4) }, "control_condition"},
		{"of no state", func(s *chaintest.Stream, _ *chaintest.Log) { s.Gap(0, chain.Hash{}, 4, 4) }, "control_condition"},
		{"itself", func(s *chaintest.Stream, l *chaintest.Log) { root, _ := l.At(6); s.Gap(6, root, 7, 7) }, "control_body"},
		{"on a subject that nobody looks at", func(s *chaintest.Stream, l *chaintest.Log) {
			root, _ := l.At(3)
			s.Gap(3, root, 4, 4)
			s.Messages[len(s.Messages)-1].Subject = "annals.control.key"
		}, "control_body"},
		{"of another epoch", func(s *chaintest.Stream, l *chaintest.Log) {
			root, _ := l.At(3)
			s.Epoch = 1
			s.Gap(3, root, 4, 4)
		}, "control_body"},
	} {
		s, l := keyed(t, "held")
		for range 3 {
			s.Record("ws_7", "", "1")
			next(t, l, s)
		}
		c.publish(s, l)
		m := s.Messages[6]
		err := l.Fold([]chain.Message{m}, oneByOne)
		var held *chain.HeldError
		if c.want == "" {
			n, _ := m.Gap()
			if !errors.As(err, &held) || held.Sequence != 7 || held.GapNotice != n || len(l.Entries) != 6 {
				t.Errorf("%s: %d entries, %v", c.name, len(l.Entries), err)
			}
			continue
		}
		if got := outcome(&l.Entries[len(l.Entries)-1].Entry); err != nil || got != "rejection 0/1 "+c.want {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
}

// TestFirstNoticeFillsTheHole: every replica takes the first later message that
// passes, whatever else is published.
func TestFirstNoticeFillsTheHole(t *testing.T) {
	s, l := atHole(t)
	root, _ := l.At(3)
	stranger := chaintest.Signer("stranger")
	s.Publish("annals.control.gap", string(chain.SealGap(s.ID, s.Control, 3, root, chain.GapNotice{First: 4, Last: 5}, "", stranger)))
	s.Gap(3, root, 4, 4) // 8: of the first message alone
	s.Control--
	s.Gap(3, root, 4, 5) // 9
	if err := l.Fill(s.Messages[3:]); err != nil {
		t.Fatal(err)
	}
	if got := l.State.Gaps()[0]; got.Message != 8 || got.Last != 4 {
		t.Errorf("filled by %+v", got)
	}
	// The ledger now stands at the hole's second half, which that one does not admit.
	if err := l.Fill(s.Messages[3:]); !errors.Is(err, chaintest.ErrHole) {
		t.Errorf("filled again: %v, gaps %+v", err, l.State.Gaps())
	}
}

// TestGapNeedsToKnow: without the root at the hole nothing is folded there.
func TestGapNeedsToKnow(t *testing.T) {
	s, l := atHole(t)
	root, _ := l.At(3)
	s.Gap(3, root, 4, 5)
	if r, err := l.State.FoldGap(s.Messages[4], chain.Known{Heads: l.Heads}); !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
		t.Errorf("%d entries, %v", len(r.Entries), err)
	}
	// And where it stands itself.
	if err := l.Fill(s.Messages[3:]); err != nil {
		t.Fatal(err)
	}
	if err := l.Fold(s.Messages[3:4], oneByOne); err != nil {
		t.Fatal(err)
	}
	p := l.State.Preparer().Prepare(s.Messages[4])
	for _, known := range []chain.Known{{Heads: l.Heads}, {Heads: l.Heads, Roots: map[uint64]chain.Hash{3: root}}} {
		if r, err := l.State.Fold([]chain.Prepared{p}, known); !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
			t.Errorf("%d entries, %v", len(r.Entries), err)
		}
	}
}

// TestHoleBeforeTheFirstSeed: nothing may be lost before a ledger has begun.
func TestHoleBeforeTheFirstSeed(t *testing.T) {
	s := chaintest.NewKeyed("early")
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages[:1], oneByOne); err != nil {
		t.Fatal(err)
	}
	root, _ := l.At(1)
	s.Control = 1
	s.Gap(1, root, 2, 2)
	var refused *chain.ControlError
	if err := l.Fill(s.Messages[2:]); !errors.Is(err, chaintest.ErrHole) {
		t.Errorf("filled: %v", err)
	}
	if err := l.State.CheckGap(&s.Messages[2], root); !errors.As(err, &refused) {
		t.Errorf("checked: %v", err)
	}
	if err := chain.CheckControl(&l.State, s.Messages[2].Body); !errors.As(err, &refused) {
		t.Errorf("checked: %v", err)
	}
}

func FuzzParseGapNotice(f *testing.F) {
	n := chain.GapNotice{Epoch: 1, First: 2, Last: 3}
	f.Add(n.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := chain.ParseGapNotice(b)
		if err == nil && (!bytes.Equal(got.Append(nil), b) || got.Last < got.First) {
			t.Errorf("%x parses and prints as %x", b, got.Append(nil))
		}
		if err != nil && !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
