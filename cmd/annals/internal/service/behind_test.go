package service

import (
	"path/filepath"
	"testing"
	"time"

	"annals/cmd/annals/internal/control"
	"annals/ingest"
)

// TestLookingCostsNothing: at a hole, anybody may ask again and again where the ledger
// stands; the stream is read for that once in a while, and for what is new alone.
func TestLookingCostsNothing(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.holeRetry = time.Hour // the pump itself reads nothing meanwhile
	holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2} })
	s := mustStart(t, o)
	at := atHole(t, s)
	allSigned(t, s) // it looks at the stream, too
	// Control messages that will be rejected stand behind the hole.
	for range 20 {
		last, err := ingest.LastControl(t.Context(), s.line.nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ingest.PublishControl(t.Context(), s.line.nc, "annals.control.seed", []byte("no statement"), last); err != nil {
			t.Fatal(err)
		}
	}
	count := func(look func()) int {
		t.Helper()
		reads, err := s.line.nc.SubscribeSync("$JS.API.STREAM.MSG.GET." + ingest.Stream)
		if err != nil {
			t.Fatal(err)
		}
		defer reads.Unsubscribe() //nolint:errcheck // the connection goes with the service
		if err := s.line.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		look()
		if err := s.line.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		n, _, err := reads.Pending()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	asked := func(times int, old time.Duration) func() {
		return func() {
			for range times {
				got, err := s.standing(t.Context(), old)
				if err != nil || got.head.State.Control != at.Control {
					t.Fatalf("the number due is %d, %v; it was %d", got.head.State.Control, err, at.Control)
				}
			}
		}
	}
	if n := count(asked(1, 0)); n < 20 {
		t.Fatalf("%d reads for 20 new messages: they are not counted", n)
	}
	if n := count(asked(200, time.Hour)); n != 0 {
		t.Errorf("looking 200 times cost %d reads", n)
	}
	if n := count(asked(5, 0)); n != 5 {
		t.Errorf("5 fresh looks cost %d reads, want one each", n)
	}
	most := 0
	if n := count(func() {
		started := time.Now()
		for range 100 {
			if _, err := control.Look(t.Context(), asking(t, s)); err != nil {
				t.Fatal(err)
			}
		}
		most = int(time.Since(started)/behindAge) + 1
	}); n > most {
		t.Errorf("asking /v1/ledger 100 times cost %d reads, want %d at the most", n, most)
	}
	// What comes is seen by whoever is about to publish.
	if _, err := control.Submit(t.Context(), asking(t, s), sealGap(t, s, at)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
	clean(t, s)
}
