package service

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ingest/door"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// TestEventsRequested: a CloudEvent that comes by annals.api.record is recorded as one, in
// either mode, as the stream has it from its producer; before the operator lets the ledger
// read events it is refused, and so is what is none.
func TestEventsRequested(t *testing.T) {
	s := mustStart(t, options(filepath.Join(t.TempDir(), "data")))
	nc, err := nats.Connect(s.NATSURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	message := func(subject, body string, header ...string) *nats.Msg {
		m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
		for i := 0; i < len(header); i += 2 {
			m.Header[header[i]] = append(m.Header[header[i]], header[i+1])
		}
		return m
	}
	// ask returns what became of one, or the code of the refusal.
	ask := func(m *nats.Msg) (fate door.Fate, code string) {
		t.Helper()
		m.Header[door.HeaderWait] = []string{"recorded"}
		a, err := nc.RequestMsg(m, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if code := a.Header.Get(micro.ErrorCodeHeader); code != "" {
			return fate, code
		}
		var told door.Answer
		if err := json.Unmarshal(a.Data, &told); err != nil || len(told.Items) != 1 {
			t.Fatalf("%v: %s", err, a.Data)
		}
		return told.Items[0], ""
	}
	const in = door.SubjectRecord + ".ws_7"
	head := []string{"ce-specversion", "1.0", "ce-source", "/crm", "ce-type", "app.renamed", "ce-id"}
	binary := func(id string, more ...string) []string {
		return append(append(slices.Clone(head), id), more...)
	}
	named := []string{"ce-authtype", "user", "ce-authid", "usr_dana"}
	if _, code := ask(message(in, `{"n":1}`, binary("e1", named...)...)); code != "events_not_read" {
		t.Fatalf("before version 2: %s", code)
	}
	size := s.Ledger().Head().Size
	readEvents(t, s)
	if got := s.Ledger().Head().Size; got != size+1 {
		t.Errorf("%d entries beside the announcement: what was refused left a trace", got-size-1)
	}

	const structured = `{"specversion":"1.0","id":"e2","source":"/crm","type":"app.renamed","authid":"usr_dana","data":{"n":1}}`
	cloud := []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}
	for _, c := range []struct {
		name         string
		m            *nats.Msg
		status, code string
		id           string
		body         string // of the entry
		contentType  string // retained
	}{
		{name: "binary", m: message(in, `{"n":1}`, binary("e1", named...)...), status: "recorded", id: "e1", body: `{"n":1}`},
		{name: "again", m: message(in, `{"n":1}`, binary("e1", named...)...), status: "duplicate", id: "e1", body: `{"n":1}`},
		{name: "with another attribute", m: message(in, `{"n":1}`, binary("e1", append(named, "ce-subject", "app_1")...)...), status: "conflict", id: "e1", body: `{"n":1}`},
		{name: "binary without data", m: message(in, ``, binary("e3", named...)...), status: "recorded", id: "e3"},
		{name: "binary text", m: message(in, "a\nb", binary("e4", append(named, "Content-Type", "text/plain")...)...), status: "recorded", id: "e4", body: "a\nb", contentType: "text/plain"},
		{name: "structured", m: message(in, structured, cloud...), status: "recorded", id: "e2", body: structured, contentType: cloud[1]},
		{name: "a record as data names its workspace", m: message(door.SubjectRecord, `{"workspace":"ws_7","actor":{"id":"u"}}`, binary("e5")...), status: "recorded", id: "e5", body: `{"workspace":"ws_7","actor":{"id":"u"}}`},
		{name: "nobody says which workspace", m: message(door.SubjectRecord, `{"n":1}`, binary("e6", named...)...), code: "missing_workspace"},
		{name: "another workspace", m: message(in, `{"workspace":"ws_8","actor":{"id":"u"}}`, binary("e7")...), code: "workspace_mismatch"},
		{name: "nobody acted", m: message(in, `{"n":1}`, binary("e8")...), code: "missing_actor_id"},
		{name: "an attribute is missing", m: message(in, `{}`, "ce-specversion", "1.0", "ce-id", "e9"), code: "invalid_event"},
		{name: "an attribute twice", m: message(in, `{}`, binary("e9", "ce-authid", "a", "ce-authid", "b")...), code: "invalid_event"},
		{name: "headers beyond their bound", m: message(in, `{}`, binary("e9", append(named, "ce-x", strings.Repeat("x", chain.MaxHeaders))...)...), code: "invalid_event"},
		{name: "an old version", m: message(in, `{}`, "ce-specversion", "0.3", "ce-id", "e9"), code: "unsupported_event"},
		{name: "a batch", m: message(in, `[`+structured+`]`, "Content-Type", "application/cloudevents-batch+json"), code: "unsupported_event"},
		{name: "a record is one still", m: message(in, `{"id":"r1","type":"app.renamed","actor":{"id":"u"}}`, "Content-Type", "application/json"), status: "recorded", id: "r1", body: `{"id":"r1","type":"app.renamed","actor":{"id":"u"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fate, code := ask(c.m)
			if code != c.code || fate.Status != c.status || fate.ID != c.id {
				t.Fatalf("%q %+v, want %q %s %s", code, fate, c.code, c.status, c.id)
			}
			if code != "" {
				return
			}
			leaf, _, err := s.Ledger().Get(*fate.Index)
			if err != nil {
				t.Fatal(err)
			}
			if string(leaf.Body()) != c.body || leaf.Subject().Root != chain.RootActivity || leaf.Entry.Grade != chain.GradeAsserted {
				t.Errorf("%+v: %s", leaf.Entry, leaf.Body())
			}
			retained := ""
			for pairs := leaf.Payload.Headers(); len(pairs) > 1; pairs = pairs[2:] {
				if pairs[0] == "Content-Type" {
					retained = pairs[1]
				}
			}
			if _, is := leaf.Event(); is != (c.id != "r1") || retained != c.contentType {
				t.Errorf("an event: %v, of %q", is, retained)
			}
		})
	}
	// By the stream or by request it is one event: what the producer publishes again there
	// is a duplicate of it.
	before := s.Ledger().Head()
	m := message("activity.ws_7._", structured, cloud...)
	if a, err := nc.RequestMsg(m, 20*time.Second); err != nil || strings.Contains(string(a.Data), `"error"`) {
		t.Fatalf("%v %s", err, a.Data)
	}
	eventually(t, "the stream's is folded", func() bool { return s.Ledger().Head().Size > before.Size })
	if leaf, _, err := s.Ledger().Get(before.Size); err != nil || leaf.Entry.Kind != chain.KindDuplicate {
		t.Errorf("%v %v", err, leaf.Entry.Kind)
	}
}
