package proof

import (
	"testing"

	"annals/ledger/chain"
)

func TestPayloads(t *testing.T) {
	m := sample()
	at := map[chain.Kind]int{}
	for _, kind := range chain.Kinds() {
		at[kind] = m.first(kind, 2)
	}
	type change func(p *chain.Payload)
	changes := map[string]change{
		"salt":    func(p *chain.Payload) { p.Salt[3] ^= 1 },
		"subject": func(p *chain.Payload) { p.Envelope[10] ^= 1 },
		"header":  func(p *chain.Payload) { p.Envelope = append(p.Envelope, 0) },
		"nothing": func(p *chain.Payload) { *p = chain.Payload{} },
	}
	for kind, i := range at {
		if kind == chain.KindGap {
			continue
		}
		for name, change := range changes {
			bad := m.clone()
			bad.payload(i, change)
			want := AlteredPayload
			if kind == chain.KindDuplicate && name != "nothing" {
				want = FalseDuplicate // nothing tells a changed salt from another record
			}
			r := audit(t, bad, Options{})
			verdictAt(t, r, want, i)
			if r.Total != 1 || t.Failed() {
				t.Fatalf("%s of %s entry %d: %v", name, kind, i, details(r))
			}
		}
		gone := m.clone()
		gone.rows[i].payload = nil
		verdictAt(t, audit(t, gone, Options{}), PayloadMissing, i)
		mustBeClean(t, gone, Options{EntriesOnly: true})
		empty := m.clone()
		empty.payload(i, func(p *chain.Payload) { p.Kept, p.Body = chain.KeptNone, nil })
		verdictAt(t, audit(t, empty, Options{}), PayloadMissing, i)
	}
	for i := 2; i < len(m.rows); i++ {
		if e := m.rows[i].entry(); e.Flags&chain.FlagRetained == 0 {
			continue
		}
		bad := m.clone()
		bad.payload(i, func(p *chain.Payload) { p.Body = append(p.Body, ' ') })
		verdictAt(t, audit(t, bad, Options{}), AlteredPayload, i)
		for _, k := range []int{i + 1, len(m.rows) - 1} {
			if k >= len(m.rows) || k == i || m.rows[k].entry().Flags&chain.FlagRetained == 0 {
				continue
			}
			swapped := m.clone()
			swapped.rows[i].payload, swapped.rows[k].payload = m.rows[k].payload, m.rows[i].payload
			verdictAt(t, audit(t, swapped, Options{}), AlteredPayload, i)
		}
	}
}

// TestFalseDuplicates forges entries that say of another that it came first.
func TestFalseDuplicates(t *testing.T) {
	b := newBuilder("duplicates")
	b.Record("w", "1", `{}`)                                                                                            // 2
	b.Record("w", "2", `{}`)                                                                                            // 3
	b.Record("other", "1", `{}`)                                                                                        // 4
	b.Record("w", "1", `{}`)                                                                                            // 5: duplicate of 2
	b.Record("w", "1", `{"n":1}`)                                                                                       // 6: conflict with 2
	b.Publish("vouched.w.t", `{"door":{"grade":"verified","producer":"p"},"record":{"id":"1","actor":{"id":"u"}}}`)     // 7
	b.Publish("vouched.w.t", `{"door":{"grade":"verified","producer":"p"}, "record" : {"id":"1","actor":{"id":"u"}} }`) // 8
	m := b.done()
	for i, kind := range map[int]chain.Kind{5: chain.KindDuplicate, 6: chain.KindConflict, 8: chain.KindDuplicate} {
		if got := m.rows[i].entry().Kind; got != kind {
			t.Fatalf("entry %d is a %s, want %s", i, got, kind)
		}
	}
	mustBeClean(t, m, Options{})
	commit := func(bad *memory, i int, original []byte) {
		bad.edit(i, func(e *chain.Entry) { e.Commitment, _ = bad.rows[i].payload.Commitment(bad.id(), e, original) })
		bad.relink(i, false)
		bad.seal()
	}
	other := m.clone()
	other.payload(5, func(p *chain.Payload) { p.Before, p.After = nil, nil })
	commit(other, 5, []byte(`{"id":"1","actor":{"id":"mallory"}}`))

	edges := m.clone() // its body was more than the original's
	edges.payload(5, func(p *chain.Payload) { p.Before = []byte(`[`) })
	original := chain.Leaf{Entry: m.rows[2].entry(), Payload: m.rows[2].payload}
	_, record := original.Record()
	commit(edges, 5, record)

	same := m.clone() // a conflict with the original's bytes
	same.payload(6, func(p *chain.Payload) { p.Body = record })
	commit(same, 6, nil)

	cases := []struct {
		name string
		bad  *memory
		at   int
	}{
		{"another record", m.forge(5, func(e *chain.Entry) { e.Ref = 3 }), 5},
		{"another workspace's", m.forge(5, func(e *chain.Entry) { e.Ref = 4 }), 5},
		{"a control entry", m.forge(5, func(e *chain.Entry) { e.Ref = 1 }), 5},
		{"a duplicate", m.forge(6, func(e *chain.Entry) { e.Ref = 5 }), 6},
		{"another body", other, 5},
		{"more than the record", edges, 5},
		{"a conflict that is none", same, 6},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { verdictAt(t, audit(t, c.bad, Options{}), FalseDuplicate, c.at) })
	}

	// A duplicate whose original was altered is not at fault itself.
	bad := m.clone()
	bad.payload(2, func(p *chain.Payload) { p.Body[5] ^= 1 })
	r := audit(t, bad, Options{})
	verdictAt(t, r, AlteredPayload, 2)
	if r.Total != 1 || r.Unchecked != 2 {
		t.Errorf("%d unchecked: %v", r.Unchecked, details(r))
	}
	gone := m.clone()
	gone.rows[2].payload = nil
	if r := audit(t, gone, Options{}); r.Verdict != PayloadMissing || r.Total != 1 || r.Unchecked != 1 {
		t.Errorf("original gone: %d unchecked: %v", r.Unchecked, details(r))
	}
}
