package service

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/natscontext"
	"annals/internal/freeport"

	"github.com/nats-io/nats-server/v2/server"
)

// outsideServer is a NATS server that is not ours, without our accounts.
func outsideServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	return srv
}

// TestCluster: a stream outside needs to show that it syncs, or --insecure-not-
// durable; its server may go and come back.
func TestCluster(t *testing.T) {
	store := t.TempDir()
	port := freeport.Find(t, 1)[0]
	srv := outsideServer(t, store, port)
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Cluster = &natscontext.Target{URL: srv.ClientURL()}
	if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--insecure-not-durable") {
		if err == nil {
			mustClose(t, s)
		}
		t.Fatalf("a server that doesn't show how it syncs: %v", err)
	}
	o.NotDurable = true
	s := mustStart(t, o) // goes on with the first start that was refused half way
	if status, body := post(t, s, "one"); status != http.StatusOK {
		t.Fatal(status, body)
	}

	srv.Shutdown()
	srv.WaitForShutdown()
	eventually(t, "not ready without its stream", func() bool { return s.Ready(t.Context()) != nil })
	srv = outsideServer(t, store, port)
	defer func() {
		mustClose(t, s)
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	eventually(t, "ready again with it", func() bool { return s.Ready(t.Context()) == nil })
	if status, body := post(t, s, "two"); status != http.StatusOK {
		t.Errorf("recording after the reconnect answers %d %s", status, body)
	}

	embedded := o
	embedded.Cluster = nil
	if _, err := Start(t.Context(), embedded); err == nil || !strings.Contains(err.Error(), "external cluster") {
		t.Errorf("started without its cluster: %v", err)
	}
	// Another folder's keys did not begin this stream.
	second := o
	second.Data = filepath.Join(t.TempDir(), "second")
	if _, err := Start(t.Context(), second); err == nil || !strings.Contains(err.Error(), "begun with other keys") {
		t.Errorf("a stream that another ledger began: %v", err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
