package ingest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
)

func TestBeginEpoch(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		s := start(t)
		s.say(t, "activity.ws_1.a", "old")
		begin := func(done bool) (sealed int, err error) {
			err = ingest.BeginEpoch(t.Context(), s.ledger, ingest.EpochOptions{Guarded: guarded, Seal: func(created time.Time) []byte {
				sealed++
				st, err := s.js.Stream(t.Context(), ingest.Stream)
				if err != nil || !st.CachedInfo().Created.Equal(created) {
					t.Errorf("sealed for a stream of %s, %v", created, err)
				}
				if guarded && len(st.CachedInfo().Config.Subjects) != 1 {
					t.Error("producers reach the stream before it has begun")
				}
				return []byte("epoch")
			}}, done)
			return sealed, err
		}
		var used *ingest.NotEmptyError
		if sealed, err := begin(false); !errors.As(err, &used) || used.Last != 1 || sealed != 0 {
			t.Errorf("a stream with messages: %d, %v", sealed, err)
		}
		if err := s.js.DeleteStream(t.Context(), ingest.Stream); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := ingest.First(t.Context(), s.ledger); !errors.Is(err, ingest.ErrNoStream) {
			t.Errorf("the first message of no stream: %v", err)
		}
		afterDeleting(t, func() error { _, err := begin(false); return err })
		// The stream is as it must be, for producers too.
		if err := ingest.EnsureStream(t.Context(), s.ledger, ingest.StreamOptions{}); err != nil {
			t.Error(err)
		}
		m, created, held, err := ingest.First(t.Context(), s.ledger)
		if err != nil || !held || m.Sequence != 1 || m.Subject != ingest.SubjectEpoch || string(m.Body) != "epoch" || created.IsZero() {
			t.Errorf("the stream begins with %+v, %v, %v", m, held, err)
		}
		if sealed, err := begin(false); !errors.As(err, &used) || sealed != 0 {
			t.Errorf("a second time: %d, %v", sealed, err)
		}
		// Cut short before producers were let in.
		st, err := s.js.Stream(t.Context(), ingest.Stream)
		if err != nil {
			t.Fatal(err)
		}
		config := st.CachedInfo().Config
		config.Subjects = []string{ingest.RootControl + ".>"}
		if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		if sealed, err := begin(true); err != nil || sealed != 0 {
			t.Errorf("letting producers in: %d, %v", sealed, err)
		}
		s.say(t, "activity.ws_1.a", "new")
		if s.last(t) != 2 {
			t.Errorf("the stream ends at %d", s.last(t))
		}
	}
}

// TestFirstOfEmpty: an empty stream has no first message, and a creation time.
func TestFirstOfEmpty(t *testing.T) {
	s := start(t)
	if _, created, held, err := ingest.First(t.Context(), s.ledger); held || err != nil || created.IsZero() {
		t.Errorf("%v, %v, %v", created, held, err)
	}
}

// TestControlAfterALoss: where the last control message is no longer in the
// stream, what it stood behind is expected in its place; what the publisher
// doesn't know keeps it out as before.
func TestControlAfterALoss(t *testing.T) {
	s := start(t)
	for range 3 {
		s.say(t, "annals.control.mark", "mark")
	}
	s.say(t, "activity.ws_1.a", "x")
	s.lose(t, 2, 3)
	if at, err := ingest.PublishControl(t.Context(), s.ledger, "annals.control.mark", []byte("mark"), 3); err != nil || at != 5 {
		t.Errorf("after the loss: %d, %v", at, err)
	}
	var race *ingest.RaceError
	if _, err := ingest.PublishControl(t.Context(), s.ledger, "annals.control.mark", []byte("mark"), 3); !errors.As(err, &race) || race.Last != 5 {
		t.Errorf("with one behind that is not known: %v", err)
	}
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(t.Context(), jetstream.WithPurgeSubject("annals.control.>")); err != nil {
		t.Fatal(err)
	}
	if at, err := ingest.PublishControl(t.Context(), s.ledger, "annals.control.mark", []byte("mark"), 5); err != nil || at != 6 {
		t.Errorf("with none left: %d, %v", at, err)
	}
}
