package service

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/natsconfig"
	"annals/cmd/annals/internal/natscontext"
	"annals/ingest"
	"annals/internal/freeport"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsConfig writes the configuration of a server on this machine, and returns its
// folder and address.
func natsConfig(t *testing.T) (dir, address string) { return natsConfigIn(t, false) }

// natsConfigIn is natsConfig, in operator mode where that is asked for.
func natsConfigIn(t *testing.T, operator bool) (dir, address string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "nats")
	address = fmt.Sprintf("127.0.0.1:%d", freeport.Find(t, 1)[0])
	_, err := natsconfig.Write(natsconfig.Options{
		Dir: dir, Nodes: []natsconfig.Node{{Name: "nats"}}, Listen: address, Store: filepath.Join(dir, "store"), Workspaces: []string{"ws_7"}, Operator: operator,
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, address
}

// asUser connects as one of those who were written down.
func asUser(t *testing.T, url, dir, user string, more ...nats.Option) *nats.Conn {
	t.Helper()
	secret := nats.UserCredentials(natsconfig.CredsFile(dir, user))
	if _, err := os.Stat(natsconfig.CredsFile(dir, user)); err != nil {
		if secret, err = nats.NkeyOptionFromSeed(natsconfig.SeedFile(dir, user)); err != nil {
			t.Fatal(err)
		}
	}
	nc, err := nats.Connect(url, append(more, secret)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// withReceipts publishes as a tenant's producer does, and waits for every receipt.
func withReceipts(t *testing.T, nc *nats.Conn, ids ...string) {
	t.Helper()
	receipts, err := ingest.NewReceipts(t.Context(), nc, ingest.ReceiptOptions{Dir: t.TempDir(), Linger: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := p.PublishAsync(t.Context(), "ws_7", "app.renamed", []byte(recordNamed(id))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := receipts.Close(t.Context()); err != nil {
		t.Errorf("receipts: %v", err)
	}
}

// TestGeneratedCluster: on a server that runs by what `annals nats-config` wrote the
// whole of a ledger works as its user: it begins, folds, answers on NATS and HTTP,
// signs, trims, and has messages deleted that were erased. In operator mode too.
func TestGeneratedCluster(t *testing.T) {
	for name, operator := range map[string]bool{"accounts": false, "operator mode": true} {
		t.Run(name, func(t *testing.T) { generatedCluster(t, operator) })
	}
}

func generatedCluster(t *testing.T, operator bool) {
	dir, address := natsConfigIn(t, operator)
	so, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	so.NoLog, so.NoSigs = true, true
	srv, err := server.NewServer(so)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	as := func(user string) *natscontext.Target {
		if operator {
			return &natscontext.Target{URL: "nats://" + address, Creds: natsconfig.CredsFile(dir, user)}
		}
		return &natscontext.Target{URL: "nats://" + address, Nkey: natsconfig.SeedFile(dir, user)}
	}
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Cluster = as("producer")
	if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "NATS lets this user do less than a ledger does: give the ledger's seed with --nkey") {
		t.Fatalf("as a producer: %v, %v", s, err)
	}
	o.Cluster = as("ledger")
	o.Trim = Trim{Margin: 10, Replica: "a", Replicas: []string{"a"}, every: 10 * time.Millisecond}
	o.scrubEvery = 10 * time.Millisecond
	s := mustStart(t, o)
	defer mustClose(t, s)

	withReceipts(t, asUser(t, s.NATSURL(), dir, "producer-ws_7"), "t1", "t2", "t3")
	mustPost(t, s, "h", 40)
	if m, err := asUser(t, s.NATSURL(), dir, "producer").Request("annals.api.record.ws_9", []byte(recordNamed("p1")), 20*time.Second); err != nil || !strings.Contains(string(m.Data), `"status":"accepted"`) {
		t.Errorf("a producer of any workspace: %v", err)
	}
	eventually(t, "the stream is trimmed", func() bool { return s.firstSequence(t) > 2 })
	const dana = "usr-dana-4711"
	publishRecord(t, s, told(dana))
	if len(holding(t, filepath.Join(dir, "store"), dana)) == 0 {
		t.Fatal("the stream holds nothing of the user before it is erased")
	}
	eraseUser(t, s, dana)
	scrubbed(t, s)
	eventually(t, "the message is deleted", func() bool { return len(holding(t, filepath.Join(dir, "store"), dana)) == 0 })
	mustBeClean(t, s)
}

// TestGeneratedEmbedded: the embedded server lets in whom `annals nats-config` wrote
// down and nobody else, over TLS; the ledger is let in like the others.
func TestGeneratedEmbedded(t *testing.T) {
	dir, _ := natsConfig(t)
	a := newAuthority(t)
	files, ca := a.files(), filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		o := options(filepath.Join(t.TempDir(), "data"))
		o.NATSListen, o.NATSAccounts = freeAddress(t), dir
		var trust []nats.Option
		if secure {
			o.NATSTLS = files
			trust = append(trust, nats.RootCAs(ca))
		}
		s := mustStart(t, o)
		if got := strings.HasPrefix(s.NATSURL(), "tls://"); got != secure {
			t.Errorf("producers are told %s", s.NATSURL())
		}
		withReceipts(t, asUser(t, s.NATSURL(), dir, "producer-ws_7", trust...), "e1", "e2")
		if status, body := post(t, s, "over HTTP"); status != http.StatusOK {
			t.Error(status, body)
		}
		tenant := asUser(t, s.NATSURL(), dir, "producer-ws_7", append(trust, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
		if m, err := tenant.Request("activity.ws_8.x", []byte("{}"), 300*time.Millisecond); err == nil {
			t.Errorf("a tenant records elsewhere: %s", m.Data)
		}
		for _, user := range [][]nats.Option{nil, {nats.UserInfo("producer", "producer")}, {nats.UserInfo("annals", "")}} {
			if nc, err := nats.Connect(s.NATSURL(), append(user, trust...)...); err == nil {
				nc.Close()
				t.Errorf("somebody got in without a seed, with %d options", len(user))
			}
		}
		mustClose(t, s)
		mustClose(t, mustStart(t, o)) // again, on a folder that is whole
	}
}

// TestWhoReachesNATS: off the loopback the embedded server needs to know whom to let
// in, and a file that lets everybody in is none.
func TestWhoReachesNATS(t *testing.T) {
	dir, _ := natsConfig(t)
	o := options(filepath.Join(t.TempDir(), "data"))
	o.defaults()
	o.NATSListen = "0.0.0.0:0"
	if err := (&Service{o: o}).admitNATS(); err == nil || !strings.Contains(err.Error(), "--nats-accounts") {
		t.Errorf("nobody is asked: %v", err)
	}
	o.NATSAccounts = dir
	if err := (&Service{o: o}).admitNATS(); err != nil {
		t.Error(err)
	}
	o.Cluster = &natscontext.Target{URL: "nats://127.0.0.1:1"}
	if err := (&Service{o: o}).admitNATS(); err == nil {
		t.Error("accounts for a server that isn't ours")
	}
	o.Cluster, o.NATSListen = nil, "127.0.0.1:0"
	path := filepath.Join(dir, natsconfig.AccountsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no_auth_user":   strings.Replace(string(text), "  PRODUCERS {\n    users: [\n", "  PRODUCERS {\n    users: [\n{ user: anybody, password: anybody }\n", 1) + "no_auth_user: anybody\n",
		"account ANNALS": "accounts { OTHER { users: [ { nkey: " + publicKey(t, text) + " } ] } }\n", "nobody": "accounts { ANNALS { jetstream: enabled } }\n", "parse": "accounts {",
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Start(t.Context(), o); err == nil {
			mustClose(t, s)
			t.Errorf("%s: started", name)
		} else if !strings.Contains(err.Error(), "accounts' file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// publicKey is the first public key in a file of accounts.
func publicKey(t *testing.T, text []byte) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(text), "nkey: ")
	if !ok {
		t.Fatal("no key in accounts.conf")
	}
	key, _, _ := strings.Cut(rest, "\n")
	return key
}
