package ingest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger/chain"
)

// first is the stream's first sequence.
func (s *bench) first(tb testing.TB) uint64 {
	tb.Helper()
	st, err := s.js.Stream(tb.Context(), ingest.Stream)
	if err != nil {
		tb.Fatal(err)
	}
	return st.CachedInfo().State.FirstSeq
}

// TestPurge: what went is gone, asking again changes nothing, and the last message
// never goes.
func TestPurge(t *testing.T) {
	s := start(t)
	for i := range 20 {
		s.say(t, "activity.w.a", fmt.Sprint(i))
	}
	r := reader(t, s.ledger, chain.Position{})
	read(t, r, 20)
	for _, c := range []struct {
		through, removed, first uint64
	}{{5, 5, 6}, {5, 0, 6}, {3, 0, 6}, {0, 0, 6}, {19, 14, 20}, {19, 0, 20}} {
		removed, err := ingest.Purge(t.Context(), s.ledger, c.through)
		if err != nil || removed != c.removed || s.first(t) != c.first {
			t.Errorf("up to %d: removed %d, begins at %d (%v); want %d and %d", c.through, removed, s.first(t), err, c.removed, c.first)
		}
	}
	for _, through := range []uint64{20, 21, 1 << 60} {
		var wrong *ingest.PurgeError
		if _, err := ingest.Purge(t.Context(), s.ledger, through); !errors.As(err, &wrong) || s.first(t) != 20 {
			t.Errorf("up to %d: %v, begins at %d", through, err, s.first(t))
		}
	}
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("the reader no longer knows its stream: %v", err)
	}
	s.say(t, "activity.w.a", "after")
	if got := read(t, r, 21); string(got[len(got)-1].Body) != "after" {
		t.Errorf("read %q", got[len(got)-1].Body)
	}
	if err := ingest.EnsureStream(t.Context(), s.ledger, ingest.StreamOptions{}); err != nil {
		t.Errorf("a trimmed stream counts as drifted: %v", err)
	}
}

// TestTrimmedIdentity: when the genesis has gone, the last message that was folded
// stands in for it, and what was created anew is still told apart.
func TestTrimmedIdentity(t *testing.T) {
	s := start(t)
	for i := range 10 {
		s.say(t, "activity.w.a", fmt.Sprint(i))
	}
	r := reader(t, s.ledger, chain.Position{})
	folded := read(t, r, 8)
	known := r.Identity()
	known.First, known.Digest = 1, folded[0].Digest()
	at := chain.Position{Sequence: 8, Digest: folded[7].Digest()}
	if _, err := ingest.Purge(t.Context(), s.ledger, 7); err != nil {
		t.Fatal(err)
	}
	open := func(at chain.Position, known ingest.Identity) error {
		r, err := ingest.OpenReader(t.Context(), s.ledger, ingest.ReaderOptions{Position: at, Identity: known})
		if err == nil {
			r.Close()
		}
		return err
	}
	if err := open(at, known); err != nil {
		t.Errorf("a trimmed stream isn't known again: %v", err)
	}
	forked := at
	forked.Digest[0] ^= 1
	var fork *ingest.ForkedError
	if err := open(forked, known); !errors.As(err, &fork) {
		t.Errorf("another message at the last sequence: %v", err)
	}
	anew := known
	anew.Created = anew.Created.Add(1)
	var recreated *ingest.RecreatedError
	if err := open(at, anew); !errors.As(err, &recreated) {
		t.Errorf("another creation time: %v", err)
	}
	// A replica that starts at the beginning is told where to start instead.
	var gone *ingest.RetentionError
	if err := open(chain.Position{}, ingest.Identity{}); !errors.As(err, &gone) || !strings.Contains(err.Error(), "peer") {
		t.Errorf("a new replica: %v", err)
	}
}

// TestPurgeShrinksTheFolder: what is removed gives its disk back.
func TestPurgeShrinksTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, broker.Options{StoreDir: dir}, ingest.StreamOptions{})
	body := strings.Repeat("x", 256<<10)
	for range 160 { // 40 MiB: more than four of the server's blocks
		s.say(t, "activity.w.a", body)
	}
	before := sizeOf(t, dir)
	if _, err := ingest.Purge(t.Context(), s.ledger, 150); err != nil {
		t.Fatal(err)
	}
	after := sizeOf(t, dir)
	t.Logf("%d KiB before, %d KiB after", before>>10, after>>10)
	if before < 40<<20 || after > 12<<20 {
		t.Errorf("%d KiB before and %d KiB after 150 of 160 messages of 256 KiB have gone", before>>10, after>>10)
	}
}

// sizeOf is what the files below a folder hold, in bytes.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReplicas(t *testing.T) {
	s := start(t)
	if err := ingest.TellReplica(t.Context(), s.ledger, ingest.ReplicaPosition{Name: "a"}); !errors.Is(err, ingest.ErrNoServer) && err == nil {
		t.Error("said where no stream listens")
	}
	for range 2 {
		if err := ingest.EnsureReplicas(t.Context(), s.ledger); err != nil {
			t.Fatal(err)
		}
	}
	if err := ingest.TellReplica(t.Context(), s.ledger, ingest.ReplicaPosition{Name: "a.b"}); err == nil {
		t.Error("a name with a dot")
	}
	a := ingest.ReplicaPosition{Name: "a", Ledger: chain.Hash{1}, Sequence: 7, Size: 9, Root: chain.Hash{2}, Replicas: []string{"a", "b"}}
	b := a
	b.Name = "b"
	for _, p := range []ingest.ReplicaPosition{{Name: "a", Sequence: 3, Replicas: []string{}}, b, a} {
		if err := ingest.TellReplica(t.Context(), s.ledger, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.js.Publish(t.Context(), "annals.replica.c", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	b.Revision, a.Revision = 2, 3
	want := map[string]ingest.ReplicaPosition{"a": a, "b": b, "c": {Name: "c", Revision: 4}}
	if got, err := ingest.Replicas(t.Context(), s.ledger); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if s.last(t) != 0 {
		t.Error("what replicas say is in the log")
	}
	for name, valid := range map[string]bool{"a": true, "A-z_09": true, "": false, "a b": false, "ä": false, "a.b": false, "*": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false} {
		if ingest.ValidReplica(name) != valid {
			t.Errorf("%q: valid is not %t", name, valid)
		}
	}
}
