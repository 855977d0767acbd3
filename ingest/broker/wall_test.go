package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ingest/broker"
)

// walled is a server with its stream; as the ledger, and as anybody.
type walled struct {
	*broker.Broker
	js       jetstream.JetStream
	producer *nats.Conn
	mu       sync.Mutex
	denied   []error
}

func wall(t *testing.T) *walled {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	w := &walled{Broker: b}
	if w.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	w.producer, err = nats.Connect(b.ClientURL(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.denied = append(w.denied, err)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.producer.Close)
	return w
}

// subjects are those of the whole stream, after all that was sent has settled: an
// acknowledged message at the end, and a while for replies to come round.
func (w *walled) subjects(t *testing.T) string {
	t.Helper()
	if _, err := w.producer.Request("activity.ws_a.end", nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	s, err := w.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	state := info.State
	for subject, n := range state.Subjects {
		if subject != "activity.ws_a.real" && subject != "activity.ws_a.end" {
			m, _ := s.GetLastMsgForSubject(t.Context(), subject)
			t.Errorf("%d messages were stored under %s: %s", n, subject, m.Data)
		}
	}
	return fmt.Sprint(state.Subjects)
}

// TestReplyInjection: a producer names a subject of the stream as its reply, so
// that the server's acknowledgement be stored there as if it were a record.
// Nothing is stored but the message itself.
func TestReplyInjection(t *testing.T) {
	w := wall(t)
	for _, reply := range []string{
		"vouched.ws_a.x", "activity.other.x", "activity.ws_a.x", "annals.control.x", "annals.control.genesis",
		"$JS.API.STREAM.PURGE.ANNALS", "$JS.API.STREAM.DELETE.ANNALS", "$JS.API.STREAM.MSG.DELETE.ANNALS",
		"annals.replica.a", "annals.head.a", "$JS.API.STREAM.PURGE.ANNALS_REPLICAS", "annals.control.trim",
		"$JS.ACK.ANNALS.c.1.1.1.1.1", "$SYS.REQ.SERVER.PING.JSZ", "_R_.x", "_INBOX.somebody.else",
	} {
		if err := w.producer.PublishRequest("activity.ws_a.real", reply, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		// The same by way of a batch, whose every message may be answered.
		for i := range 2 {
			m := &nats.Msg{Subject: "activity.ws_a.real", Reply: reply, Data: []byte("{}"), Header: nats.Header{
				"Nats-Batch-Id": {"b" + reply}, "Nats-Batch-Sequence": {fmt.Sprint(i + 1)},
			}}
			if i == 1 {
				m.Header.Set("Nats-Batch-Commit", "1")
			}
			if err := w.producer.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
		// And by an error of the stream's, which quotes the publisher.
		m := &nats.Msg{Subject: "activity.ws_a.real", Reply: reply, Header: nats.Header{"Nats-Expected-Last-Sequence": {"9999"}}}
		if err := w.producer.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(w.subjects(t))
}

// TestTraceInjection: the server reports on a traced message to a subject that the
// message names.
func TestTraceInjection(t *testing.T) {
	w := wall(t)
	for _, dest := range []string{"vouched.ws_a.x", "annals.control.x", "$JS.API.STREAM.PURGE.ANNALS"} {
		for _, only := range []string{"", "true"} {
			m := &nats.Msg{Subject: "activity.ws_a.real", Data: []byte("{}"), Header: nats.Header{"Nats-Trace-Dest": {dest}}}
			if only != "" {
				m.Header.Set("Nats-Trace-Only", only)
			}
			if err := w.producer.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.subjects(t)
}

// TestProducerReachesNothingElse tries every other door.
func TestProducerReachesNothingElse(t *testing.T) {
	w := wall(t)
	for _, subject := range []string{
		"vouched.ws_a.x", "annals.control.genesis", "$JS.API.INFO", "$JS.API.STREAM.INFO.ANNALS", "$JS.API.STREAM.PURGE.ANNALS",
		"$JS.API.STREAM.DELETE.ANNALS", "$JS.API.STREAM.MSG.GET.ANNALS", "$JS.API.DIRECT.GET.ANNALS",
		"$JS.API.STREAM.MSG.DELETE.ANNALS", "$JS.API.STREAM.UPDATE.ANNALS", "annals.control.trim", "annals.replica.a", "annals.head.a",
		"$JS.API.STREAM.PURGE.ANNALS_REPLICAS", "$JS.API.STREAM.INFO.ANNALS_REPLICAS", "$JS.API.STREAM.MSG.GET.ANNALS_REPLICAS",
		"$SYS.REQ.SERVER.PING.JSZ", "$SYS.REQ.SERVER.PING", "_INBOX.somebody.else",
	} {
		if m, err := w.producer.Request(subject, []byte("{}"), 150*time.Millisecond); err == nil {
			t.Errorf("%s: answered %s", subject, m.Data)
		}
	}
	for _, subject := range []string{">", "activity.>", "vouched.>", "_R_.>", "$JS.>", "$SYS.>", "*.>"} {
		sub, err := w.producer.SubscribeSync(subject)
		if err != nil {
			continue
		}
		w.producer.Publish("activity.ws_a.real", []byte("secret"))
		if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
			t.Errorf("subscribed to %s and heard %s: %s", subject, m.Subject, m.Data)
		}
		sub.Unsubscribe()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.denied) == 0 || !errors.Is(w.denied[0], nats.ErrPermissionViolation) {
		t.Errorf("the server denied nothing: %v", w.denied)
	}
	js, err := jetstream.New(w.producer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "MINE", Subjects: []string{"activity.>"}}); err == nil {
		t.Error("a producer made a stream")
	}
}

// TestProducerTrimsNothing: neither by removing messages, nor by saying of a
// replica that it had folded them. The ledger's own user does both.
func TestProducerTrimsNothing(t *testing.T) {
	w := wall(t)
	ledger, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	if err := ingest.EnsureReplicas(t.Context(), ledger); err != nil {
		t.Fatal(err)
	}
	if err := ingest.EnsureHeads(t.Context(), ledger); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := w.producer.Request("activity.ws_a.real", []byte("{}"), 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if n, err := ingest.Purge(ctx, w.producer, 3); err == nil {
		t.Errorf("a producer removed %d messages", n)
	}
	forged := ingest.ReplicaPosition{Name: "b", Sequence: 1 << 40, Size: 1 << 40, Replicas: []string{"a", "b"}}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := ingest.TellReplica(ctx, w.producer, forged); err == nil {
		t.Error("a producer said where a replica stands")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := ingest.ShowHead(ctx, w.producer, ingest.ReplicaHead{Name: "b", Size: 1 << 40}); err == nil {
		t.Error("a producer showed a replica's head")
	}
	// By the one subject that it may publish on, with the others as reply and trace.
	for _, to := range []string{"annals.replica.b", "annals.head.b", "$JS.API.STREAM.PURGE." + ingest.Stream} {
		m := &nats.Msg{Subject: "activity.ws_a.real", Reply: to, Data: []byte(`{"seq":4}`), Header: nats.Header{"Nats-Trace-Dest": {to}}}
		if err := w.producer.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	w.subjects(t)
	if said, err := ingest.Replicas(t.Context(), ledger); err != nil || len(said) != 0 {
		t.Errorf("replicas %v are known (%v), want none", said, err)
	}
	if shown, err := ingest.Heads(t.Context(), ledger); err != nil || len(shown) != 0 {
		t.Errorf("heads %v are shown (%v), want none", shown, err)
	}
	s, err := w.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if first := s.CachedInfo().State.FirstSeq; first != 1 {
		t.Errorf("the stream begins at %d, want 1", first)
	}
	if n, err := ingest.Purge(t.Context(), ledger, 3); n != 3 || err != nil {
		t.Errorf("the ledger removed %d messages (%v), want 3", n, err)
	}
	if err := ingest.TellReplica(t.Context(), ledger, forged); err != nil {
		t.Error(err)
	}
}

// TestStrangersStayOut: the ledger's user has a password of its own at each start.
func TestStrangersStayOut(t *testing.T) {
	w := wall(t)
	for _, password := range []string{"", "annals", "producer"} {
		nc, err := nats.Connect(w.ClientURL(), nats.UserInfo(broker.UserLedger, password))
		if err == nil {
			nc.Close()
			t.Errorf("connected as the ledger with password %q", password)
		} else if !strings.Contains(err.Error(), "Authorization") {
			t.Errorf("got %v", err)
		}
	}
}
