package ingest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"annals/ingest"
	"annals/ledger/chain"
)

// TestNextKeepsWhatItTook: a passing error in the same round as a message, and a
// context that ends meanwhile, lose nothing.
func TestNextKeepsWhatItTook(t *testing.T) {
	s := start(t)
	s.say(t, "activity.w.t", `{"a":1}`)
	r, err := ingest.OpenReader(t.Context(), s.ledger, ingest.ReaderOptions{CheckEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read(t, r, 1)
	s.say(t, "activity.w.t", `{"a":2}`)
	arrived := func(n int) {
		for r.Pulled() < n {
			time.Sleep(time.Millisecond)
		}
	}
	arrived(1)
	m := nats.NewMsg(r.PullInbox() + ".1")
	m.Header["Status"] = []string{"409"}
	m.Header["Description"] = []string{"Consumer Deleted"}
	if err := s.ledger.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.Flush(); err != nil {
		t.Fatal(err)
	}
	arrived(2)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if batch, err := r.Next(ctx); err != nil || len(batch) != 1 || batch[0].Sequence != 2 {
		t.Fatalf("got %d messages, %v", len(batch), err)
	}
	s.say(t, "activity.w.t", `{"a":3}`)
	if batch, err := r.Next(t.Context()); err != nil || batch[0].Sequence != 3 {
		t.Fatalf("then %+v, %v", batch, err)
	}
}

// TestAnOutageIsWaitedOut: a record that was taken before the server went away is
// held for as long as it stays away, also when another one was acknowledged
// after the record had been sent first.
func TestAnOutageIsWaitedOut(t *testing.T) {
	t.Parallel() // it waits longer than the publisher's patience was
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(5 * time.Second) {
		t.Fatal("the server does not start")
	}
	stream, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	// The early one is acknowledged once a later one came, and no other ever.
	var early *nats.Msg
	alone, both, later := make(chan struct{}), make(chan struct{}), false
	_, err = stream.Subscribe("activity.>", func(m *nats.Msg) {
		if len(m.Data) < 1<<10 {
			if early == nil {
				close(alone)
			}
			early = m // or a try more of it
		} else if !later {
			later = true
			close(both)
		}
		if later {
			_ = early.Respond([]byte(`{"stream":"ANNALS","seq":1}`))
			_ = stream.Flush()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Flush(); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(srv.ClientURL(), ingest.ConnOptions("test", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{AckWait: 150 * time.Millisecond, MaxMessage: 900 << 10})
	if err != nil {
		t.Fatal(err)
	}
	send := func(record string) *ingest.Pending {
		r, err := p.PublishAsync(t.Context(), "w", chain.OwnType, []byte(record))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	awaits := func(c <-chan struct{}, what string) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(time.Minute):
			t.Fatalf("never: %s", what)
		}
	}
	first := send(`{"id":"z"}`)
	awaits(alone, "the first record leaves by itself")
	big := `{"id":"a","x":"` + strings.Repeat("x", 700<<10) + `"}`
	held := send(big)
	send(strings.Replace(big, `"a"`, `"b"`, 1))
	awaits(both, "the later records come")
	awaits(first.Done(), "the first record is acknowledged")
	srv.Shutdown()
	select {
	case <-held.Done():
		_, err := held.Wait(t.Context())
		t.Errorf("the record was given up: %v", err)
	case <-time.After(6 * time.Second):
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_ = p.Close(ctx) // nobody is there to take what is left
}
