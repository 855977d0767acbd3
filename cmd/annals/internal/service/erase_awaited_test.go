package service

import (
	"strings"
	"testing"

	"annals/cmd/annals/internal/keeper"
)

// TestAwaited: erased messages stay in the stream until each named replica has folded
// the erasure in the epoch that the ledger is in, and while any has another history.
func TestAwaited(t *testing.T) {
	names := []string{"a", "b", "c"}
	at := func(epoch uint32, b, c uint64, forked string) *keeper.TrimStatus {
		return &keeper.TrimStatus{Epoch: epoch, Replicas: []keeper.ReplicaStatus{
			{Name: "b", Sequence: b}, {Name: "c", Sequence: c, Forked: forked},
		}}
	}
	for name, c := range map[string]struct {
		status *keeper.TrimStatus
		want   string // "": nothing is awaited
	}{
		"all of them":      {at(1, 7, 9, ""), ""},
		"one is behind":    {at(1, 9, 6, ""), "until replica c has folded message 7"},
		"one is unknown":   {&keeper.TrimStatus{Epoch: 1, Replicas: at(1, 7, 9, "").Replicas[:1]}, "until replica c has folded message 7"},
		"nothing is known": {nil, "nothing is known yet"},
		"epoch before":     {at(0, 5000, 6000, ""), "nothing is known yet of where the other replicas stand in epoch 1"},
		"another history":  {at(1, 7, 9, "replica c has another root"), "replica c has another root"},
	} {
		got := awaited(c.status, names, "a", 1, 7)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
