package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"annals/cmd/annals/internal/tsa"
	"annals/cmd/annals/internal/tsa/tsatest"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// timestamps are the entries with tokens that the ledger has.
func timestamps(t *testing.T, s *Service) (out []uint64) {
	t.Helper()
	for leaf, err := range s.ledger.Leaves(t.Context(), 0, s.ledger.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Kind == chain.KindControl && leaf.Entry.Code == uint16(chain.ControlTimestamp) {
			out = append(out, leaf.Entry.Index)
		}
	}
	return out
}

// awaitTimestamps waits for so many of them.
func awaitTimestamps(t *testing.T, s *Service, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(timestamps(t, s)) < n {
		if _, err := s.ledger.Wait(ctx, s.ledger.Head().Size); err != nil {
			t.Fatalf("%d of %d tokens: %v", len(timestamps(t, s)), n, err)
		}
	}
}

// TestTimestamps runs a service beside an authority that answers, lies, stalls, is
// restarted and answers again. Recording never waits, and what stands in the ledger in
// the end is proven by its roots.
func TestTimestamps(t *testing.T) {
	a := tsatest.New(t, tsatest.Certificate{})
	stalled, release := make(chan struct{}, 16), make(chan struct{})
	a.Do(tsatest.Way{HTTP: func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stalled <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}})
	o := Options{
		Data: t.TempDir(), Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Checkpoint: 10 * time.Millisecond,
		Timestamps: Timestamps{Authority: tsa.Authority{URL: a.URL, Roots: a.Roots}, Every: 20 * time.Millisecond},
	}
	s := mustStart(t, o)
	<-stalled
	for i := range 5 { // the authority says nothing, and records are recorded
		if status, body := post(t, s, string(rune('a'+i))); status != http.StatusCreated && status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if got := timestamps(t, s); len(got) > 0 {
		t.Fatalf("tokens at %v from nobody", got)
	}
	asked := a.Asked.Load()
	a.Do(tsatest.Way{Answer: func(b []byte) []byte { b[len(b)-3] ^= 1; return b }}) // a liar
	close(release)
	for i := 0; a.Asked.Load() < asked+2; i++ {
		if status, _ := post(t, s, "lie "+string(rune('a'+i%26))); status >= 300 {
			t.Fatalf("beside a liar: %d", status)
		}
	}
	if got := timestamps(t, s); len(got) > 0 {
		t.Fatalf("tokens at %v from a liar", got)
	}
	a.Do(tsatest.Way{})
	awaitTimestamps(t, s, 1)
	mustClose(t, s)
	s = mustStart(t, o)
	if status, _ := post(t, s, "after a restart"); status >= 300 {
		t.Fatal(status)
	}
	awaitTimestamps(t, s, 2)
	head := s.ledger.Head()
	judge := tsa.Judge(a.Roots)
	for _, index := range timestamps(t, s) {
		leaf, _, err := s.ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		c, err := leaf.Entry.Control()
		if err != nil {
			t.Fatal(err)
		}
		checkpoint := proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: c.Statement.Size, Root: c.Statement.Root}
		if _, err := judge([]byte(checkpoint.Text()), c.Statement.Body); err != nil || c.Statement.Size > head.Size {
			t.Errorf("entry %d: %v", index, err)
		}
		if _, err := tsa.Judge(nil)([]byte(checkpoint.Text()), c.Statement.Body); !errors.Is(err, proof.ErrUnproven) {
			t.Errorf("entry %d, without roots: %v", index, err)
		}
	}
	mustClose(t, s)
}

// TestIdleIsNotTimestamped: marks, seeds and tokens are no growth, however many there
// are, and a record is.
func TestIdleIsNotTimestamped(t *testing.T) {
	s := mustStart(t, options(t.TempDir()))
	size := s.ledger.Head().Size
	grown := func() bool {
		t.Helper()
		got, err := s.grown(t.Context(), size, s.ledger.Head().Size)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for range 3 {
		if err := s.keeper.Mark(t.Context()); err != nil {
			t.Fatal(err)
		}
		head := s.ledger.Head()
		if err := s.keeper.Timestamp(t.Context(), proof.Checkpoint{Size: head.Size, Root: head.Root}, []byte{0x30, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(timestamps(t, s)); n != 3 || grown() {
		t.Errorf("by %d tokens and their marks the ledger has grown", n)
	}
	mustPost(t, s, "one", 1)
	if !grown() {
		t.Error("a record is no growth")
	}
}
