package service

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/cmd/annals/internal/quorum"
	"annals/ingest"
	"annals/ledger/chain"
)

// TestSigningTogether: of three replicas two have to show the same tree before either
// signs it. One alone signs nothing and goes on recording; where one shows another
// history, recording stops too, and both heads are kept.
func TestSigningTogether(t *testing.T) {
	o, nc := onCluster(t)
	first := mustStart(t, o)
	mustClose(t, first)
	o.Quorum, o.Trim.Replicas = 2, []string{"a", "b", "c"}
	named := func(o Options, name string) Options {
		o.Trim.Replica = name
		return o
	}
	b := named(copied(t, o), "b")
	a := mustStart(t, named(o, "a"))
	was, _ := a.signer.Latest()
	if status, body := post(t, a, "one"); status != 200 {
		t.Fatal(status, body)
	}
	alone := a.ledger.Head().Size
	if err := a.signer.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if signed, _ := a.signer.Latest(); signed.Size != was.Size {
		t.Errorf("alone it signed size %d of %d", signed.Size, alone)
	}
	other := mustStart(t, b)
	for _, s := range []*Service{a, other} {
		eventually(t, "both have signed it", func() bool {
			signed, ok := s.signer.Latest()
			return ok && signed.Size >= alone
		})
	}
	one, _ := a.signer.Latest()
	if root, err := other.ledger.RootAt(one.Size); err != nil || root != one.Root {
		t.Errorf("it signed the root %s of size %d, %v; the other has %s", one.Root, one.Size, err, root)
	}
	mustClose(t, other)
	if status, body := post(t, a, "two"); status != 200 {
		t.Errorf("recording alone: %d %s", status, body)
	}
	// A third shows another root.
	size := a.ledger.Head().Size
	err := ingest.ShowHead(t.Context(), nc, ingest.ReplicaHead{Name: "c", Ledger: a.ledger.ID(), Size: size, Root: chain.Hash{7}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "recording stops", func() bool { return a.pump.stopped() != nil })
	var fork *quorum.ForkError
	if err := a.Ready(t.Context()); !errors.As(err, &fork) || fork.Replica != "c" || fork.Size != size {
		t.Errorf("stopped because of %v", err)
	}
	kept, err := os.ReadFile(filepath.Join(a.dir.Root, forkFile))
	if err != nil || !strings.Contains(string(kept), fork.Root.String()) || !strings.Contains(string(kept), fork.Other.String()) {
		t.Errorf("the evidence is %s, %v", kept, err)
	}
	if err := a.signer.Sign(t.Context()); err == nil {
		t.Error("it signs beside another history")
	}
	if status, body := post(t, a, "three"); status == 200 {
		t.Errorf("recording beside another history: %d %s", status, body)
	}
	clean(t, a)
}
