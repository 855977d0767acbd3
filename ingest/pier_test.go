package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"annals/ingest"
)

// pier is a server without a stream, where the test itself takes what a publisher
// sends, and answers what and when it likes.
type pier struct {
	producer *nats.Conn
	came     chan *nats.Msg
	sequence uint64
}

func newPier(tb testing.TB) *pier {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		tb.Fatal(err)
	}
	go srv.Start()
	tb.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the server is not ready after 10 s")
	}
	connect := func() *nats.Conn {
		nc, err := nats.Connect(srv.ClientURL(), ingest.ConnOptions("test", nil)...)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(nc.Close)
		return nc
	}
	p := &pier{producer: connect(), came: make(chan *nats.Msg, 4096)}
	stream := connect()
	if _, err := stream.ChanSubscribe("activity.>", p.came); err != nil {
		tb.Fatal(err)
	}
	if err := stream.Flush(); err != nil {
		tb.Fatal(err)
	}
	return p
}

// next is the next message that the publisher sent.
func (p *pier) next(tb testing.TB) *nats.Msg {
	tb.Helper()
	select {
	case m := <-p.came:
		return m
	case <-time.After(20 * time.Second):
		tb.Fatal("nothing came for 20 s")
		return nil
	}
}

// nothing checks that no message is on its way: all that was published before has
// been through the server.
func (p *pier) nothing(tb testing.TB) {
	tb.Helper()
	if err := p.producer.Flush(); err != nil {
		tb.Fatal(err)
	}
	select {
	case m := <-p.came:
		tb.Fatalf("%s came: %v", m.Subject, m.Header)
	case <-time.After(30 * time.Millisecond):
	}
}

// take acknowledges a message, or the batch of n that it commits.
func (p *pier) take(tb testing.TB, m *nats.Msg, n int) {
	tb.Helper()
	p.sequence += uint64(n)
	p.answer(tb, m, fmt.Sprintf(`{"stream":"ANNALS","seq":%d,"count":%d}`, p.sequence, n))
}

func (p *pier) answer(tb testing.TB, m *nats.Msg, text string) {
	tb.Helper()
	if m.Reply == "" {
		tb.Fatalf("%s, %v asks for no answer", m.Subject, m.Header)
	}
	if err := m.Respond([]byte(text)); err != nil {
		tb.Fatal(err)
	}
}

// place is where a message says it stands: "" alone, "2" in a batch, "3!" last.
func place(m *nats.Msg) string {
	if m.Header.Get("Nats-Batch-Commit") == "1" {
		return m.Header.Get("Nats-Batch-Sequence") + "!"
	}
	return m.Header.Get("Nats-Batch-Sequence")
}
