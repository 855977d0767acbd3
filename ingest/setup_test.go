package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger/chain"
)

// bench is a server with its stream, and a connection of each kind of client.
type bench struct {
	*broker.Broker
	ledger   *nats.Conn
	producer *nats.Conn
	js       jetstream.JetStream
}

// TestMain lets no goroutine outlive what started it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The server's own: one timer loop that it starts once per process.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
	)
}

func start(tb testing.TB) *bench {
	tb.Helper()
	return startIn(tb, broker.Options{StoreDir: tb.TempDir()}, ingest.StreamOptions{})
}

func startIn(tb testing.TB, o broker.Options, so ingest.StreamOptions) *bench {
	tb.Helper()
	b, err := broker.Start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	s := &bench{Broker: b}
	if s.ledger, err = b.Connect(ingest.ConnOptions("ledger", nil)...); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.ledger.Close)
	if s.producer, err = nats.Connect(b.ClientURL(), ingest.ConnOptions("producer", nil)...); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.producer.Close)
	// Longer than any machine takes for the largest message that a test stores.
	if s.js, err = jetstream.New(s.ledger, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	if err := ingest.EnsureStream(tb.Context(), s.ledger, so); err != nil {
		tb.Fatal(err)
	}
	return s
}

// say publishes a message plainly and returns its sequence.
func (s *bench) say(tb testing.TB, subject, body string) uint64 {
	tb.Helper()
	ack, err := s.js.Publish(tb.Context(), subject, []byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	return ack.Sequence
}

// last is the stream's last sequence.
func (s *bench) last(tb testing.TB) uint64 {
	tb.Helper()
	st, err := s.js.Stream(tb.Context(), ingest.Stream)
	if err != nil {
		tb.Fatal(err)
	}
	return st.CachedInfo().State.LastSeq
}

func reader(tb testing.TB, nc *nats.Conn, at chain.Position) *ingest.Reader {
	tb.Helper()
	r, err := ingest.OpenReader(tb.Context(), nc, ingest.ReaderOptions{Position: at, CheckEvery: 200 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// read reads up to a sequence, and checks that it is contiguous.
func read(tb testing.TB, r *ingest.Reader, to uint64) []chain.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	var out []chain.Message
	next := r.Position().Sequence + 1
	for next <= to {
		batch, err := r.Next(ctx)
		if err != nil {
			tb.Fatalf("reading %d of %d: %v (trouble: %v)", next, to, err, r.Trouble())
		}
		if len(batch) == 0 {
			tb.Fatal("Next returned no message and no error")
		}
		for _, m := range batch {
			if m.Sequence != next {
				tb.Fatalf("got sequence %d, want %d", m.Sequence, next)
			}
			next++
		}
		out = append(out, batch...)
	}
	return out
}

// plain starts a server by a configuration of the test's own, with the stream, and
// connects as a user whose password is its name.
func plain(tb testing.TB, user, config string) (*server.Server, *nats.Conn) {
	tb.Helper()
	srv := plainIn(tb, tb.TempDir(), -1, config)
	opts := ingest.ConnOptions("plain", nil)
	if user != "" {
		opts = append(opts, nats.UserInfo(user, user))
	}
	nc, err := nats.Connect(srv.ClientURL(), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	if err := ingest.EnsureStream(tb.Context(), nc, ingest.StreamOptions{}); err != nil {
		tb.Fatal(err)
	}
	return srv, nc
}

func plainIn(tb testing.TB, dir string, port int, config string) *server.Server {
	tb.Helper()
	o := new(server.Options)
	if err := o.ProcessConfigString(config); err != nil {
		tb.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs, o.ServerName = "127.0.0.1", port, true, true, "plain"
	o.JetStream, o.StoreDir = true, dir
	srv, err := server.NewServer(o)
	if err != nil {
		tb.Fatal(err)
	}
	go srv.Start()
	tb.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the server is not ready after 10 s")
	}
	return srv
}
