package broker_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
)

// serve starts a server by a configuration, with the stream, and returns how to
// connect to it as a user whose password is its name.
func serve(t *testing.T, config string) func(user string) *nats.Conn {
	t.Helper()
	o := new(server.Options)
	if err := o.ProcessConfigString(config); err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs, o.JetStream, o.StoreDir = "127.0.0.1", -1, true, true, true, t.TempDir()
	srv, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready after 10 s")
	}
	return func(user string) *nats.Conn {
		nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo(user, user))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
}

// stored makes the stream, lets inject publish, and says what it holds once it holds the
// subject that is awaited, or after a minute.
func stored(t *testing.T, ledger *nats.Conn, inject func(), awaited string) map[string]uint64 {
	t.Helper()
	if err := ingest.EnsureStream(t.Context(), ledger, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	inject()
	js, err := jetstream.New(ledger)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.State.Subjects; got[awaited] > 0 || time.Now().After(late) {
			return got
		}
	}
}

// TestPermissionsAreNoWall is the counterpart of TestReplyInjection: in one
// account, with permission to publish on activity.> alone, the injection works. So
// that test can fail, and the accounts are what it shows.
func TestPermissionsAreNoWall(t *testing.T) {
	connect := serve(t, `accounts { ONE { jetstream: enabled, users: [
		{ user: ledger, password: ledger }
		{ user: producer, password: producer, permissions { publish { allow: ["activity.>"] }, subscribe { allow: ["_INBOX.>"] } } }
	] } }`)
	producer := connect("producer")
	got := stored(t, connect("ledger"), func() {
		producer.PublishRequest("activity.ws_a.real", "vouched.ws_a.x", []byte("{}"))
		producer.Flush()
	}, "vouched.ws_a.x")
	if got["vouched.ws_a.x"] == 0 {
		t.Errorf("got %v: if the server now prevents this, the accounts may be more than is needed", got)
	}
}

// TestTenantAccount adds the account of one tenant, and finds the tenant's
// producer held to its workspace, by its own subjects, replies and traces.
func TestTenantAccount(t *testing.T) {
	file, err := os.ReadFile("accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(file), "accounts: [PRODUCERS]", "accounts: [PRODUCERS, TENANT]", 1)
	config = strings.Replace(config, "\n  SYS {", `
  TENANT {
    users: [ { user: tenant, password: tenant, permissions { publish { allow: ["activity.>"] }, subscribe { allow: ["_INBOX.>"] } } } ]
    imports: [ { service: { account: ANNALS, subject: "activity.ws_a.>" } } ]
  }
  SYS {`, 1)
	connect := serve(t, "ANNALS_NATS_PASSWORD: annals\n"+config)
	tenant := connect("tenant")
	got := stored(t, connect("annals"), func() {
		if _, err := tenant.Request("activity.ws_a.real", []byte("{}"), time.Minute); err != nil {
			t.Error(err)
		}
		tenant.Publish("activity.ws_b.x", []byte("{}"))
		for _, to := range []string{"activity.ws_b.x", "activity.ws_a.x", "vouched.ws_a.x"} {
			tenant.PublishRequest("activity.ws_a.real", to, []byte("{}"))
			tenant.PublishMsg(&nats.Msg{Subject: "activity.ws_a.real", Data: []byte("{}"), Header: nats.Header{"Nats-Trace-Dest": {to}}})
		}
		tenant.Flush()
		time.Sleep(200 * time.Millisecond) // for what should not come
	}, "activity.ws_a.real")
	for subject := range got {
		// A trace may come back into the tenant's own workspace: nothing is gained
		// by what could as well be published there.
		if subject != "activity.ws_a.real" && subject != "activity.ws_a.x" {
			t.Errorf("stored under %s", subject)
		}
	}
	if got["activity.ws_a.real"] == 0 {
		t.Errorf("got %v", got)
	}
}
