package natsconfig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"annals/ingest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// targets are what a reply, or a trace, is sent to instead of an inbox.
func targets(t *testing.T) []string {
	all := []string{"_INBOX.somebody.else", "_R_.x.y", "$JS.ACK.ANNALS.c.1.1.1.1.1"}
	for _, s := range append(families, calls(t)...) {
		if !strings.HasPrefix(s, "_") {
			all = append(all, s)
		}
	}
	return all
}

// asks are what a user may ask for, a subject of each kind.
func asks(user string) (all []string) {
	for _, p := range may[user] {
		s := strings.NewReplacer(".*", ".ws_7", ".>", ".x").Replace(p)
		if strings.HasPrefix(p, "annals.js.STREAM.INFO") {
			s = "annals.js.STREAM.INFO.ANNALS"
		}
		if strings.Contains(p, "PURGE") || strings.Contains(p, "STEPDOWN") || strings.HasPrefix(p, "$JS.API.>") {
			continue // they do what they are for
		}
		all = append(all, s)
	}
	return all
}

// answers has the ledger answer requests, as its service does.
func answers(t *testing.T, ledger *client) {
	t.Helper()
	for _, s := range []string{"annals.api.record", "annals.api.record.*", "annals.api.receipt", "annals.api.receipt.*"} {
		if _, err := ledger.Subscribe(s, func(m *nats.Msg) { _ = m.Respond([]byte(`{"seq":2}`)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := ledger.Flush(); err != nil {
		t.Fatal(err)
	}
}

// attack asks for everything that a user may, and has the answers, and the traces,
// sent to everything there is.
func attack(t *testing.T, c *client, user string, to []string) {
	t.Helper()
	for _, subject := range asks(user) {
		for _, reply := range to {
			m := &nats.Msg{Subject: subject, Reply: reply, Data: []byte("{}")}
			traced := &nats.Msg{Subject: subject, Data: []byte("{}"), Header: nats.Header{"Nats-Trace-Dest": {reply}}}
			if err := c.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
			if err := c.PublishMsg(traced); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// settle waits for what was sent to have come round: the stream's acknowledgements
// leave it in order, and so do the answers of the ledger and of JetStream.
func settle(t *testing.T, r *rig, ledger *client) {
	t.Helper()
	producer, operator := r.connect(t, "producer"), r.connect(t, "operator")
	for range 3 {
		for _, q := range []struct {
			c       *client
			subject string
		}{{producer, "activity.end.x"}, {producer, "annals.api.record"}, {operator, "annals.js.STREAM.INFO.ANNALS"}, {ledger, "vouched.end.x"}} {
			if _, err := q.c.Request(q.subject, []byte("{}"), 20*time.Second); err != nil {
				t.Fatalf("%s: %v", q.subject, err)
			}
		}
	}
}

// TestReplies: whoever is outside of the stream's account names every subject there is
// as the reply, and as the destination of a trace, of every question that they may
// ask. Nothing is stored under what they may not publish on, and nothing is deleted.
// With the permissions and without them.
func TestReplies(t *testing.T) { eachMode(t, replies) }

func replies(t *testing.T, o Options) {
	for name, edit := range map[string]func(string, string) string{"with permissions": nil, "accounts alone": permissionless(t)} {
		t.Run(name, func(t *testing.T) {
			r := run(t, o, 1, edit)
			ledger := r.stream(t)
			answers(t, ledger)
			boards := state(t, ledger)
			js, err := jetstream.New(ledger.Conn)
			if err != nil {
				t.Fatal(err)
			}
			s, err := js.Stream(t.Context(), ingest.Stream)
			if err != nil {
				t.Fatal(err)
			}
			var info *jetstream.StreamInfo
			before := map[string]uint64{"vouched.ws_7.begin": 3}
			for _, user := range outside {
				attack(t, r.connect(t, user), user, targets(t))
				settle(t, r, ledger)
				if info, err = s.Info(t.Context(), jetstream.WithSubjectFilter(">")); err != nil {
					t.Fatal(err)
				}
				for subject, n := range info.State.Subjects {
					// What may be published there anyway is nothing gained.
					if n > before[subject] && !allowed(user, subject) && !strings.Contains(subject, ".end.") {
						t.Errorf("%s had %d messages stored under %s", user, n-before[subject], subject)
					}
				}
				before = info.State.Subjects
			}
			if info.State.FirstSeq != 1 || info.State.NumDeleted != 0 {
				t.Errorf("the stream begins at %d, and lacks %d", info.State.FirstSeq, info.State.NumDeleted)
			}
			if after := state(t, ledger); rest(after) != rest(boards) {
				t.Errorf("the other streams were\n%s\nand are\n%s", rest(boards), rest(after))
			}
		})
	}
}

// rest is the state of the streams beside the log.
func rest(state string) string {
	var lines []string
	for line := range strings.Lines(state) {
		if !strings.HasPrefix(line, ingest.Stream+" ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestOperatorInside is the counterpart: an operator in the stream's account, who may
// do nothing but ask how the stream is, has the answer stored as a record that a door
// vouched for. So the tests above can fail, and accounts are what it takes.
func TestOperatorInside(t *testing.T) {
	r := run(t, everything(), 1, func(_, text string) string {
		const begin = "  ANNALS {\n    jetstream: enabled\n    users: [\n"
		inside := strings.Replace(text, begin, begin+`{ user: inside, password: inside, permissions { publish { allow: ["$JS.API.STREAM.INFO.ANNALS"] }, subscribe { allow: ["_INBOX.>"] } } }`+"\n", 1)
		if inside == text {
			t.Fatalf("the account's users are not where this test adds one:\n%s", text)
		}
		return inside
	})
	ledger := r.stream(t)
	answers(t, ledger)
	nc, err := nats.Connect(r.url, nats.UserInfo("inside", "inside"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.PublishRequest("$JS.API.STREAM.INFO.ANNALS", "vouched.ws_7.forged", nil); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(state(t, ledger), "vouched.ws_7.forged=1") {
		if time.Now().After(deadline) {
			t.Fatal("nothing was stored: if the server now prevents this, the accounts may be more than is needed")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestExpectedSequence holds what docs/access.md says of a header that the stream
// knows: whoever publishes over NATS can find out whether a subject of another's is
// there.
func TestExpectedSequence(t *testing.T) {
	r := run(t, everything(), 1, nil)
	ledger := r.stream(t)
	if _, err := ledger.Request("activity.ws_8.payroll", []byte("{}"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	tenant := r.connect(t, "producer-ws_7")
	ask := func(of string) string {
		m := &nats.Msg{Subject: "activity.ws_7.x", Header: nats.Header{
			"Nats-Expected-Last-Subject-Sequence": {"999"}, "Nats-Expected-Last-Subject-Sequence-Subject": {of},
		}}
		answer, err := tenant.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer.Data)
	}
	there, absent := ask("activity.ws_8.payroll"), ask("activity.ws_8.other")
	if there == absent || !strings.Contains(there, "wrong last sequence: 4") {
		t.Errorf("there %s, absent %s: where the two are alike, docs/access.md has a sentence too many", there, absent)
	}
}

// TestWorks does as each user what that one is for.
func TestWorks(t *testing.T) {
	for _, servers := range []int{1, 3} {
		if servers > 1 && testing.Short() {
			continue
		}
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			eachMode(t, func(t *testing.T, o Options) { works(t, run(t, o, servers, nil), servers) })
		})
	}
}

func works(t *testing.T, r *rig, servers int) {
	ctx := t.Context()
	ledger := r.connect(t, "ledger")
	eventually(t, "the stream", func() error {
		return ingest.EnsureStream(ctx, ledger.Conn, ingest.StreamOptions{Replicas: servers})
	})
	eventually(t, "the servers show that they sync", func() error { return ingest.CheckDurability(ctx, ledger.Conn) })
	answers(t, ledger)
	for user, workspace := range map[string]string{"producer": "ws_9", "producer-ws_7": "ws_7"} {
		c := r.connect(t, user)
		p, err := ingest.NewPublisher(c.Conn, ingest.PublisherOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 { // several in an atomic batch
			if _, err := p.PublishAsync(ctx, workspace, fmt.Sprintf("t%d", i), []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(ctx); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		for _, subject := range []string{"annals.api.record." + workspace, "annals.api.receipt." + workspace} {
			if _, err := c.Request(subject, []byte("{}"), 10*time.Second); err != nil {
				t.Errorf("%s asks on %s: %v", user, subject, err)
			}
		}
	}
	if _, err := r.connect(t, "door").Request("vouched.ws_7.x", []byte("{}"), 10*time.Second); err != nil {
		t.Errorf("door: %v", err)
	}
	read, err := ingest.OpenReader(ctx, ledger.Conn, ingest.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	last, err := ingest.LastSequence(ctx, ledger.Conn)
	if err != nil || last < 3 {
		t.Fatalf("the stream ends at %d, %v", last, err)
	}
	for got := uint64(0); got < last; {
		batch, err := read.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got += uint64(len(batch))
	}
	replica := r.connect(t, "ledger-b")
	if n, err := ingest.Purge(ctx, ledger.Conn, 1); n != 1 || err != nil {
		t.Errorf("the ledger purges %d, %v", n, err)
	}
	if n, err := ingest.Erase(ctx, replica.Conn, []uint64{2}); n != 1 || err != nil {
		t.Errorf("a replica erases %d, %v", n, err)
	}
	if err := ingest.EnsureReplicas(ctx, replica.Conn); err != nil {
		t.Error(err)
	}
	if err := ingest.TellReplica(ctx, replica.Conn, ingest.ReplicaPosition{Name: "b"}); err != nil {
		t.Error(err)
	}
	operator := r.connect(t, "operator")
	js, err := jetstream.NewWithAPIPrefix(operator.Conn, OperatorPrefix)
	if err != nil {
		t.Fatal(err)
	}
	board, err := js.Stream(ctx, ingest.ReplicaStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := board.Purge(ctx, jetstream.WithPurgeSubject("annals.replica.b")); err != nil {
		t.Errorf("the operator withdraws what a replica said: %v", err)
	}
	if said, err := ingest.Replicas(ctx, ledger.Conn); err != nil || len(said) != 0 {
		t.Errorf("replicas %v, %v", said, err)
	}
	system := r.connect(t, "system")
	for _, subject := range monitoring() {
		if m, err := system.Request(subject, nil, 10*time.Second); err != nil || !strings.Contains(string(m.Data), `"server"`) {
			t.Errorf("system asks on %s: %v", subject, err)
		}
	}
	owner, err := jetstream.New(r.connect(t, "anchor-owner").Conn)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bucket", func() error {
		_, err := owner.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "heads", History: 64})
		return err
	})
	anchor, err := jetstream.New(r.connect(t, "anchor").Conn)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := anchor.KeyValue(ctx, "heads")
	if err != nil {
		t.Fatal(err)
	}
	revision, err := kv.Create(ctx, "head", []byte("1"))
	if err == nil {
		_, err = kv.Update(ctx, "head", []byte("2"), revision)
	}
	if err != nil {
		t.Error(err)
	}
	if e, err := kv.Get(ctx, "head"); err != nil || string(e.Value()) != "2" {
		t.Errorf("the anchor reads %v, %v", e, err)
	}
}

// eventually tries until something works: a cluster takes a while to agree.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
