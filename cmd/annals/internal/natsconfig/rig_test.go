package natsconfig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/ingest"
	"annals/internal/freeport"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// rig is the servers of a configuration that was generated, run.
type rig struct {
	dir      string
	url      string
	operator bool
	servers  []*server.Server
}

// everything is an installation with a user of each kind.
func everything() Options {
	return Options{Workspaces: []string{"ws_8", "ws_7"}, Replicas: []string{"b"}, Door: true, Mirror: "ANNALS_MIRROR", AnchorBucket: "heads"}
}

// eachMode runs a test with servers that are told in their own language who may do what,
// and with servers in operator mode.
func eachMode(t *testing.T, test func(t *testing.T, o Options)) {
	for name, operator := range map[string]bool{"accounts": false, "operator mode": true} {
		o := everything()
		o.Operator = operator
		t.Run(name, func(t *testing.T) { test(t, o) })
	}
}

// run writes a configuration for so many servers, and starts them. edit may change
// accounts.conf before.
func run(t *testing.T, o Options, servers int, edit func(dir, text string) string) *rig {
	t.Helper()
	ports := freeport.Find(t, 2*servers)
	o.Dir = t.TempDir()
	for i := range servers {
		n := Node{Name: fmt.Sprintf("n%d", i+1)}
		if servers > 1 {
			n.Route = fmt.Sprintf("127.0.0.1:%d", ports[servers+i])
		}
		o.Nodes = append(o.Nodes, n)
	}
	r := &rig{dir: o.Dir, operator: o.Operator}
	var urls []string
	for i := range servers {
		// Where they listen and store is each server's own here: one machine holds all.
		o.Listen, o.Store = fmt.Sprintf("127.0.0.1:%d", ports[i]), filepath.Join(o.Dir, "store", o.Nodes[i].Name)
		if servers > 1 {
			o.ClusterListen = o.Nodes[i].Route
		}
		if _, err := Write(o); err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			path := filepath.Join(o.Dir, AccountsFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(edit(o.Dir, string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		so, err := server.ProcessConfigFile(filepath.Join(o.Dir, o.Nodes[i].Name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		so.NoLog, so.NoSigs = true, true
		srv, err := server.NewServer(so)
		if err != nil {
			t.Fatal(err)
		}
		r.servers = append(r.servers, srv)
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		if servers == 1 && !srv.ReadyForConnections(30*time.Second) {
			t.Fatal("the server is not ready after 30 s")
		}
		urls = append(urls, "nats://"+o.Listen)
	}
	r.url = strings.Join(urls, ",")
	return r
}

// client is a connection, and what the server has refused it.
type client struct {
	*nats.Conn
	mu     sync.Mutex
	denied []string
}

func (r *rig) connect(t *testing.T, user string) *client {
	t.Helper()
	secret := nats.UserCredentials(CredsFile(r.dir, user))
	var err error
	if !r.operator {
		if secret, err = nats.NkeyOptionFromSeed(SeedFile(r.dir, user)); err != nil {
			t.Fatal(err)
		}
	}
	c := new(client)
	deadline := time.Now().Add(30 * time.Second)
	for {
		c.Conn, err = nats.Connect(r.url, secret, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.denied = append(c.denied, err.Error())
		}))
		// A server of a cluster that is still being found is tried again.
		if err == nil {
			break
		}
		if _, ok := errors.AsType[net.Error](err); !ok && !errors.Is(err, nats.ErrNoServers) || time.Now().After(deadline) {
			t.Fatalf("%s: %v", user, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Cleanup(c.Close)
	return c
}

// refusals returns what the server has refused until now, by subject. It refuses in
// order, so all is there once a last violation is.
func (c *client) refusals(t *testing.T, kind string) func(subject string) bool {
	t.Helper()
	last := "nobody.may." + nats.NewInbox()
	if err := errors.Join(c.Publish(last, nil), c.Flush()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		c.mu.Lock()
		denied := slices.Clone(c.denied)
		c.mu.Unlock()
		if len(denied) > 0 && strings.Contains(denied[len(denied)-1], last) {
			return func(subject string) bool {
				return slices.ContainsFunc(denied, func(d string) bool {
					return strings.Contains(strings.ToLower(d), kind) && strings.Contains(d, `"`+subject+`"`)
				})
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server doesn't say that %s is refused: %q", last, denied)
		}
		time.Sleep(time.Millisecond)
	}
}

// stream makes the streams that a ledger has, with a message in each.
func (r *rig) stream(t *testing.T) (ledger *client) {
	t.Helper()
	ledger = r.connect(t, "ledger")
	if err := errors.Join(
		ingest.EnsureStream(t.Context(), ledger.Conn, ingest.StreamOptions{}),
		ingest.EnsureReplicas(t.Context(), ledger.Conn), ingest.EnsureHeads(t.Context(), ledger.Conn),
		ingest.ShowHead(t.Context(), ledger.Conn, ingest.ReplicaHead{Name: "a"}),
		ingest.TellReplica(t.Context(), ledger.Conn, ingest.ReplicaPosition{Name: "a"}),
	); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := ledger.Request("vouched.ws_7.begin", []byte("{}"), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return ledger
}
