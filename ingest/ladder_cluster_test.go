package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/internal/freeport"
	"annals/ledger/chain"
)

// three starts a cluster of three servers, and returns where clients connect.
func three(t *testing.T) (urls []string) {
	t.Helper()
	for _, s := range cluster(t) {
		urls = append(urls, s.ClientURL())
	}
	return urls
}

// cluster starts three servers that are one.
func cluster(t *testing.T) (servers []*server.Server) {
	t.Helper()
	var routes []*url.URL
	ports := freeport.Find(t, 3)
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	for i, port := range ports {
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i+1), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: "ladder", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		if !srv.ReadyForConnections(time.Minute) {
			t.Fatal("a server is not ready")
		}
		servers = append(servers, srv)
	}
	return servers
}

// replicated makes the stream of three replicas.
func replicated(t *testing.T, ctx context.Context, nc *nats.Conn) {
	t.Helper()
	for {
		// A question that is asked before the servers have a leader is never answered.
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := ingest.EnsureStream(once, nc, ingest.StreamOptions{Replicas: 3})
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// TestClimbOnCluster: real servers are stepped to in turn, and asked; what none of
// them has stays a hole, and the stream takes messages as before.
func TestClimbOnCluster(t *testing.T) {
	nc, err := nats.Connect(strings.Join(three(t), ","), ingest.ConnOptions("ledger", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	replicated(t, ctx, nc)
	s := &bench{ledger: nc, js: js}
	say := func(body string) {
		t.Helper()
		for {
			once, cancel := context.WithTimeout(ctx, time.Second)
			_, err := js.Publish(once, "activity.ws_1.a", []byte(body))
			cancel()
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 5 {
		say(fmt.Sprint(i))
	}
	s.lose(t, 3)
	r := reader(t, nc, chain.Position{})
	read(t, r, 2)
	hole := stopsWith[*ingest.HoleError](t, r)
	var still *ingest.HoleError
	got, err := ingest.Climb(ctx, nc, hole, ingest.LadderOptions{At: r.Position(), Step: true, StepWait: time.Minute})
	if !errors.As(err, &still) || len(got) > 0 {
		t.Fatalf("got %d messages, %v", len(got), err)
	}
	for _, server := range []string{"n1", "n2", "n3"} {
		if !strings.Contains(strings.Join(still.Tried, "; "), server+" has not got it") {
			t.Errorf("%s was not asked: %q", server, still.Tried)
		}
	}
	if len(still.Tried) != 3 || !strings.Contains(still.Tried[0], "leader") {
		t.Errorf("tried %q", still.Tried)
	}
	say("behind")
	read(t, reader(t, nc, chain.Position{Sequence: 3}), 6)
}
