package proof_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// tenantOf is a workspace's tenant with everything that a sound server gives it.
func tenantOf(l *prooftest.Ledger, workspace string, size uint64) *tenant {
	answer := l.Answer(workspace, size)
	head := l.Head(workspace, size)
	return &tenant{
		Tenant: proof.Tenant{
			Workspace: workspace, History: l.Keys(size), VKey: l.VKey(),
			Checkpoint: []byte(answer.Checkpoint), Answer: answer,
		},
		lines: l.Lines(workspace, size, 0, head.Count-1, false, prooftest.All),
	}
}

// tenant is a tenant whose lines a test may change.
type tenant struct {
	proof.Tenant
	lines []proof.Line
}

func (t *tenant) verify(tb testing.TB) proof.TenantReport {
	tb.Helper()
	t.Lines = each(t.lines)
	r, err := t.Verify(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func each(lines []proof.Line) iter.Seq2[proof.Line, error] {
	return func(yield func(proof.Line, error) bool) {
		for _, l := range lines {
			c := proof.Line{Index: l.Index, Entry: slices.Clone(l.Entry), Proof: l.Proof, Salt: l.Salt, Envelope: l.Envelope, Body: l.Body}
			if !yield(c, nil) {
				return
			}
			clear(c.Entry) // what was yielded is valid until the next step only
		}
	}
}

// edit changes an entry's bytes.
func (t *tenant) edit(i int, change func(e *chain.Entry)) {
	e, err := chain.ParseEntry(slices.Clone(t.lines[i].Entry))
	if err != nil {
		panic(err)
	}
	change(&e)
	t.lines[i].Entry = e.Append(nil)
}

// TestTenantClean verifies every workspace of random ledgers at several sizes.
func TestTenantClean(t *testing.T) {
	for seed := range uint64(12) {
		l := prooftest.Random(seed, 60, 3)
		for _, size := range []uint64{l.Size(), l.Size() - 1, l.Size() / 2} {
			for w := 1; w <= 3; w++ {
				workspace := fmt.Sprintf("ws_%d", w)
				tenant := tenantOf(l, workspace, size)
				for _, index := range l.Of(workspace, size) {
					tenant.Receipts = append(tenant.Receipts, l.Receipt(index, size, true))
				}
				r := tenant.verify(t)
				if r.Verdict != proof.Clean || len(r.Notices) > 0 || r.Count != uint64(len(tenant.lines)) || r.TreeSize != size || r.Payloads == 0 || r.Unchecked > 0 {
					t.Fatalf("seed %d, %s at %d: %+v", seed, workspace, size, r)
				}
			}
		}
	}
}

// TestTenantBroken breaks each rule on purpose.
func TestTenantBroken(t *testing.T) {
	l := prooftest.Random(4, 80, 3)
	size := l.Size()
	other := prooftest.Random(5, 40, 3)
	stranger := tenantOf(other, "ws_1", other.Size())
	neighbour := tenantOf(l, "ws_2", size)
	kind := func(tn *tenant, k chain.Kind) int {
		for i := range tn.lines {
			if e, _ := chain.ParseEntry(tn.lines[i].Entry); e.Kind == k {
				return i
			}
		}
		t.Fatalf("no %s", k)
		return 0
	}
	resign := func(tn *tenant, change func(h *proof.WorkspaceHead)) {
		h := l.Head("ws_1", size)
		change(&h)
		tn.Answer.Head = string(l.Sign(h.Text(), "heads"))
	}
	for name, c := range map[string]struct {
		do   func(tn *tenant)
		want proof.Finding
	}{
		"payload altered":    {func(tn *tenant) { tn.lines[3].Body = proof.Base64(`{"x":1}`) }, proof.AlteredPayload},
		"salt altered":       {func(tn *tenant) { tn.lines[3].Salt = make(proof.Base64, 32) }, proof.AlteredPayload},
		"payload left out":   {func(tn *tenant) { l := &tn.lines[3]; l.Salt, l.Envelope, l.Body = nil, nil, nil }, proof.PayloadMissing},
		"entry altered":      {func(tn *tenant) { tn.edit(3, func(e *chain.Entry) { e.Timestamp++ }) }, proof.AlteredEntry},
		"commitment altered": {func(tn *tenant) { tn.edit(3, func(e *chain.Entry) { e.Commitment[0]++ }) }, proof.AlteredEntry},
		"position altered":   {func(tn *tenant) { tn.edit(3, func(e *chain.Entry) { e.Position += 90 }) }, proof.AlteredEntry},
		"link altered":       {func(tn *tenant) { tn.edit(3, func(e *chain.Entry) { e.PreviousInWorkspace[0]++ }) }, proof.AlteredEntry},
		"first altered":      {func(tn *tenant) { tn.edit(0, func(e *chain.Entry) { e.Seed++ }) }, proof.AlteredEntry},
		"last altered":       {func(tn *tenant) { tn.edit(len(tn.lines)-1, func(e *chain.Entry) { e.Seed++ }) }, proof.AlteredEntry},
		"entry of no form":   {func(tn *tenant) { tn.lines[3].Entry = tn.lines[3].Entry[:100] }, proof.AlteredEntry},
		"one missing":        {func(tn *tenant) { tn.lines = slices.Delete(tn.lines, 3, 4) }, proof.MissingEntry},
		"first missing":      {func(tn *tenant) { tn.lines = tn.lines[2:] }, proof.MissingEntry},
		"tail missing":       {func(tn *tenant) { tn.lines = tn.lines[:len(tn.lines)-2] }, proof.Truncated},
		"all missing":        {func(tn *tenant) { tn.lines = nil }, proof.Truncated},
		"two swapped":        {func(tn *tenant) { tn.lines[3], tn.lines[4] = tn.lines[4], tn.lines[3] }, proof.Reordered},
		"index lies":         {func(tn *tenant) { tn.lines[3].Index++ }, proof.Reordered},
		"one repeated":       {func(tn *tenant) { tn.lines = slices.Insert(tn.lines, 3, tn.lines[3]) }, proof.Reordered},
		"foreign line":       {func(tn *tenant) { tn.lines = append(tn.lines, neighbour.lines[0]) }, proof.TrailingBytes},
		"chain of another":   {func(tn *tenant) { tn.lines = neighbour.lines[:20] }, proof.Truncated},
		"head of another":    {func(tn *tenant) { tn.Answer.Head = neighbour.Answer.Head }, proof.WorkspaceChainBroken},
		"all of another":     {func(tn *tenant) { tn.Answer, tn.lines = neighbour.Answer, neighbour.lines }, proof.WorkspaceChainBroken},
		"all of another, renamed": {func(tn *tenant) {
			a := *neighbour.Answer
			a.Workspace = "ws_1"
			tn.Answer, tn.lines = &a, neighbour.lines
		}, proof.WorkspaceChainBroken},
		"answer of another name":   {func(tn *tenant) { tn.Answer.Workspace = "ws_2" }, proof.WorkspaceChainBroken},
		"answer of another tag":    {func(tn *tenant) { tn.Answer.Tag[0]++ }, proof.WorkspaceChainBroken},
		"head of another ledger":   {func(tn *tenant) { tn.Answer.Head = stranger.Answer.Head }, proof.WrongLedger},
		"keys of another ledger":   {func(tn *tenant) { tn.History = stranger.History }, proof.WrongLedger},
		"checkpoint of another":    {func(tn *tenant) { tn.Checkpoint = stranger.Checkpoint }, proof.WrongLedger},
		"another verifier key":     {func(tn *tenant) { tn.VKey = stranger.VKey }, proof.WrongLedger},
		"unknown verifier key":     {func(tn *tenant) { tn.VKey = prooftest.VKeyOf(l.Settled.Origin, "nobody") }, proof.UnknownKey},
		"head by a checkpoint key": {func(tn *tenant) { h := l.Head("ws_1", size); tn.Answer.Head = string(l.Sign(h.Text(), "checkpoint")) }, proof.UnknownKey},
		"head's signature": {func(tn *tenant) {
			tn.Answer.Head = strings.Replace(tn.Answer.Head, "\n"+fmt.Sprint(size)+"\n", "\n"+fmt.Sprint(size-1)+"\n", 1)
		}, proof.BadSignature},
		"head of another form":   {func(tn *tenant) { tn.Answer.Head = string(l.Sign("annals/workspace-head/v2\nx\n", "heads")) }, proof.BadSignature},
		"head beyond checkpoint": {func(tn *tenant) { resign(tn, func(h *proof.WorkspaceHead) { h.Size++ }) }, proof.Inconclusive},
		"head counts fewer":      {func(tn *tenant) { resign(tn, func(h *proof.WorkspaceHead) { h.Count-- }) }, proof.AlteredEntry},
		"head's leaf":            {func(tn *tenant) { resign(tn, func(h *proof.WorkspaceHead) { h.Leaf[0]++ }) }, proof.AlteredEntry},
		"mark's row":             {func(tn *tenant) { tn.Answer.Mark.Count-- }, proof.RootMismatch},
		"mark's proof":           {func(tn *tenant) { tn.Answer.Mark.MapIndex ^= 1 }, proof.RootMismatch},
		"mark's entry": {func(tn *tenant) {
			tn.Answer.Mark.Receipt = string(l.Receipt(tn.lines[3].Index, size, false).WithoutPayload().Text())
		}, proof.Inconclusive},
		"mark that is a seed":       {func(tn *tenant) { tn.Answer.Mark.Receipt = string(l.Receipt(1, size, false).Text()) }, proof.UnauthorisedControl},
		"mark elsewhere":            {func(tn *tenant) { tn.Answer.Mark = stranger.Answer.Mark }, proof.Inconclusive},
		"duplicate of another body": {func(tn *tenant) { tn.lines[kind(tn, chain.KindDuplicate)].Body = proof.Base64("{}") }, proof.AlteredPayload},
	} {
		t.Run(name, func(t *testing.T) {
			tn := tenantOf(l, "ws_1", size)
			c.do(tn)
			if r := tn.verify(t); r.Verdict != c.want || r.Total == 0 {
				t.Errorf("verdict %s, want %s: %+v", r.Verdict, c.want, r.Findings)
			}
		})
	}
}

// TestSuppressedTail has the server sign a head that leaves out the last entries.
// Nothing in what it serves shows it; what was given out before does.
func TestSuppressedTail(t *testing.T) {
	l := prooftest.Random(6, 60, 2)
	size := l.Size()
	lying := func() *tenant {
		tn := tenantOf(l, "ws_1", size)
		of := l.Of("ws_1", size)
		last := &l.Leaves[of[len(of)-2]]
		h := proof.WorkspaceHead{Origin: l.Settled.Origin, Tag: last.Entry.Workspace, Count: uint64(len(of) - 1), Index: last.Entry.Index, Leaf: last.Hash, Size: size}
		tn.Answer.Head = string(l.Sign(h.Text(), "heads"))
		tn.lines = tn.lines[:len(tn.lines)-1]
		return tn
	}
	tn := lying()
	if r := tn.verify(t); r.Verdict != proof.Clean {
		t.Fatalf("by itself the lie can't be seen: %+v", r)
	}
	of := l.Of("ws_1", size)
	receipt := l.Receipt(of[len(of)-1], size, false)
	tn.Receipts = []*proof.Receipt{receipt}
	r := tn.verify(t)
	if r.Verdict != proof.Forked || len(r.Findings[0].Evidence) != 2 {
		t.Errorf("a receipt beyond the head: %+v", r)
	}
	head := l.Head("ws_1", size)
	tn = lying()
	tn.Remembered = l.Sign(head.Text(), "heads")
	if r := tn.verify(t); r.Verdict != proof.Forked || len(r.Findings[0].Evidence) == 0 {
		t.Errorf("an honest head from before: %+v", r)
	}
	l.MarkNow()
	l.Fold()
	// A mark that covers the entry, and the lie signed for a later size.
	tn = lying()
	tn.Answer.Mark = l.Answer("ws_1", l.Size()).Mark
	tn.Checkpoint = l.Checkpoint(l.Size())
	tn.Answer.Checkpoint, tn.History = string(tn.Checkpoint), l.Keys(l.Size())
	if r := tn.verify(t); r.Verdict != proof.Forked {
		t.Errorf("a mark that counts more: %+v", r)
	}
}

// TestRemembered holds a head to one that was kept from before.
func TestRemembered(t *testing.T) {
	l := prooftest.Random(8, 60, 2)
	size := l.Size()
	for at := uint64(20); at < size; at += 7 {
		head := l.Head("ws_1", at)
		tn := tenantOf(l, "ws_1", size)
		tn.Remembered = l.Sign(head.Text(), "heads")
		if r := tn.verify(t); r.Verdict != proof.Clean {
			t.Fatalf("at %d: %+v", at, r)
		}
		later := l.Head("ws_1", size)
		stale := tenantOf(l, "ws_1", at)
		stale.Remembered = l.Sign(later.Text(), "heads")
		if r := stale.verify(t); r.Verdict != proof.StaleHead {
			t.Fatalf("at %d behind %d: %+v", at, size, r)
		}
		head.Leaf[3]++
		tn.Remembered = l.Sign(head.Text(), "heads")
		if r := tn.verify(t); r.Verdict != proof.Forked {
			t.Fatalf("at %d, another leaf: %+v", at, r)
		}
		tn.Remembered = []byte(strings.Replace(string(tn.Remembered), "\n"+fmt.Sprint(at)+"\n", "\n1\n", 1))
		if r := tn.verify(t); r.Verdict != proof.BadSignature {
			t.Fatalf("at %d, broken: %+v", at, r)
		}
	}
}

// TestContradicts compares every receipt with every head.
func TestContradicts(t *testing.T) {
	l := prooftest.Random(9, 40, 2)
	for at := uint64(12); at <= l.Size(); at += 5 {
		h := l.Head("ws_1", at)
		h.Note = l.Sign(h.Text(), "heads")
		fewer, more := h, h
		fewer.Count--
		more.Count++
		for index := range l.Size() {
			r := l.Receipt(index, l.Size(), false)
			if err := proof.Contradicts(r, &h); err != nil {
				t.Fatalf("entry %d and the head at %d agree: %v", index, at, err)
			}
			e := &r.Entry
			mine := e.Workspace == h.Tag
			var c *proof.ContradictionError
			if got, want := errors.As(proof.Contradicts(r, &fewer), &c), mine && e.Index < at && e.Position >= h.Count-2; got != want {
				t.Fatalf("entry %d, a head at %d that counts one fewer: %v", index, at, got)
			} else if got && (!strings.Contains(c.Error(), string(h.Note)) || c.First != string(r.Text())) {
				t.Fatal("both are shown")
			}
			if got, want := proof.Contradicts(r, &more) != nil, mine && (e.Position == h.Count || e.Position == h.Count-1); got != want {
				t.Fatalf("entry %d at position %d, a head at %d that counts one more: %v", index, e.Position, at, got)
			}
		}
	}
}
