package keeper

import (
	"strings"
	"testing"

	"annals/ingest"
	"annals/ledger"
)

// TestForkedStatus: what a replica of another history says of where it stands counts
// for nothing, and whoever asks is told of it, also once it agrees again.
func TestForkedStatus(t *testing.T) {
	s := calm(t)
	if err := ingest.EnsureReplicas(t.Context(), s.nc); err != nil {
		t.Fatal(err)
	}
	k := s.trimming(500, "a", "b")
	tell := func(head ledger.Head, bit byte) ReplicaStatus {
		t.Helper()
		word := ingest.ReplicaPosition{Name: "b", Ledger: s.ledger.ID(), Sequence: head.State.Sequence, Size: head.Size, Root: head.Root, Replicas: []string{"a", "b"}}
		word.Root[0] ^= bit
		if err := ingest.TellReplica(t.Context(), s.nc, word); err != nil {
			t.Fatal(err)
		}
		s.step(k)
		status := k.TrimStatus()
		if len(status.Replicas) != 1 || status.Epoch != 0 {
			t.Fatalf("%+v", status)
		}
		return status.Replicas[0]
	}
	agreed := s.ledger.Head()
	if r := tell(agreed, 0); r.Sequence != agreed.State.Sequence || r.Forked != "" {
		t.Errorf("one that agrees: %+v", r)
	}
	s.fill(20)
	if r := tell(s.ledger.Head(), 1); r.Sequence != agreed.State.Sequence || !strings.Contains(r.Forked, "two histories") {
		t.Errorf("one of another history: %+v", r)
	}
	s.fill(20)
	if r := tell(s.ledger.Head(), 0); !strings.Contains(r.Forked, "two histories") {
		t.Errorf("one that agrees again: %+v", r)
	}
	// In the next epoch it is known of which stream the status is.
	k.trimmer = trimmer{}
	head := s.ledger.Head()
	head.State.Epoch = 3
	k.trimmer.epoch = 3
	k.tell(s.now, &head, nil)
	if status := k.TrimStatus(); status.Epoch != 3 || len(status.Replicas) != 0 {
		t.Errorf("in the next epoch: %+v", status)
	}
}
