package service

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/natscontext"
	"annals/ingest"
	"annals/internal/freeport"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// onCluster are the options of a service whose stream is on a server outside, and a
// connection to it.
func onCluster(t *testing.T) (Options, *nats.Conn) {
	t.Helper()
	srv := outsideServer(t, t.TempDir(), server.RANDOM_PORT)
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Cluster = &natscontext.Target{URL: srv.ClientURL()}
	o.NotDurable = true
	o.holeRetry = 20 * time.Millisecond
	return o, nc
}

// beginEpoch begins an epoch, as soon as the server has let go of the stream that was
// deleted.
func beginEpoch(t *testing.T, o Options) {
	t.Helper()
	eventually(t, "an epoch is begun", func() bool {
		err := BeginEpoch(t.Context(), o, agreed)
		if err != nil && !strings.Contains(err.Error(), "creating store") {
			t.Fatal(err)
		}
		return err == nil
	})
}

// level waits until a service has folded what another has.
func level(t *testing.T, s *Service, head ledger.Head) {
	t.Helper()
	eventually(t, "level with the other", func() bool { return s.ledger.Head().Size >= head.Size })
	if now := s.ledger.Head(); now.Root != head.Root || now.State.Sequence != head.State.Sequence {
		t.Fatalf("it stands at size %d, message %d; the other at %d, %d", now.Size, now.State.Sequence, head.Size, head.State.Sequence)
	}
}

// TestEpochWhileRunning: a service that runs goes on with the stream that an operator
// began a new epoch with, by itself, if it stood at the very same message. Until then
// it records nothing, takes nothing, and serves what it has; as it does where it
// can't follow.
func TestEpochWhileRunning(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead bool // it has folded a message that the epoch's statement knows nothing of
	}{{"level", false}, {"another message", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, nc := onCluster(t)
			first := mustStart(t, o)
			for i := range 5 {
				if status, body := post(t, first, fmt.Sprintf("r%d", i)); status != 200 {
					t.Fatal(status, body)
				}
			}
			mustClose(t, first)
			s := mustStart(t, copied(t, o))
			first = mustStart(t, o)
			if status, body := post(t, first, "r5"); status != 200 {
				t.Fatal(status, body)
			}
			level(t, s, first.ledger.Head())
			mustClose(t, first)
			if c.ahead {
				if status, body := post(t, s, "more"); status != 200 {
					t.Fatal(status, body)
				}
			}
			before := s.ledger.Head()
			deleteStream(t, nc)
			eventually(t, "it notices", func() bool { return s.pump.stranger() != nil })
			estranged(t, s, before, "no stream")

			beginEpoch(t, o)
			if c.ahead {
				eventually(t, "it says why it can't follow", func() bool {
					err := s.Ready(t.Context())
					return err != nil && strings.Contains(err.Error(), "begin this replica again from one that went on")
				})
				estranged(t, s, before, "begin this replica again")
				return
			}
			eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
			if status, body := post(t, s, "after"); status != 200 {
				t.Errorf("recording in the new epoch: %d %s", status, body)
			}
			if status, body := post(t, s, "r3"); status != 200 || !strings.Contains(body, "duplicate") {
				t.Errorf("a record of the old stream, published again: %d %s", status, body)
			}
			head := s.ledger.Head()
			if head.State.Epoch != 1 || s.NATSURL() == "" {
				t.Errorf("it is in epoch %d, with NATS at %q", head.State.Epoch, s.NATSURL())
			}
			if got, err := s.ledger.RootAt(before.Size); err != nil || got != before.Root {
				t.Errorf("what it had has the root %s now, %v", got, err)
			}
			clean(t, s)
			eventually(t, "a checkpoint of the new epoch", func() bool {
				signed, ok := s.signer.Latest()
				return ok && signed.Size > before.Size
			})
			first = mustStart(t, o)
			eventually(t, "the other has it all", func() bool { return first.ledger.Head().Size >= head.Size })
			if got, err := first.ledger.RootAt(head.Size); err != nil || got != head.Root {
				t.Errorf("the other has the root %s at %d, %v; want %s", got, head.Size, err, head.Root)
			}
		})
	}
}

// estranged checks that a service without its stream serves what it has and takes
// nothing.
func estranged(t *testing.T, s *Service, before ledger.Head, why string) {
	t.Helper()
	at, err := control.Look(t.Context(), asking(t, s))
	if err != nil || at.Size != before.Size || at.State != "waiting" || !strings.Contains(at.Error, why) {
		t.Errorf("/v1/ledger says %+v, %v; want it waiting for %q", at, err, why)
	}
	if status, body := post(t, s, "not taken"); status != 503 || !strings.Contains(body, "not_recording") {
		t.Errorf("recording without a stream: %d %s", status, body)
	}
	if _, err := s.pump.await(t.Context(), before.State.Sequence+1, 0); err == nil || err.Error() != s.pump.stopped().Error() {
		t.Errorf("waiting for a record without a stream: %v", err)
	}
	if err := s.pump.check(t.Context()); err == nil {
		t.Error("a signer would sign without a stream")
	}
	if s.ledger.Head().Size != before.Size {
		t.Error("something was recorded")
	}
}

// TestEpochAfterStart: a replica that was started while the stream was gone goes on
// with the next one too.
func TestEpochAfterStart(t *testing.T) {
	o, nc := onCluster(t)
	first := mustStart(t, o)
	if status, body := post(t, first, "r0"); status != 200 {
		t.Fatal(status, body)
	}
	mustClose(t, first)
	other := copied(t, o)
	deleteStream(t, nc)
	s := mustStart(t, other)
	estranged(t, s, first.ledger.Head(), "no stream")
	beginEpoch(t, o)
	eventually(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
	if status, body := post(t, s, "after"); status != 200 {
		t.Errorf("recording in the new epoch: %d %s", status, body)
	}
	answer, err := nc.Request("annals.api.record.ws_7", []byte(recordNamed("asked")), 10*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), "accepted") {
		t.Errorf("request/reply in the new epoch: %s, %v", answer.Data, err)
	}
}

// TestStreamComesBack: a server without the stream is waited out; where the stream is
// the ledger's own again, message by message, recording goes on.
func TestStreamComesBack(t *testing.T) {
	store, port := t.TempDir(), freeport.Find(t, 1)[0]
	srv := outsideServer(t, store, port)
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Cluster, o.NotDurable, o.holeRetry = &natscontext.Target{URL: srv.ClientURL()}, true, 20*time.Millisecond
	s := mustStart(t, o)
	if status, body := post(t, s, "one"); status != 200 {
		t.Fatal(status, body)
	}
	before := s.ledger.Head()
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	stop()
	srv = outsideServer(t, t.TempDir(), port)
	eventually(t, "it notices", func() bool { return s.pump.stranger() != nil })
	estranged(t, s, before, "no stream")
	stop()
	srv = outsideServer(t, store, port)
	defer func() {
		mustClose(t, s)
		stop()
	}()
	eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
	if status, body := post(t, s, "two"); status != 200 {
		t.Errorf("recording on the stream that came back: %d %s", status, body)
	}
	clean(t, s)
}

// TestPumpBehindGap: behind a gap the ledger knows no message to tell its stream by.
// A try at the next stream that fails half way must leave nothing behind by which a
// later one takes that stream's messages for the old one's.
func TestPumpBehindGap(t *testing.T) {
	o, nc := onCluster(t)
	s := mustStart(t, o)
	for i := range 5 {
		if status, body := post(t, s, fmt.Sprintf("r%d", i)); status != 200 {
			t.Fatal(status, body)
		}
	}
	mustClose(t, s)
	l, err := ledger.Open(filepath.Join(o.Data, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing is recorded behind what is looked at
	s.ledger = l
	op, head := operator(t, s), l.Head()
	next := head.State.Sequence + 1
	notice := chain.Message{
		Subject: ingest.SubjectGap, Sequence: next + 1, Time: time.Now().UnixNano(),
		Body: chain.SealGap(l.ID(), head.State.Control, head.Size, head.Root, chain.GapNotice{First: next, Last: next}, "", op),
	}
	if err := l.AppendGap(t.Context(), notice); err != nil {
		t.Fatal(err)
	}
	if at := l.Position(); !at.Digest.IsZero() {
		t.Fatalf("behind the gap stands %+v", at)
	}
	deleteStream(t, nc)
	head = l.Head()
	begin := ingest.EpochOptions{Seal: func(created time.Time) []byte {
		return chain.SealEpoch(l.ID(), head.State.Control, head.Size, head.Root, chain.EpochStart{
			Epoch: 1, Last: head.State.Sequence, First: 1, Stream: ingest.Stream, Created: created.UnixNano(),
		}, "", op)
	}}
	eventually(t, "the stream is made anew", func() bool { return ingest.BeginEpoch(t.Context(), nc, begin, false) == nil })
	for i := range head.State.Sequence + 3 { // so that it goes further than the old one
		if _, err := nc.Request("activity.ws_7.app.renamed", []byte(recordNamed(fmt.Sprint("new", i))), 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	p := &pump{
		ledger: l, nc: nc, log: slog.New(slog.DiscardHandler), own: s.identity,
		stream: ingest.StreamOptions{Replicas: 3}, // which it has not: the try fails
	}
	if _, err := p.tryConnect(t.Context()); !errors.As(err, new(*ingest.DriftError)) {
		t.Fatalf("the try that is to fail: %v", err)
	}
	p.stream = ingest.StreamOptions{}
	r, err := p.tryConnect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if at := r.Position(); at.Epoch != 1 || at.Sequence != 0 {
		t.Errorf("the new stream is read behind message %d of epoch %d", at.Sequence, at.Epoch)
	}
}
