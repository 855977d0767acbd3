package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/keeper"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// firstSequence is where the service's stream begins.
func (s *Service) firstSequence(t *testing.T) uint64 {
	t.Helper()
	info, err := s.streamInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.FirstSeq
}

func mustPost(t *testing.T, s *Service, name string, n int) {
	t.Helper()
	for i := range n {
		if status, body := post(t, s, fmt.Sprint(name, i)); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
}

func get(t *testing.T, s *Service, path string) string {
	t.Helper()
	res, err := http.Get(s.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, string(body), err)
	}
	return string(body)
}

func mustBeClean(t *testing.T, s *Service) {
	t.Helper()
	src := s.Ledger().Source()
	defer src.Close()
	report, err := audit.Run(t.Context(), src, audit.Options{})
	if err != nil || report.Verdict != proof.Clean {
		t.Errorf("audit: %v, %s", err, report.Sentence)
	}
}

func count(t *testing.T, s *Service, what chain.ControlType) (n int) {
	t.Helper()
	for leaf, err := range s.Ledger().Leaves(t.Context(), 0, s.Ledger().Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Kind == chain.KindControl && chain.ControlType(leaf.Entry.Code) == what {
			n++
		}
	}
	return n
}

// TestTrimmedStreamGoesOn: after the genesis has gone from the stream, a start
// knows its stream again, and reads, records and verifies as before.
func TestTrimmedStreamGoesOn(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Trim = Trim{Margin: 10, every: 10 * time.Millisecond}
	o.fresh = time.Minute // a busy machine folds late
	s := mustStart(t, o)
	mustPost(t, s, "a", 40)
	eventually(t, "the stream is trimmed", func() bool { return s.firstSequence(t) > 2 })
	if answer := get(t, s, "/v1/ledger"); strings.Contains(answer, `"trimmed":0`) || strings.Contains(answer, "trim_held") {
		t.Error(answer)
	}
	mustClose(t, s)

	again := mustStart(t, o)
	if err := again.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := again.pump.check(t.Context()); err != nil {
		t.Error(err)
	}
	mustPost(t, again, "b", 1)
	page := get(t, again, "/v1/workspaces/ws_7/timeline?limit=100")
	for _, id := range []string{`"a0"`, `"a39"`, `"b0"`} {
		if !strings.Contains(page, id) {
			t.Errorf("the timeline lacks %s", id)
		}
	}
	mustBeClean(t, again)
	eventually(t, "the keeper has looked", func() bool { return again.trimmed() != nil })
	metrics := get(t, again, "/metrics")
	for _, name := range []string{"annals_stream_trimmed_sequence ", "annals_stream_removed_sequence ", "annals_stream_trim_held 0"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	mustClose(t, again)

	// Turned off, nothing more goes, and what went is no fault.
	o.Trim.Off = true
	off := mustStart(t, o)
	first := off.firstSequence(t)
	mustPost(t, off, "c", 40)
	time.Sleep(200 * time.Millisecond) // twenty looks
	if now := off.firstSequence(t); now != first || off.keeper.TrimStatus() != nil {
		t.Errorf("turned off, the stream begins at %d and then at %d", first, now)
	}
}

// TestTrimSurvivesDying: a trim that was recorded, and nothing removed for it, is
// completed by the next start.
func TestTrimSurvivesDying(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Trim.Off = true
	s := mustStart(t, o)
	mustPost(t, s, "a", 40)
	// A keeper that dies between the two: what it asks before it signs is answered,
	// what it asks before it removes is not.
	asked := 0
	dying := keeper.New(keeper.Options{
		Ledger: s.ledger, Conn: s.line.nc, Signer: s.ledgerSigner, Every: time.Millisecond,
		Check: func(context.Context) error {
			if asked++; asked > 1 {
				return errors.New("dead")
			}
			return nil
		},
		Trim: &keeper.TrimOptions{Margin: 10, Replica: keeper.Alone, Projected: func() uint64 { return s.ledger.Head().Size }},
	})
	stop := beside(func(ctx context.Context) error {
		dying.Run(ctx)
		return nil
	})
	eventually(t, "the trim is recorded", func() bool { return s.Ledger().Head().State.Trimmed > 0 })
	_ = stop()
	trimmed := s.Ledger().Head().State.Trimmed
	if first := s.firstSequence(t); trimmed == 0 || first != 1 {
		t.Fatalf("trimmed up to %d, and the stream begins at %d", trimmed, first)
	}
	mustClose(t, s)
	o.Trim = Trim{Margin: 1000, every: 10 * time.Millisecond}
	again := mustStart(t, o)
	eventually(t, "the recorded trim is completed", func() bool { return again.firstSequence(t) == trimmed+1 })
	if n := count(t, again, chain.ControlTrim); n != 1 {
		t.Errorf("%d trims, want the one", n)
	}
	mustBeClean(t, again)
}

// TestReplicasTrimTogether: two ledgers of one history fold one stream on a cluster.
// While one of them is away nothing goes; together they trim, and both are clean.
func TestReplicasTrimTogether(t *testing.T) {
	o, _ := onCluster(t)
	first := mustStart(t, o)
	mustPost(t, first, "a", 3)
	if first.trimming() != nil {
		t.Error("a cluster's stream is trimmed though no replica is named")
	}
	mustClose(t, first)
	// The second replica starts from the first one's folder.
	other := copied(t, o)
	names := []string{"a", "b"}
	o.Trim = Trim{Margin: 10, Replica: "a", Replicas: names, every: 10 * time.Millisecond}
	other.Trim = Trim{Margin: 10, Replica: "b", Replicas: names, every: 10 * time.Millisecond}

	a := mustStart(t, o)
	mustPost(t, a, "b", 40)
	eventually(t, "the absent replica holds it back", func() bool { return strings.Contains(a.TrimHeld(), "replica b has not said yet") })
	if !strings.Contains(get(t, a, "/v1/ledger"), "replica b has not said yet") || !strings.Contains(get(t, a, "/metrics"), "annals_stream_trim_held 1") {
		t.Error("nobody is told that trimming is held back")
	}
	if begins := a.firstSequence(t); begins != 1 {
		t.Fatalf("trimmed without the second replica: the stream begins at %d", begins)
	}
	b := mustStart(t, other)
	eventually(t, "the two trim", func() bool { return a.firstSequence(t) > 1 })
	mustPost(t, a, "c", 40)
	mustPost(t, b, "d", 5)
	eventually(t, "the two trim on", func() bool { return a.firstSequence(t) > 40 })
	eventually(t, "the two agree", func() bool { return a.Ledger().Head().Root == b.Ledger().Head().Root })
	mustBeClean(t, a)
	mustBeClean(t, b)
	if !strings.Contains(get(t, a, "/metrics"), `annals_replica_sequence{replica="b"}`) {
		t.Error("/metrics lacks the other replica")
	}

	// A new folder can't begin in the middle, and is told where to begin.
	third := o
	third.Data = filepath.Join(t.TempDir(), "c")
	if _, err := Start(t.Context(), third); err == nil || !strings.Contains(err.Error(), "from a peer's or a backup") {
		t.Errorf("a third replica from nothing: %v", err)
	}
}
