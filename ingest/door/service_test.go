package door_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ingest/door"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// replying is request/reply before a real server, with a real ledger behind it,
// whose tree is under a checkpoint as soon as it is asked for.
type replying struct {
	t        *testing.T
	broker   *broker.Broker
	ledger   *ledger.Ledger
	service  *door.Service
	vouched  *ingest.Publisher
	options  door.Options // of a door over HTTP
	fold     time.Duration
	known    bool // only what is known is answered
	event    func(context.Context, string, nats.Header, []byte) (ingest.Ack, error)
	producer *nats.Conn
	own      *nats.Conn // the ledger's
}

func reply(t *testing.T) *replying {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	nc, err := b.Connect(ingest.ConnOptions("door", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	begin := chaintest.New("door")
	if _, _, err := ingest.PublishGenesis(t.Context(), nc, begin.Messages[0].Body, begin.Messages[1].Body); err != nil {
		t.Fatal(err)
	}
	r, err := ingest.OpenReader(t.Context(), nc, ingest.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var first []chain.Message
	for len(first) < 2 {
		more, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, more...)
	}
	l, err := ledger.Create("ledger", first[0], first[1], ledger.Options{FS: vfs.NewMem(), CacheSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pumped := make(chan error, 1)
	go func() {
		for {
			msgs, err := r.Next(ctx)
			if err == nil {
				err = l.Append(ctx, msgs)
			}
			if err != nil {
				pumped <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-pumped; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &replying{t: t, broker: b, ledger: l, own: nc}
	s.vouched = s.publisher(ingest.RootVouched)
	s.options = door.Options{Publish: door.Through(s.vouched), Await: l.Await, Get: l.Get, Receipts: s.receipts}
	s.serve()
	if s.producer, err = nats.Connect(b.ClientURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

func (s *replying) serve() {
	s.t.Helper()
	o := s.options
	o.Publish = door.Through(s.publisher(ingest.RootActivity))
	var err error
	s.service, err = door.Serve(s.own, door.ServiceOptions{Options: o, PublishEvent: s.event, Tag: s.ledger.Tag, Absent: ledger.ErrNotFound, FoldTimeout: s.fold, OnlyKnown: s.known, Version: "v1.2.3"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.service.Close)
}

func (s *replying) publisher(root string) *ingest.Publisher {
	p, err := ingest.NewPublisher(s.own, ingest.PublisherOptions{Root: root})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := p.Close(ctx); err != nil {
			s.t.Error(err)
		}
	})
	return p
}

// receipts are unsigned: who signs is no business of a door's.
func (s *replying) receipts(_ context.Context, indexes []uint64, payload bool, _ proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
	head := s.ledger.Head()
	hashes, err := s.ledger.Inclusions(indexes, head.Size)
	if err != nil {
		return nil, "", err
	}
	c := proof.Checkpoint{Origin: "annals.example/door", Size: head.Size, Root: head.Root}
	var out []*proof.Receipt
	err = s.ledger.GetMany(indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		r := proof.NewReceipt(s.ledger.ID(), leaf, payload)
		r.Hashes, r.Checkpoint = hashes[len(out)], []byte(c.Text()+"\n— nobody AAAAAAA=\n")
		out = append(out, r)
		return nil
	})
	return out, proof.Recorded, err
}

func (s *replying) request(subject, body string, header ...string) (*nats.Msg, *problem.Problem) {
	s.t.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	a, err := s.producer.RequestMsg(m, 20*time.Second)
	if err != nil {
		s.t.Fatalf("%s: %v", subject, err)
	}
	code := a.Header.Get(micro.ErrorCodeHeader)
	if code == "" {
		return a, nil
	}
	p := new(problem.Problem)
	if err := json.Unmarshal(a.Data, p); err != nil || string(p.Code) != code || a.Header.Get(micro.ErrorHeader) == "" {
		s.t.Fatalf("%s: an error without a problem: %v %s", subject, a.Header, a.Data)
	}
	return a, p
}

func (s *replying) post(subject, record string, header ...string) door.Fate {
	s.t.Helper()
	m, p := s.request(subject, record, header...)
	if p != nil {
		s.t.Fatalf("%s: %v", subject, p)
	}
	var a door.Answer
	if err := json.Unmarshal(m.Data, &a); err != nil || len(a.Items) != 1 {
		s.t.Fatalf("%s: %v %s", subject, err, m.Data)
	}
	return a.Items[0]
}

func digest(b string) string {
	h := sha256.Sum256([]byte(b))
	return hex.EncodeToString(h[:])
}

// TestRequestReply records and asks for receipts over NATS, as a producer that
// nobody knows.
func TestRequestReply(t *testing.T) {
	s := reply(t)
	const record = `{"id":"q1","type":"app.renamed","workspace":"ws_7","actor":{"type":"user","id":"u"}}`
	plain := s.post(door.SubjectRecord, record)
	if plain.Status != "accepted" || plain.Grade != proof.Accepted || plain.ID != "q1" || plain.Sequence == nil || plain.Receipt != "" {
		t.Fatalf("%+v", plain)
	}
	again := s.post(door.SubjectRecord+".ws_7", record, door.HeaderWait, "recorded")
	if again.Status != "duplicate" || again.Grade != proof.Accepted || again.Ref == nil {
		t.Errorf("%+v", again)
	}
	first, _, err := s.ledger.Get(again.Ref.Index)
	if err != nil {
		t.Fatal(err)
	}
	if _, got := first.Record(); string(got) != record || first.Payload.Subject() != "activity.ws_7._" || first.Entry.Grade != chain.GradeAsserted {
		t.Errorf("recorded %s on %s, %s", got, first.Payload.Subject(), first.Entry.Grade)
	}
	proven := s.post(door.SubjectRecord+".ws_8", `{"type":"t","actor":{"type":"anonymous"}}`, door.HeaderWait, "receipt", door.HeaderPayload, "false")
	r, err := proof.ParseReceipt([]byte(proven.Receipt))
	if err != nil || proven.Grade != proof.Recorded || proven.ID == "" || r.Entry.Grade != chain.GradeAnonymous || r.Payload != nil || r.Salt == nil {
		t.Fatalf("%+v, %v", proven, err)
	}

	// The digest of what was published is what opens a receipt.
	for name, c := range map[string]struct {
		subject, ask  string
		salt, payload bool
	}{
		"by ulid, a stranger":    {"", fmt.Sprintf(`{"workspace":"ws_7","ulid":%q}`, first.Entry.ULID), false, false},
		"by ulid, a guess":       {"", fmt.Sprintf(`{"workspace":"ws_7","ulid":%q,"sha256":%q,"payload":true}`, first.Entry.ULID, digest("x")), false, false},
		"by place, knowing":      {"", fmt.Sprintf(`{"workspace":"ws_7","sequence":%d,"place":%d,"sha256":%q}`, *plain.Sequence, *plain.Place, digest(record)), true, false},
		"with payload, knowing":  {".ws_7", fmt.Sprintf(`{"sequence":%d,"sha256":%q,"payload":true}`, *plain.Sequence, digest(record)), true, true},
		"a duplicate's, knowing": {".ws_7", fmt.Sprintf(`{"sequence":%d,"sha256":%q,"payload":true}`, *again.Sequence, digest(record)), true, true},
	} {
		m, p := s.request(door.SubjectReceipt+c.subject, c.ask)
		if p != nil {
			t.Errorf("%s: %v", name, p)
			continue
		}
		r, err := proof.ParseReceipt(m.Data)
		if err != nil || (r.Salt != nil) != c.salt || (r.Payload != nil) != c.payload || !c.payload && strings.Contains(string(m.Data), `"q1"`) {
			t.Errorf("%s: %v\n%s", name, err, m.Data)
		}
		if c.payload && string(r.Payload.Body) != record {
			t.Errorf("%s: of %s", name, r.Payload.Body)
		}
	}
	// What came by HTTP is found by the record's own digest too.
	h := open(t, s.options)
	over := h.post("/v1/workspaces/ws_7/records?wait=receipt", record)
	if over.status != 200 || over.Items[0].Receipt == "" {
		t.Fatalf("%d %s", over.status, over.raw)
	}
	if m, p := s.request(door.SubjectReceipt, fmt.Sprintf(`{"workspace":"ws_7","sequence":%d,"sha256":%q,"payload":true}`, *over.Items[0].Sequence, digest(record))); p != nil {
		t.Error(p)
	} else if r, err := proof.ParseReceipt(m.Data); err != nil || r.Payload == nil {
		t.Errorf("%v: %s", err, m.Data)
	}

	other := fmt.Sprintf(`{"sequence":%d}`, *plain.Sequence)
	for _, c := range []struct{ subject, body, header, want string }{
		{door.SubjectRecord, `{"type":"t","actor":{"id":"u"}}`, "", "missing_workspace"},
		{door.SubjectRecord + ".ws_8", record, "", "workspace_mismatch"},
		{door.SubjectRecord + "._system", record, "", "invalid_parameter"},
		{door.SubjectRecord, "no record", "", "malformed_json"},
		{door.SubjectRecord, "", "", "empty"},
		{door.SubjectRecord, record, "for ever", "invalid_parameter"},
		{door.SubjectReceipt, "", "", "invalid_body"},
		{door.SubjectReceipt, `{"workspace":"ws_7","ulidd":"x"}`, "", "invalid_body"},
		{door.SubjectReceipt, `{"workspace":"ws_7"}`, "", "invalid_body"},
		{door.SubjectReceipt, `{"workspace":"ws_7","ulid":"x"}`, "", "invalid_body"},
		{door.SubjectReceipt, `{"workspace":"ws_7","sequence":1,"sha256":"00"}`, "", "invalid_body"},
		{door.SubjectReceipt, strings.Repeat(" ", 5000) + "{}", "", "invalid_body"},
		{door.SubjectReceipt, other, "", "missing_workspace"},
		{door.SubjectReceipt + ".ws_8", other, "", "no_such_record"},
		{door.SubjectReceipt + ".ws_7", fmt.Sprintf(`{"sequence":%d,"place":7}`, *plain.Sequence), "", "no_such_record"},
		{door.SubjectReceipt + ".ws_7", `{"workspace":"ws_8","sequence":1}`, "", "workspace_mismatch"},
		{door.SubjectReceipt + ".ws_7", `{"sequence":1}`, "", "no_such_record"}, // the genesis
		{door.SubjectReceipt + ".ws_7", fmt.Sprintf(`{"ulid":%q}`, chain.MakeULID(1, 0, 99999)), "", "no_such_record"},
	} {
		header := []string{}
		if c.header != "" {
			header = []string{door.HeaderWait, c.header}
		}
		if _, p := s.request(c.subject, c.body, header...); p == nil || string(p.Code) != c.want {
			t.Errorf("%s %.60s: %v, want %s", c.subject, c.body, p, c.want)
		}
	}
}

// TestDiscovery: a producer finds the service as `nats micro ls` does.
func TestDiscovery(t *testing.T) {
	s := reply(t)
	m, err := s.producer.Request("$SRV.INFO.annals", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for _, e := range info.Endpoints {
		subjects = append(subjects, e.Subject)
	}
	if info.Name != door.ServiceName || info.Version != "1.2.3" || strings.Join(subjects, " ") != "annals.api.record annals.api.record.* annals.api.receipt annals.api.receipt.*" {
		t.Errorf("%s %s %q", info.Name, info.Version, subjects)
	}
	// ls sends one ping and takes the answers that come.
	inbox := s.producer.NewInbox()
	sub, err := s.producer.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.producer.PublishRequest("$SRV.PING", inbox, nil); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.NextMsg(10 * time.Second); err != nil || !strings.Contains(string(m.Data), info.ID) {
		t.Errorf("nobody answers a ping: %v", err)
	}
}

// TestReplyElsewhere: the answers of the service, sent where a producer says, reach
// no subject of the stream.
func TestReplyElsewhere(t *testing.T) {
	s := reply(t)
	size := s.ledger.Head().Size
	for _, to := range []string{"vouched.ws_a.x", "activity.other.x", "annals.control.x", "$JS.API.STREAM.PURGE.ANNALS", "_INBOX.somebody.else"} {
		for _, subject := range []string{door.SubjectRecord, door.SubjectReceipt, "$SRV.PING", "$SRV.INFO", "$SRV.STATS.annals"} {
			if err := s.producer.PublishRequest(subject, to, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	// One that is answered comes behind them; another that is recorded, behind that.
	if _, p := s.request(door.SubjectRecord, "{}"); p == nil {
		t.Fatal("an empty record was taken")
	}
	time.Sleep(100 * time.Millisecond)
	last := s.post(door.SubjectRecord+".ws_7", `{"type":"t","actor":{"id":"u"}}`, door.HeaderWait, "recorded")
	if *last.Index != size {
		js, err := jetstream.New(s.own)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), ingest.Stream)
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		t.Errorf("entry %d, want %d: something else was stored: %v %v", *last.Index, size, info.State.Subjects, err)
	}
}

// TestReceiptsUnderLoad: many batches and requests at once, and each answer is
// about the records that were in it.
func TestReceiptsUnderLoad(t *testing.T) {
	s := reply(t)
	h := open(t, s.options)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for round := range 4 {
				var lines strings.Builder
				id := func(i int) string { return fmt.Sprintf("l%d-%d-%d", worker, round, i) }
				for i := range 40 {
					fmt.Fprintf(&lines, `{"id":%q,"type":"t","actor":{"id":"u"}}`+"\n", id(i))
				}
				a := h.post(records+"?wait=receipt", lines.String(), "Content-Type", "application/x-ndjson")
				if a.status != 200 || len(a.Items) != 40 {
					t.Errorf("%d %.300s", a.status, a.raw)
					return
				}
				for i, item := range a.Items {
					r, err := proof.ParseReceipt([]byte(item.Receipt))
					if err != nil || r.Index != *item.Index || item.Grade != proof.Recorded || !strings.Contains(string(r.Payload.Body), `"`+id(i)+`"`) {
						t.Errorf("item %d: %v %+v", i, err, item)
						return
					}
					c, err := proof.ParseCheckpoint(r.Checkpoint)
					if err != nil {
						t.Error(err)
						return
					}
					if err := proof.CheckInclusion(c.Size, c.Root, r.Index, chain.LeafHash(r.Raw), r.Hashes); err != nil {
						t.Error(err)
						return
					}
				}
				one := s.post(door.SubjectRecord+".ws_7", fmt.Sprintf(`{"id":%q,"type":"t","actor":{"id":"u"}}`, id(99)), door.HeaderWait, "receipt")
				if r, err := proof.ParseReceipt([]byte(one.Receipt)); err != nil || !strings.Contains(string(r.Payload.Body), id(99)) {
					t.Errorf("%+v %v", one, err)
				}
			}
		})
	}
	wg.Wait()
}
