package proof

import (
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// eventful is a ledger of events in both modes: one of them twice, and one with another
// under its id, by its attributes alone.
func eventful(t *testing.T) *memory {
	b := &builder{Stream: chaintest.NewKeyed("events"), heads: map[chain.Hash]chain.Head{}, keys: map[chain.Hash]uint64{}}
	var err error
	if b.state, _, err = chain.OpenGenesis(&b.Messages[0]); err != nil {
		t.Fatal(err)
	}
	b.FoldBy(chain.FoldEvents)
	binary := func(id, who string) {
		b.Publish("activity.ws_1._", "", "ce-specversion", "1.0", "ce-id", id, "ce-source", "/s", "ce-type", "t", "ce-authid", who)
	}
	structured := `{"specversion":"1.0","id":"s","source":"/s","type":"t","authid":"u"}`
	binary("b", "u")
	binary("b", "u")
	binary("b", "v")
	b.Publish("activity.ws_1._", structured, "Content-Type", "application/cloudevents+json")
	b.Publish("activity.ws_1._", structured, "Content-Type", "application/cloudevents+json")
	m := b.done()
	var kinds []string
	for i := 3; i < len(m.rows); i++ {
		e := m.rows[i].entry()
		kinds = append(kinds, e.Kind.String())
		if e.Flags&chain.FlagEvent == 0 {
			t.Errorf("entry %d tells no event", i)
		}
	}
	if got := strings.Join(kinds, " "); got != "record duplicate conflict record duplicate" {
		t.Fatal(got)
	}
	return m
}

// TestAuditEvents: a ledger of events is clean, and what a forger makes of it is found.
func TestAuditEvents(t *testing.T) {
	mustBeClean(t, eventful(t), Options{})
	for name, c := range map[string]struct {
		forge func(*memory)
		want  Finding
		index uint64
	}{
		"a conflict by its attributes is called a duplicate": {func(m *memory) {
			m.edit(5, func(e *chain.Entry) {
				e.Kind, e.Code, e.Flags = chain.KindDuplicate, chain.DuplicateSame, e.Flags&^chain.FlagRetained
			})
			m.payload(5, func(p *chain.Payload) { p.Kept, p.Body = chain.KeptAround, nil })
		}, FalseDuplicate, 5},
		"a duplicate is called a conflict": {func(m *memory) {
			m.edit(4, func(e *chain.Entry) { e.Kind, e.Code, e.Flags = chain.KindConflict, 0, e.Flags|chain.FlagRetained })
			m.payload(4, func(p *chain.Payload) { p.Kept, p.Body = chain.KeptWhole, nil })
		}, FalseDuplicate, 4},
		"a rejection tells an event": {func(m *memory) {
			m.edit(3, func(e *chain.Entry) { e.Kind, e.Code, e.Grade = chain.KindRejection, 1, 0 })
		}, MalformedEntry, 3},
		"a version that was in force is announced": {func(m *memory) {
			m.edit(2, func(e *chain.Entry) { e.Tail = append([]byte{}, e.Tail...); e.Tail[len(versionEnd(e))-1] = 1 })
		}, UnauthorisedControl, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := eventful(t)
			c.forge(m)
			m.relink(int(c.index), false)
			m.seal()
			r := audit(t, m, Options{})
			found := false
			for _, f := range r.Findings {
				found = found || f.Finding == c.want && f.Index != nil && *f.Index == c.index
			}
			if !found {
				t.Errorf("%s: %+v, want %s at %d", r.Verdict, r.Findings, c.want, c.index)
			}
		})
	}
}

// versionEnd is a control entry's tail up to the end of its statement.
func versionEnd(e *chain.Entry) []byte {
	return e.Tail[:4+int(e.Tail[2])<<8+int(e.Tail[3])]
}

// TestAuditEventsUnannounced: no fold makes an entry that tells an event before version
// 2 was announced.
func TestAuditEventsUnannounced(t *testing.T) {
	b := newBuilder("unannounced")
	b.Record("ws_1", "a", `{}`)
	m := b.done()
	mustBeClean(t, m.clone(), Options{})
	m.edit(2, func(e *chain.Entry) { e.Flags |= chain.FlagEvent })
	m.relink(2, false)
	m.seal()
	if r := audit(t, m, Options{}); r.Verdict != MalformedEntry || *r.FirstBad != 2 {
		t.Errorf("%s: %+v", r.Verdict, r.Findings)
	}
}
