package service

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/control"
	"annals/ingest"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestGapsInTheStream: what stands in the stream as a gap and came past the
// server's check is judged by the fold's rules all the same. A forgery is passed
// over; an operator's word that contradicts what is here stops recording.
func TestGapsInTheStream(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(at *control.Standing)
		forged bool
		after  string // why recording has stopped; "": it waits as before
	}{
		{name: "by a stranger", change: func(*control.Standing) {}, forged: true},
		{name: "of another hole", change: func(at *control.Standing) { at.Hole.First++ }},
		{name: "of another size", change: func(at *control.Standing) { at.Size-- }},
		{name: "of another root", change: func(at *control.Standing) { at.Root[3] ^= 1 }, after: "another history"},
		{name: "of what is held", change: func(at *control.Standing) { at.Hole.Last++ }, after: "the stream holds message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(filepath.Join(t.TempDir(), "data"))
			o.holeRetry = 20 * time.Millisecond
			holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2, first + 3} })
			s := mustStart(t, o)
			at := atHole(t, s)
			asked := *at.Hole
			c.change(at)
			body := sealGap(t, s, at)
			if c.forged {
				stranger, err := chain.NewSigner(bytes.Repeat([]byte{9}, 32))
				if err != nil {
					t.Fatal(err)
				}
				body = chain.SealGap(at.Ledger, at.Control, at.Size, at.Root, chain.GapNotice{First: asked.First, Last: asked.Last}, "", stranger)
			}
			last, err := ingest.LastControl(t.Context(), s.line.nc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ingest.PublishControl(t.Context(), s.line.nc, ingest.SubjectGap, body, last); err != nil {
				t.Fatal(err)
			}
			if c.after != "" {
				eventually(t, "recording stops", func() bool { return s.pump.stopped() != nil })
				if err := s.Ready(t.Context()); !strings.Contains(err.Error(), c.after) {
					t.Errorf("stopped because of %v, want %q", err, c.after)
				}
				return
			}
			time.Sleep(10 * o.holeRetry) // it has looked again by now
			if at := atHole(t, s); *at.Hole != asked || s.pump.stopped() != nil {
				t.Errorf("stands at %+v, %v", at.Hole, s.pump.stopped())
			}
			// The right one is found behind the wrong one.
			right, err := control.Look(t.Context(), asking(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := control.Submit(t.Context(), asking(t, s), sealGap(t, s, right)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
			clean(t, s)
		})
	}
}

// TestHeldMessage: a replica that folded a message before it was lost stops at the
// gap that others have in its place, and keeps what it has.
func TestHeldMessage(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	for _, id := range []string{"one", "two", "three"} {
		if status, body := post(t, s, id); status != 200 {
			t.Fatal(status, body)
		}
	}
	op, size := operator(t, s), s.ledger.Head().Size
	e, _, err := s.ledger.Get(size - 2)
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.ledger.RootAt(size - 2)
	if err != nil {
		t.Fatal(err)
	}
	head := s.ledger.Head()
	lost := e.Entry.Sequence
	mustClose(t, s)
	onStream(t, o, func(nc *nats.Conn) {
		deleteMessages(t, nc, lost)
		gap := chain.SealGap(s.ledger.ID(), head.State.Control, size-2, root, chain.GapNotice{First: lost, Last: lost}, "", op)
		if _, err := ingest.PublishControl(t.Context(), nc, ingest.SubjectGap, gap, head.State.ControlSequence); err != nil {
			t.Fatal(err)
		}
		l := foldAnew(t, nc, size+1) // another replica has the gap, and takes the notice
		if got := strings.Join(entriesOf(t, l, size-2), ", "); !strings.HasPrefix(got, "gap ") || !strings.HasSuffix(got, ", gap") {
			t.Errorf("the other replica holds %s", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s = mustStart(t, o)
	eventually(t, "stopped", func() bool { return s.ledger.Err() != nil })
	if err := s.Ready(t.Context()); !errors.As(err, new(*chain.HeldError)) {
		t.Errorf("stopped because of %v", err)
	}
	if now := s.ledger.Head(); now.Size < size || now.State.Control != head.State.Control {
		t.Errorf("the ledger has %d entries and control number %d; had %d and %d", now.Size, now.State.Control, size, head.State.Control)
	}
}

// TestRepairedFromMirror: what a mirror has is no gap.
func TestRepairedFromMirror(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Mirror = "COPY"
	holed(t, o, 6, func(first uint64) []uint64 {
		return nil
	})
	var last uint64
	onStream(t, o, func(nc *nats.Conn) { last = mirrored(t, nc, "COPY") })
	onStream(t, o, func(nc *nats.Conn) { deleteMessages(t, nc, last-2, last-1) })
	s := mustStart(t, o)
	eventually(t, "all is folded", func() bool { return s.ledger.Head().State.Sequence > last })
	if got := strings.Join(entriesOf(t, s.ledger, 0), " "); strings.Contains(got, "gap") || s.pump.hole.Load() != nil || s.pump.repaired.Load() != 2 {
		t.Errorf("the ledger holds %s; %d messages were repaired", got, s.pump.repaired.Load())
	}
	clean(t, s)
}

// TestReadyAfterRepair: once what was missing at the stream's end is repaired, a pump
// is well, though no message comes behind it.
func TestReadyAfterRepair(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	holed(t, o, 6, func(uint64) []uint64 { return nil })
	onStream(t, o, func(nc *nats.Conn) {
		last := mirrored(t, nc, "COPY")
		deleteMessages(t, nc, last-1, last)
		p := pumpAnew(t, nc, "COPY")
		defer p.ledger.Close() //nolint:errcheck // read, and no more
		defer p.stop()
		eventually(t, "all is folded", func() bool { return p.ledger.Position().Sequence == last })
		eventually(t, "the pump is well", func() bool { return p.hole.Load() == nil && p.health() == nil })
		if n := p.repaired.Load(); n != 2 {
			t.Errorf("%d messages were repaired", n)
		}
	})
}

// mirrored makes a mirror and returns once it has all that the log has, and the
// log's last sequence.
func mirrored(t *testing.T, nc *nats.Conn, name string) (last uint64) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	log, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Mirror: &jetstream.StreamSource{Name: ingest.Stream}})
	if err != nil {
		t.Fatal(err)
	}
	last = log.CachedInfo().State.LastSeq
	eventually(t, "the mirror has it all", func() bool {
		info, err := copied.Info(t.Context())
		return err == nil && info.State.LastSeq == last
	})
	return last
}

// TestRestartAtHole: a service that is started again stands at the same hole, lets
// producers in, and counts what stands in the stream behind it.
func TestRestartAtHole(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.NATSListen = freeAddress(t) // so that it begins behind a quiet line
	o.holeRetry = 20 * time.Millisecond
	holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2} })
	s := mustStart(t, o)
	was := atHole(t, s)
	mustClose(t, s)
	s = mustStart(t, o)
	at := atHole(t, s)
	if *at.Hole != *was.Hole || at.Size != was.Size || at.Control < was.Control {
		t.Errorf("started again it stands at %+v, stood at %+v", at, was)
	}
	if s.NATSURL() == "" {
		t.Error("producers are kept out by a hole")
	}
	if _, err := control.Submit(t.Context(), asking(t, s), sealGap(t, s, at)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
	if got := strings.Join(entriesOf(t, s.ledger, at.Size), " "); strings.Contains(got, "rejection") || !strings.HasPrefix(got, "gap ") {
		t.Errorf("the ledger goes on with %s", got)
	}
	clean(t, s)
}

// TestNoticeAgain: where the gap is folded and its notice is rejected in its own
// place, its number overtaken, recording goes on and the notice is signed again.
func TestNoticeAgain(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.holeRetry = 20 * time.Millisecond
	holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2} })
	s := mustStart(t, o)
	at := atHole(t, s)
	due := at.Control
	at.Control += 3
	last, err := ingest.LastControl(t.Context(), s.line.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ingest.PublishControl(t.Context(), s.line.nc, ingest.SubjectGap, sealGap(t, s, at), last); err != nil {
		t.Fatal(err)
	}
	eventually(t, "recording goes on", func() bool { return s.Ready(t.Context()) == nil })
	eventually(t, "the notice is folded", func() bool {
		at, err = control.Look(t.Context(), asking(t, s))
		return err == nil && at.Hole != nil && at.Hole.Folded
	})
	if at.Control != due || at.State != "recording" || at.Hole.Size >= at.Size {
		t.Errorf("got %+v, %+v; the number due was %d", at, at.Hole, due)
	}
	answer, err := control.Submit(t.Context(), asking(t, s), control.SealGap(at, at.Hole, "again", operator(t, s)))
	if err != nil || answer.Status != control.Recorded {
		t.Fatalf("%+v, %v", answer, err)
	}
	if at, err = control.Look(t.Context(), asking(t, s)); err != nil || at.Hole != nil {
		t.Errorf("the gap is still open: %+v, %v", at.Hole, err)
	}
	clean(t, s)
}
