package ingest_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ledger/chain"
)

func TestGenesis(t *testing.T) {
	s := start(t)
	if last, err := ingest.LastControl(t.Context(), s.ledger); err != nil || last != 0 {
		t.Fatalf("in an empty stream: got %d, %v", last, err)
	}
	g, seed, err := ingest.PublishGenesis(t.Context(), s.ledger, []byte("genesis"), []byte("seed"))
	if err != nil || g != 1 || seed != 2 {
		t.Fatalf("got %d, %d, %v", g, seed, err)
	}
	got := read(t, reader(t, s.ledger, chain.Position{}), 2)
	if got[0].Subject != ingest.SubjectGenesis || string(got[0].Body) != "genesis" || got[1].Subject != ingest.SubjectSeed || string(got[1].Body) != "seed" {
		t.Errorf("got %+v", got)
	}
	var not *ingest.NotEmptyError
	if _, _, err := ingest.PublishGenesis(t.Context(), s.ledger, []byte("another"), []byte("seed")); !errors.As(err, &not) || not.Last != 2 {
		t.Errorf("the second time: got %v", err)
	}
	if last := s.last(t); last != 2 {
		t.Errorf("the second genesis left something behind: %d messages", last)
	}
	if last, err := ingest.LastControl(t.Context(), s.ledger); err != nil || last != 2 {
		t.Errorf("got %d, %v", last, err)
	}
}

// TestGenesisAfterAnything: a stream that begins with a record can't become a
// ledger's.
func TestGenesisAfterAnything(t *testing.T) {
	s := start(t)
	s.say(t, "activity.ws_1.a", "{}")
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(t.Context(), jetstream.WithPurgeKeep(0)); err != nil {
		t.Fatal(err)
	}
	var not *ingest.NotEmptyError
	if _, _, err := ingest.PublishGenesis(t.Context(), s.ledger, []byte("genesis"), []byte("seed")); !errors.As(err, &not) || not.Last != 1 {
		t.Errorf("got %v", err)
	}
}

// TestControlRaces: of many who publish a control message after the same one, one
// does; records in between don't disturb it.
func TestControlRaces(t *testing.T) {
	s := start(t)
	_, last, err := ingest.PublishGenesis(t.Context(), s.ledger, []byte("genesis"), []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	s.say(t, "activity.ws_1.a", "{}")
	for range 5 {
		var won atomic.Uint64
		var winners atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				seq, err := ingest.PublishControl(t.Context(), s.ledger, "annals.control.mark", []byte("m"), last)
				var race *ingest.RaceError
				switch {
				case err == nil:
					winners.Add(1)
					won.Store(seq)
				case !errors.As(err, &race) || race.Expected != last:
					t.Errorf("got %v, want a RaceError", err)
				}
			})
			all.Go(func() { s.say(t, "activity.ws_1.a", "{}") })
		}
		all.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d control messages were accepted after %d", winners.Load(), last)
		}
		last = won.Load()
	}
	if _, err := ingest.PublishControl(t.Context(), s.ledger, "activity.ws_1.a", nil, last); err == nil {
		t.Error("a control message was published under a producer's subject")
	}
}
