package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
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

// runConfig, when set, makes this test binary a NATS server with that
// configuration file: so the cluster below is of real processes, which can be
// killed.
const runConfig = "ANNALS_TEST_NATS_CONFIG"

func TestMain(m *testing.M) {
	if file := os.Getenv(runConfig); file != "" {
		if err := runServer(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runServer runs until its standard input ends, that is, until the test does.
func runServer(file string) error {
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.ConfigureLogger()
	go srv.Start()
	io.Copy(io.Discard, os.Stdin)
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// node is one server of the cluster.
type node struct {
	name string
	url  string
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

// said is what the server logged, without what it repeats each second.
func (n *node) said() string {
	var lines []string
	for line := range strings.Lines(n.log.String()) {
		if !strings.Contains(line, "Error trying to connect to route") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// kill ends the process as a power cut does, as far as the process is concerned.
func (n *node) kill(t *testing.T) {
	t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.cmd.Wait()
}

// startCluster starts the three servers of docker-compose.yml, with the files that
// it mounts and the environment that it gives them. Only where they listen, where
// they find each other and where they store is this machine's.
func startCluster(t *testing.T) []*node {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ports := freeport.Find(t, 6)
	var nodes []*node
	for i := range 3 {
		name := fmt.Sprintf("nats-%d", i+1)
		s, ok := load(t).Services[name]
		if !ok {
			t.Fatalf("docker-compose.yml has no %s", name)
		}
		root := t.TempDir()
		for target, source := range s.mounts() {
			file, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			target = filepath.Join(root, target)
			if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, file, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		env := maps.Clone(s.Environment)
		for j := range 3 {
			env["ANNALS_NATS_ROUTES"] = strings.Replace(env["ANNALS_NATS_ROUTES"], fmt.Sprintf("@nats-%d:6222", j+1), fmt.Sprintf("@127.0.0.1:%d", ports[3+j]), 1)
		}
		replace(t, env, "ANNALS_NATS_LISTEN", `"0.0.0.0:4222"`, fmt.Sprintf(`"127.0.0.1:%d"`, ports[i]))
		replace(t, env, "ANNALS_NATS_CLUSTER", `"0.0.0.0:6222"`, fmt.Sprintf(`"127.0.0.1:%d"`, ports[3+i]))
		replace(t, env, "ANNALS_NATS_MONITOR", `"127.0.0.1:8222"`, `"127.0.0.1:-1"`)
		replace(t, env, "ANNALS_NATS_STORE", "/data", filepath.Join(root, "data"))

		n := &node{name: name, url: fmt.Sprintf("nats://127.0.0.1:%d", ports[i]), log: new(bytes.Buffer)}
		n.cmd = exec.Command(self)
		n.cmd.Env = append(os.Environ(), runConfig+"="+filepath.Join(root, s.Command[1]))
		for k, v := range env {
			n.cmd.Env = append(n.cmd.Env, k+"="+v)
		}
		n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
		stdin, err := n.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := n.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stdin.Close()
			n.cmd.Wait()
			if t.Failed() {
				t.Logf("%s, %s:\n%s", n.name, n.cmd.ProcessState, n.said())
			}
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// replace changes a value of the environment that docker-compose.yml must have.
func replace(t *testing.T, env map[string]string, name, from, to string) {
	t.Helper()
	if env[name] != from {
		t.Fatalf("docker-compose.yml: %s is %s; this test knows %s", name, env[name], from)
	}
	env[name] = to
}

// TestClusterLosesNothing: three servers, and the one that leads the stream is
// killed while records pour in and are read. What was acknowledged is there, where
// its acknowledgement says, and the reader reads it all, in order and without a hole.
func TestClusterLosesNothing(t *testing.T) {
	nodes := startCluster(t)
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.url)
	}
	all := strings.Join(urls, ",")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ledger := connect(t, ctx, all, nats.UserInfo("annals", password))
	producer := connect(t, ctx, all)
	eventually(t, ctx, "the stream on three servers", func(ctx context.Context) error {
		return ingest.EnsureStream(ctx, ledger, ingest.StreamOptions{Replicas: 3})
	})
	eventually(t, ctx, "all three show that they sync", func(ctx context.Context) error {
		return ingest.CheckDurability(ctx, ledger)
	})

	p, err := ingest.NewPublisher(producer, ingest.PublisherOptions{AckWait: time.Second, MaxMessage: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	// The reader is at it all the while, and has to find its way past the death.
	r, err := ingest.OpenReader(ctx, ledger, ingest.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan chain.Message, 10_000)
	reading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	defer func() { stop(); <-done; r.Close() }()
	go func() {
		defer close(done)
		for {
			batch, err := r.Next(reading)
			if err != nil {
				if reading.Err() == nil {
					t.Errorf("reading: %v", err)
				}
				return
			}
			for _, m := range batch {
				messages <- m
			}
		}
	}()
	const records = 3000
	var waiting []*ingest.Pending
	for i := range records {
		if i == records/3 {
			leader(t, ctx, ledger, nodes).kill(t)
		}
		r, err := p.PublishAsync(ctx, fmt.Sprintf("ws_%d", i%7), chain.OwnType, fmt.Appendf(nil, `{"id":"r%d","type":"a"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, r)
		if i%50 == 49 {
			if _, err := r.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	acked := make(map[uint64]map[uint16]string)
	var last uint64
	for i, r := range waiting {
		ack, err := r.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if acked[ack.Sequence] == nil {
			acked[ack.Sequence] = make(map[uint16]string)
		}
		acked[ack.Sequence][ack.Place] = fmt.Sprintf(`{"id":"r%d","type":"a"}`, i)
		last = max(last, ack.Sequence)
	}

	found := 0
	for next := uint64(1); next <= last; next++ {
		select {
		case m := <-messages:
			if m.Sequence != next {
				t.Fatalf("got sequence %d, want %d", m.Sequence, next)
			}
			for place, line := range strings.Split(string(m.Body), "\n") {
				if want, ok := acked[m.Sequence][uint16(place)]; ok && want == line {
					found++
				}
			}
		case <-ctx.Done():
			t.Fatalf("reading %d of %d: trouble: %v", next, last, r.Trouble())
		}
	}
	if found != records {
		t.Errorf("of %d acknowledged records %d are where their acknowledgements say", records, found)
	}
	// Two of three go on; and they say that the third can't vouch for itself.
	var unseen *ingest.UnseenDurabilityError
	if err := ingest.CheckDurability(ctx, ledger); !errors.As(err, &unseen) || len(unseen.Servers) != 1 {
		t.Errorf("with one server killed: got %v", err)
	}
}

func connect(t *testing.T, ctx context.Context, urls string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	var nc *nats.Conn
	eventually(t, ctx, "a connection", func(context.Context) (err error) {
		nc, err = nats.Connect(urls, append(opts, ingest.ConnOptions("test", nil)...)...)
		return err
	})
	t.Cleanup(nc.Close)
	return nc
}

// leader finds the server that leads the stream.
func leader(t *testing.T, ctx context.Context, nc *nats.Conn, nodes []*node) *node {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if c := s.CachedInfo().Cluster; c != nil && c.Leader == n.name {
			return n
		}
	}
	t.Fatalf("no node leads the stream: %+v", s.CachedInfo().Cluster)
	return nil
}

// eventually tries until it works or the context ends.
func eventually(t *testing.T, ctx context.Context, what string, try func(context.Context) error) {
	t.Helper()
	for {
		// A question that reaches a cluster without a leader is never answered.
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}
