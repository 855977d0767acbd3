package chain_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"annals/activity"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestFoldVersion: who may announce a version, and of which.
func TestFoldVersion(t *testing.T) {
	s := chaintest.NewKeyed("fold version")
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	first, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version uint16
		signer  chain.Signer
		want    string
		after   uint16
	}{
		{1, s.Operator, "rejection 0/1 control_body", 1}, // it is in force
		{0, s.Operator, "rejection 0/1 control_body", 1},
		{2, s.Keeper, "rejection 0/1 control_signature", 1},
		{2, s.Operator, "control 0/1 fold-version", 2},
		{2, s.Operator, "rejection 0/1 control_body", 2}, // it is in force now
		{1, s.Operator, "rejection 0/1 control_body", 2}, // it never comes back
	} {
		s.FoldBy(c.version, c.signer)
		if got := next(t, l, s); got != c.want || l.State.Version != c.after {
			t.Errorf("version %d: %s, in force is %d; want %s and %d", c.version, got, l.State.Version, c.want, c.after)
		}
		s.Control = l.State.Control
		again, err := first.Resume(l.State.Append(nil), func(uint32) ([32]byte, error) { return l.State.Secret, nil })
		if err != nil || again.Version != c.after {
			t.Errorf("a stored state has version %d (%v), want %d", again.Version, err, c.after)
		}
	}
	for _, body := range []string{"", "\x00", "\x00\x02\x00"} {
		s.Publish("annals.control.x", string(chain.SealControl(chain.Statement{
			Ledger: s.ID, Number: s.Control, Type: chain.ControlFold, Body: []byte(body),
		}, nil, s.Operator)))
		if got := next(t, l, s); got != "rejection 0/1 control_body" {
			t.Errorf("a body of %d bytes: %s", len(body), got)
		}
	}
	s.FoldBy(chain.LatestFold + 1)
	err = l.Fold(s.Messages[len(s.Messages)-1:], oneByOne)
	if halt := (*chain.HaltError)(nil); !errors.As(err, &halt) {
		t.Errorf("a version that nobody knows yet: %v", err)
	}
}

// TestFoldVersionIsABarrier: what was prepared by the old version is not folded by the
// new one.
func TestFoldVersionIsABarrier(t *testing.T) {
	s := chaintest.NewKeyed("barrier")
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	s.FoldBy(2)
	s.Publish("activity.ws_7.t", `{"actor":{"id":"u"}}`)
	p := l.State.Preparer()
	batch := []chain.Prepared{p.Prepare(s.Messages[2]), p.Prepare(s.Messages[3])}
	r, err := l.State.Fold(batch, chain.Known{Heads: l.Heads})
	if !errors.Is(err, chain.ErrStale) || r.Messages != 1 {
		t.Errorf("%d messages folded, %v", r.Messages, err)
	}
}

const eventHead = `"specversion":"1.0","id":"e1","source":"/crm","type":"app.renamed"`

// inBinary are the headers of an event in binary mode, and more.
func inBinary(id string, more ...string) []string {
	return append([]string{"ce-specversion", "1.0", "ce-id", id, "ce-source", "/crm", "ce-type", "app.renamed"}, more...)
}

// events is a stream of events: the same ones before version 2 of the fold and after.
func events() *chaintest.Stream {
	s := chaintest.NewKeyed("cloudevents vectors")
	const (
		mode  = "application/cloudevents+json"
		named = `{` + eventHead + `,"subject":"app_42","time":"2026-01-02T03:04:05Z","authtype":"user","authid":"usr_dana","data":{"new_name":"B"}}`
		own   = `{"actor":{"id":"usr_li"},"outcome":"success"}`
	)
	all := func() {
		// Structured: who acted beside the data, or in it; charset and case.
		s.Publish("activity.ws_7.app.renamed", named, "Content-Type", mode)
		s.Publish("activity.ws_7._", strings.Replace(named, "e1", "e2", 1), "Content-Type", "Application/CloudEvents+JSON; charset=UTF-8")
		s.Publish("activity.ws_7._", `{"specversion":"1.0","id":"e3","source":"/crm","type":"app.moved","data":`+own+`}`, "Content-Type", "application/cloudevents")
		// Binary: a record, a number, text, an image, nothing.
		s.Publish("activity.ws_7._", own, inBinary("b1", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
		s.Publish("activity.ws_7._", "7", inBinary("b2", "ce-authid", "Euro%20%E2%82%AC", "ce-datacontenttype", "application/json")...)
		s.Publish("activity.ws_7._", "a \"line\"", inBinary("b3", "ce-authtype", "system", "ce-datacontenttype", "text/plain")...)
		s.Publish("activity.ws_7._", "\x01\x02", inBinary("b4", "ce-authtype", "unauthenticated", "Content-Type", "image/png")...)
		s.Publish("activity.ws_7._", "", inBinary("b5", "ce-authid", "u")...)
		s.Publish("activity.ws_7._", "", inBinary("b6", "ce-authid", "u")...)
		// The same again, the same by another trace, and another under its id: by its
		// bytes, and by its attributes alone.
		s.Publish("activity.ws_7.app.renamed", named, "Content-Type", mode)
		s.Publish("activity.ws_7._", own, inBinary("b1")...)
		s.Publish("activity.ws_7._", "8", inBinary("b2", "ce-authid", "Euro%20%E2%82%AC", "ce-datacontenttype", "application/json")...)
		s.Publish("activity.ws_7._", "", inBinary("b6", "ce-authid", "another")...)
		// A record by the same producer and id is the same event's.
		s.Publish("activity.ws_7.app.renamed", `{"id":"b5","producer":"/crm","actor":{"id":"u"}}`)
		// Through a door: the id is the source's.
		vouched := func(record string) string {
			return `{"door":{"grade":"verified","producer":"crm","format":"cloudevents"},"record": ` + record + ` }`
		}
		s.Publish("vouched.ws_7._", vouched(named))
		s.Publish("vouched.ws_7._", vouched(named))
		s.Publish("vouched.ws_7._", vouched(strings.Replace(named, "/crm", "/erp", 1)))
		s.Publish("vouched.ws_7._", vouched(named)+"\n"+`{"door":{"grade":"asserted","producer":"crm","format":7},"record":{"id":"e1","type":"t","actor":{"id":"u"}}}`, "Content-Type", chain.NDJSON)
		// Not events: gathered records, whatever else stands in the headers; a ce- header alone.
		s.Publish("activity.ws_7._", `{"type":"t","actor":{"id":"u"}}`+"\n", inBinary("n1", "Content-Type", chain.NDJSON)...)
		s.Publish("activity.ws_7._", `{"type":"t","actor":{"id":"u"}}`, "ce-id", "1", "ce-source", "/crm")
		// Refused: formats and versions that nobody reads, attributes, data, subjects.
		s.Publish("activity.ws_7._", `[`+named+`]`, "Content-Type", "application/cloudevents-batch+json")
		s.Publish("activity.ws_7._", named, "Content-Type", "application/cloudevents+xml")
		s.Publish("activity.ws_7._", "", "ce-specversion", "0.3", "ce-id", "1", "ce-source", "/crm", "ce-type", "t")
		s.Publish("activity.ws_7._", own, inBinary("r1", "ce-id", "twice")...)
		s.Publish("activity.ws_7._", own, "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/crm")
		s.Publish("activity.ws_7._", `{"specversion":"1.0","source":"/crm","type":"t"}`, "Content-Type", mode)
		s.Publish("activity.ws_7._", `{"id":"other","actor":{"id":"u"}}`, inBinary("r2")...)
		s.Publish("activity.ws_7._", `{"a":1}`, inBinary("r3")...)
		s.Publish("activity.ws_7.app.moved", own, inBinary("r4")...)
		s.Publish("vouched.ws_7._", vouched(`{}`))
	}
	all()
	s.FoldBy(2)
	all()
	return s
}

// TestEventVectors is docs/format/vectors/cloudevents.json: what two versions of the
// fold make of the same messages.
func TestEventVectors(t *testing.T) {
	s := events()
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	v := vectorsOf(t, s, l, "ws_7")
	told := 0
	for i := range l.Entries {
		f := &l.Entries[i]
		if f.Entry.Flags&chain.FlagEvent == 0 {
			continue
		}
		told++
		leaf := chain.Leaf{Entry: f.Entry, Payload: &f.Payload, Original: f.Original}
		_, record := leaf.Shown()
		v.Entries[i].Told = string(record)
		// What was folded is what is read: of the leaf alone, without the state.
		var keys activity.Keys
		if !leaf.Scan(&keys) || !reflect.DeepEqual(keys, *f.Keys) {
			t.Errorf("entry %d is read as %+v, and was folded as %+v", i, keys, f.Keys)
		}
		event, ok := leaf.Event()
		if again, bad := activity.ParseEvent(event.Append(nil)); !ok || bad != nil || again.Get("id") != event.Get("id") {
			t.Errorf("entry %d: its event printed anew: %v", i, bad)
		}
	}
	if told != 17 {
		t.Errorf("%d entries tell an event", told)
	}
	published(t, "cloudevents.json", v)

	// Cut otherwise, the fold is the same; put together again, the messages are.
	at := newLog(t, s.Messages[0])
	if err := at.Fold(s.Messages, allAtOnce); err != nil || at.State.Last != l.State.Last {
		t.Errorf("folded all at once: %v", err)
	}
	anew := newLog(t, s.Messages[0])
	for _, leaves := range leavesOf(l) {
		m, err := chain.Rebuild(leaves)
		if err == nil {
			err = anew.Fold([]chain.Message{m}, oneByOne)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if anew.State.Last != l.State.Last {
		t.Error("messages that were put together again make another ledger")
	}
}

// TestEventsBeforeTheirVersion: before the announcement nothing is read as an event,
// and no entry says so.
func TestEventsBeforeTheirVersion(t *testing.T) {
	s := events()
	l := newLog(t, s.Messages[0])
	for i := range s.Messages {
		if err := l.Fold(s.Messages[i:i+1], oneByOne); err != nil {
			t.Fatal(err)
		}
		if l.State.Version != chain.FoldRecords {
			return
		}
		if e := &l.Entries[len(l.Entries)-1].Entry; e.Flags&chain.FlagEvent != 0 {
			t.Errorf("message %d: %s tells an event", i+1, fmt.Sprint(outcome(e)))
		}
	}
	t.Error("the announcement was not folded")
}
