package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// erasable is a stream with something of each kind that can be selected, folded:
// entries 2 to 4 are records of ws_7, 5 a duplicate of entry 2, 6 a conflict with it,
// 7 a rejection, 8 a record of ws_8, 9 a change of keys with words, 10 a mark.
func erasable(t testing.TB, name string) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s := chaintest.NewKeyed(name)
	for _, id := range []string{"0", "1", "2", "0"} {
		s.Record("ws_7", id, `"personal"`)
	}
	s.Record("ws_7", "0", `"other"`)
	s.Publish("activity.ws_7.app.renamed", "Dana's telephone number")
	s.Record("ws_8", "0", `"personal"`)
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{chaintest.Signer("second operator").Public(chain.RoleOperator)}}, "Dana has left", s.Root)
	l := newLog(t, s.Messages[0])
	fold := func(from int) {
		if err := l.Fold(s.Messages[from:], oneByOne); err != nil {
			t.Fatal(err)
		}
	}
	fold(0)
	root, _ := l.At(l.State.Size)
	s.Mark(l.State.Size, root, chain.HeadsRoot(l.Heads))
	fold(len(s.Messages) - 1)
	return s, l
}

// TestErasures is docs/format/control.md's section on erasures, a line each.
func TestErasures(t *testing.T) {
	type trial struct {
		s       *chaintest.Stream
		l       *chaintest.Log
		size    uint64
		root    chain.Hash
		erase   chain.Erase
		body    []byte // instead of the erasure's
		signers []chain.Signer
	}
	selecting := func(c *trial, workspace string, indexes ...uint64) {
		c.erase = chaintest.Select(c.l, workspace, indexes...)
	}
	for _, c := range []struct {
		name   string
		change func(*trial)
		want   string // "" is accepted
	}{
		{"a record", func(*trial) {}, ""},
		{"records, a conflict and a rejection", func(c *trial) { selecting(c, "ws_7", 2, 3, 6, 7) }, ""},
		{"the words of a change of keys", func(c *trial) { selecting(c, "", 9) }, ""},
		{"at an earlier size", func(c *trial) { c.size = 4; c.root, _ = c.l.At(4) }, ""},
		{"one part of two", func(c *trial) { c.erase.Parts, c.erase.Part, c.erase.Selection = 2, 1, chain.Hash{1} }, ""},
		{"a reason without a name", func(c *trial) { c.erase.Reason = 4711 }, ""},

		{"a duplicate by itself", func(c *trial) { selecting(c, "ws_7", 5) }, "control_body"},
		{"another workspace's record", func(c *trial) { selecting(c, "ws_7", 2, 8) }, "control_body"},
		{"the genesis", func(c *trial) { selecting(c, "", 0) }, "control_body"},
		{"a seed", func(c *trial) { selecting(c, "", 1) }, "control_body"},
		{"a mark", func(c *trial) { selecting(c, "", 10) }, "control_body"},
		{"beyond what its signer saw", func(c *trial) { c.size = 2; c.root, _ = c.l.At(2) }, "control_body"},
		{"nothing", func(c *trial) { c.erase.Ranges = nil }, "control_body"},
		{"no reason", func(c *trial) { c.erase.Reason = 0 }, "control_body"},
		{"a rule", func(c *trial) { c.erase.Rule = 2 }, "control_body"},
		{"a part too many", func(c *trial) { c.erase.Part = 1 }, "control_body"},
		{"no parts", func(c *trial) { c.erase.Parts = 0 }, "control_body"},
		{"one part of another whole", func(c *trial) { c.erase.Selection[0] ^= 1 }, "control_body"},
		{"the role of somebody else", func(c *trial) { c.erase.Role = chain.RoleEraser }, "control_body"},
		{"a role that erases nothing", func(c *trial) { c.erase.Role = chain.RoleLedger }, "control_body"},
		{"a byte too many", func(c *trial) { c.body = append(c.erase.Append(nil), 0) }, "control_body"},
		{"a byte too few", func(c *trial) { b := c.erase.Append(nil); c.body = b[:len(b)-1] }, "control_body"},
		{"a number in a longer form", func(c *trial) {
			b := c.erase.Append(nil)
			c.body = append(b[:len(b)-1], 0x80, 0)
		}, "control_body"},
		{"too many entries", func(c *trial) {
			c.erase.Ranges = []chain.Range{{From: 2, To: 3 + chain.MaxSelected}}
		}, "control_body"},
		{"an empty body", func(c *trial) { c.body = []byte{} }, "control_body"},

		{"other leaves", func(c *trial) { c.erase.Leaves[0] ^= 1; c.erase.Selection = c.erase.Leaves }, "control_condition"},
		{"no condition", func(c *trial) { c.size, c.root = 0, chain.Hash{}; c.erase.Ranges = nil; c.body = c.erase.Append(nil) }, "control_body"},
		{"another history", func(c *trial) { c.root[0] ^= 1 }, "control_condition"},
		{"a size to come", func(c *trial) { c.size++ }, "control_condition"},

		{"the ledger's key", func(c *trial) { c.signers = []chain.Signer{c.s.Keeper} }, "control_signature"},
		{"the root's key", func(c *trial) { c.signers = []chain.Signer{c.s.Root} }, "control_signature"},
		{"a stranger's key", func(c *trial) { c.signers = []chain.Signer{signerOf(t, "stranger")} }, "control_signature"},
	} {
		s, l := erasable(t, "erasures")
		trial := &trial{s: s, l: l, signers: []chain.Signer{s.Operator}, size: l.State.Size}
		trial.root, _ = l.At(trial.size)
		selecting(trial, "ws_7", 2)
		c.change(trial)
		if trial.body == nil {
			trial.body = trial.erase.Append(nil)
		}
		s.Publish("annals.control.erase", string(chain.SealControl(chain.Statement{
			Ledger: s.ID, Number: s.Control, Type: chain.ControlErase, Size: trial.size, Root: trial.root, Body: trial.body,
		}, []byte("by Erin, who was asked to"), trial.signers...)))
		want := "rejection 0/1 " + c.want
		if c.want == "" {
			want = "control 0/1 erase"
		}
		if got := next(t, l, s); got != want {
			t.Errorf("%s: %s, want %s", c.name, got, want)
			continue
		}
		if c.want != "" && len(l.Record(2)) == 0 {
			t.Errorf("%s: a rejected erasure erased", c.name)
		}
	}
}

// TestEpochIsNotErased: by the message that began an epoch a replica knows its stream,
// so it stays, alone and among others.
func TestEpochIsNotErased(t *testing.T) {
	s, l := erasable(t, "epoch")
	size := l.State.Size
	root, _ := l.At(size)
	s.Begin(size, root, 1)
	if got := next(t, l, s); got != "control 0/1 epoch" {
		t.Fatal(got)
	}
	for _, indexes := range [][]uint64{{size}, {9, size}} {
		at := l.State.Size
		root, _ := l.At(at)
		s.Erase(at, root, chaintest.Select(l, "", indexes...), "")
		if got := next(t, l, s); got != "rejection 0/1 control_body" {
			t.Errorf("entries %d: %s", indexes, got)
		}
		if l.State.Erasures != 0 || l.Entries[size].Bare() || l.Entries[9].Bare() {
			t.Errorf("entries %d: a rejected erasure erased", indexes)
		}
	}
	may := map[chain.ControlType]bool{
		chain.ControlKey: true, chain.ControlGap: true, chain.ControlErase: true,
		chain.ControlRetention: true, chain.ControlHold: true, chain.ControlRelease: true, chain.ControlCatalogue: true,
	}
	for typ := range chain.ControlType(20) {
		selected := chain.Selected{Kind: chain.KindControl, Code: uint16(typ)}
		if selected.Erasable() != may[typ] {
			t.Errorf("control type %d may be erased: %v", typ, !may[typ])
		}
	}
}

// TestErasers: once a key has the eraser's role, so many of them as its threshold
// says sign, and the operator does no more.
func TestErasers(t *testing.T) {
	first, second := chaintest.Signer("first eraser"), chaintest.Signer("second eraser")
	s, l := erasable(t, "erasers")
	s.ChangeKeys(chain.KeyChange{
		Added:      []chain.Key{first.Public(chain.RoleEraser), second.Public(chain.RoleEraser)},
		Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
	}, "", s.Root)
	if got := next(t, l, s); got != "control 0/1 key" {
		t.Fatal(got)
	}
	size := l.State.Size
	root, _ := l.At(size)
	for _, c := range []struct {
		role    chain.Role
		signers []chain.Signer
		want    string
	}{
		{chain.RoleEraser, []chain.Signer{s.Operator}, "rejection 0/1 control_signature"},
		{chain.RoleOperator, []chain.Signer{s.Operator}, "rejection 0/1 control_signature"},
		{chain.RoleEraser, []chain.Signer{first}, "rejection 0/1 control_signature"},
		{chain.RoleEraser, []chain.Signer{first, first}, "rejection 0/1 control_signature"},
		{chain.RoleOperator, []chain.Signer{first, second}, "rejection 0/1 control_body"},
		{chain.RoleEraser, []chain.Signer{first, second}, "control 0/1 erase"},
	} {
		e := chaintest.Select(l, "ws_7", 2)
		e.Role = c.role
		s.Erase(size, root, e, "", c.signers...)
		if got := next(t, l, s); got != c.want {
			t.Errorf("%d signatures as %s: %s, want %s", len(c.signers), c.role, got, c.want)
		}
	}
}

// TestDuplicatesOfErased: what comes under an erased record's id is not compared,
// whatever it says, and nothing is kept that a guess could be held against.
func TestDuplicatesOfErased(t *testing.T) {
	s, l := erasable(t, "duplicates of erased")
	root, _ := l.At(l.State.Size)
	s.Erase(l.State.Size, root, chaintest.Select(l, "ws_7", 2), "")
	if got := next(t, l, s); got != "control 0/1 erase" {
		t.Fatal(got)
	}
	for _, body := range []string{`"personal"`, `"other"`, `"anything"`} {
		s.Record("ws_7", "0", body)
		if got := next(t, l, s); got != "duplicate 0/1 code 2 of 2 asserted" {
			t.Errorf("%s: %s", body, got)
		}
		last := l.Entries[len(l.Entries)-1]
		if last.Entry.Ref != 2 || last.First || last.Original != nil {
			t.Errorf("%s: it refers to %d, first %v, with %d bytes of its original", body, last.Entry.Ref, last.First, len(last.Original))
		}
		if p := last.Payload; p.Kept != chain.KeptNone || !p.Salt.IsZero() || len(p.Envelope)+len(p.Body)+len(p.Before)+len(p.After) > 0 {
			t.Errorf("%s: its payload keeps %+v", body, p)
		}
	}
	// Of others nothing changes.
	s.Record("ws_7", "1", `"personal"`)
	if got := next(t, l, s); got != "duplicate 0/1 code 1 of 3 asserted" {
		t.Errorf("a repeat of a record that stands: %s", got)
	}
}

// TestEraseNeedsToKnow: a fold that was not told what is selected stops, rather than
// give an entry that another replica doesn't.
func TestEraseNeedsToKnow(t *testing.T) {
	s, l := erasable(t, "needs to know")
	size := l.State.Size
	root, _ := l.At(size)
	s.Erase(size, root, chaintest.Select(l, "ws_7", 2, 3), "")
	p := l.State.Preparer().Prepare(s.Messages[len(s.Messages)-1])
	known := chain.Known{Heads: l.Heads, Roots: map[uint64]chain.Hash{size: root}, Reached: map[uint64]uint64{size: 0}}
	for range 2 {
		if r, err := l.State.Fold([]chain.Prepared{p}, known); !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
			t.Errorf("%d entries, %v", len(r.Entries), err)
		}
		known.Selected = map[uint64]chain.Selected{2: l.Entries[2].Entry.Selected(l.Entries[2].Leaf)}
	}
}

// TestEraseVectors is docs/format/vectors/erase.json: an erasure of two records, a
// conflict and a rejection, what is rejected around it, and what comes under an
// erased record's id afterwards.
func TestEraseVectors(t *testing.T) {
	s, l := erasable(t, "erase vectors")
	size := l.State.Size
	root, _ := l.At(size)
	step := func(want string, publish func()) {
		t.Helper()
		publish()
		if got := next(t, l, s); got != want {
			t.Fatalf("entry %d is %q, want %q", len(l.Entries)-1, got, want)
		}
	}
	erase := func(e chain.Erase, signers ...chain.Signer) func() {
		return func() { s.Erase(size, root, e, "by Erin: ticket 12", signers...) }
	}
	e := chaintest.Select(l, "ws_7", 2, 3, 6, 7)
	step("rejection 0/1 control_signature", erase(e, s.Keeper))
	step("rejection 0/1 control_body", erase(chaintest.Select(l, "ws_7", 5)))
	other := e
	other.Leaves, other.Selection = chain.Hash{1}, chain.Hash{1}
	step("rejection 0/1 control_condition", erase(other))
	step("control 0/1 erase", erase(e))
	erased := len(l.Entries) - 1
	step("duplicate 0/1 code 2 of 2 asserted", func() { s.Record("ws_7", "0", `"personal"`) })
	step("duplicate 0/1 code 2 of 2 asserted", func() { s.Record("ws_7", "0", `"anything"`) })
	step("duplicate 0/1 code 1 of 4 asserted", func() { s.Record("ws_7", "2", `"personal"`) })
	published(t, "erase.json", vectorsOf(t, s, l, "ws_7", "ws_8"))
	statement := statementIn(t, l, erased)
	worked(t, map[string][]byte{
		"erasure's ledger id": s.ID[:], "erasure's body": statement.Body, "erasure's root": root[:],
		"erasure's statement": statement.Append(nil), "erasure's tag": e.Workspace[:], "erasure's selection": e.Selection[:],
	})
}

func FuzzParseErase(f *testing.F) {
	e := chain.Erase{Role: chain.RoleEraser, Reason: 1, Rule: chain.NoRef, Parts: 1}
	for _, ranges := range [][]chain.Range{
		{{From: 0, To: 1}},
		{{From: 3, To: 200}, {From: 201, To: 1000}},
		{{From: 1 << 63, To: 1<<63 + 1}, {From: 1<<64 - 2, To: 1<<64 - 1}},
		{{From: 0, To: chain.MaxSelected}},
		{{From: 0, To: chain.MaxSelected + 1}},
	} {
		e.Ranges = ranges
		f.Add(e.Append(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := chain.ParseErase(b)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Errorf("%x parses and prints as %x", b, got.Append(nil))
		}
		if n := got.Count(); n == 0 || n > chain.MaxSelected {
			t.Errorf("%x selects %d entries", b, n)
		}
		end := uint64(0)
		for i, r := range got.Ranges {
			if r.To <= r.From || i > 0 && r.From <= end {
				t.Errorf("%x: ranges %v", b, fmt.Sprint(got.Ranges))
			}
			end = r.To
		}
	})
}
