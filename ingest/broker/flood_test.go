package broker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"annals/ingest/broker"
)

// lines is a log that a test reads while a server writes it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestRefusalsOfAServer: what a real server says of a client that asks for what it
// may not do is known for what it is.
func TestRefusalsOfAServer(t *testing.T) {
	var log lines
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := nats.Connect(b.ClientURL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for range 50 {
		if err := nc.Publish("vouched.ws_7.x", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.SubscribeSync("$JS.>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	if n := strings.Count(text, "Violation - "); n != 100 {
		t.Fatalf("the server refused %d times of 100:\n%.2000s", n, text)
	}
	if warned := strings.Count(text, "level=WARN"); warned != 1 || strings.Contains(text, "level=ERROR") {
		t.Errorf("%d warnings of 100 refusals, or errors:\n%.2000s", warned, text)
	}
}
