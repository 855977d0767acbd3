package broker_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/internal/freeport"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The server's own: one timer loop that it starts once per process.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
	)
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The server tidies its own folder: a lock file in it would not last.
	used := filepath.Join(t.TempDir(), "jetstream")
	b, err := broker.Start(broker.Options{StoreDir: used})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range []struct {
		name string
		o    broker.Options
		want error
	}{
		{"port in use", broker.Options{StoreDir: t.TempDir(), Port: taken.Addr().(*net.TCPAddr).Port}, broker.ErrAddress},
		{"no such host", broker.Options{StoreDir: t.TempDir(), Host: "256.0.0.1"}, broker.ErrAddress},
		{"no folder", broker.Options{}, broker.ErrStoreDir},
		{"a file for a folder", broker.Options{StoreDir: file}, broker.ErrStoreDir},
		{"a folder in a file", broker.Options{StoreDir: filepath.Join(file, "x")}, broker.ErrStoreDir},
		{"a folder in use", broker.Options{StoreDir: used}, broker.ErrInUse},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := broker.Start(c.o)
			if err == nil {
				b.Close()
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestFolder: a folder called jetstream is the folder itself, and a stream is
// there again after a restart.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "jetstream")
	for i := range 3 {
		b, err := broker.Start(broker.Options{StoreDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := b.Connect()
		if err != nil {
			t.Fatal(err)
		}
		if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
			t.Fatal(err)
		}
		p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ack, err := p.Publish(t.Context(), "ws_1", []byte(`{}`))
		if err != nil || ack.Sequence != uint64(i+1) {
			t.Fatalf("got %+v, %v", ack, err)
		}
		if err := errors.Join(p.Close(t.Context()), ingest.CheckDurability(t.Context(), nc)); err != nil {
			t.Error(err)
		}
		nc.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, broker.AccountLedger, "streams", ingest.Stream)); err != nil {
		t.Error(err)
	}
}

func TestCloseFreesThePort(t *testing.T) {
	dir := t.TempDir()
	port := freeport.Find(t, 1)[0]
	b, err := broker.Start(broker.Options{StoreDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, err = broker.Start(broker.Options{StoreDir: dir, Port: port, StartTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
