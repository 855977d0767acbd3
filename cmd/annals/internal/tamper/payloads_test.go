package tamper_test

import (
	"bytes"
	"fmt"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// payloadTamperings change what stands beside entries, which no hash of the chain
// covers but the commitment.
func payloadTamperings() []tampering {
	entriesOnly := map[medium]string{atURL: headersOnly, inExport: headersOnly, byLog: headersOnly}
	seed := func(b *book) int { return b.control(chain.ControlSeed, 120) }
	duplicate := func(b *book) int { return b.kind(chain.KindDuplicate, 120) }
	rejection := func(b *book) int { return b.kind(chain.KindRejection, 120) }
	change := func(name string, where func(*book) int, do func(p *chain.Payload), want proof.Finding) tampering {
		t := changing(name, where, func(b *book, i int) { b.payload(i, do) }, want)
		t.unseen = entriesOnly
		return t
	}
	out := []tampering{
		change("a byte of a record flipped", middle, func(p *chain.Payload) { p.Body[len(p.Body)-3] ^= 1 }, proof.AlteredPayload),
		change("white space put into a record", middle, func(p *chain.Payload) {
			p.Body = bytes.Replace(p.Body, []byte(`,`), []byte(`, `), 1)
		}, proof.AlteredPayload),
		change("a record's subject changed", middle, func(p *chain.Payload) {
			p.Envelope = bytes.Replace(p.Envelope, []byte("app.renamed"), []byte("app.removed"), 1)
		}, proof.AlteredPayload),
		change("a retained header changed", func(b *book) int {
			return b.first(0, func(e *chain.Entry) bool {
				p := b.rows[e.Index].payload
				return e.Kind == chain.KindRecord && len(p.Headers()) > 0
			})
		}, func(p *chain.Payload) { p.Envelope[len(p.Envelope)-1] ^= 1 }, proof.AlteredPayload),
		change("a salt altered", middle, func(p *chain.Payload) { p.Salt[7] ^= 1 }, proof.AlteredPayload),
		change("a rejected message altered", rejection, func(p *chain.Payload) { p.Body = []byte("}") }, proof.AlteredPayload),
		change("a seed's secret altered", seed, func(p *chain.Payload) { p.Body[len(p.Body)-1] ^= 1 }, proof.AlteredPayload),
		change("a byte put before what is kept of a duplicate", duplicate, func(p *chain.Payload) { p.Before = []byte("x") }, proof.FalseDuplicate),
		change("a duplicate's salt altered", duplicate, func(p *chain.Payload) { p.Salt[7] ^= 1 }, proof.FalseDuplicate),
	}
	swapped := changing("two payloads swapped", middle, func(b *book, i int) {
		b.rows[i].payload, b.rows[i+1].payload = b.rows[i+1].payload, b.rows[i].payload
	}, proof.AlteredPayload)
	missing := changing("a payload taken away", middle, func(b *book, i int) { b.rows[i].payload = nil }, proof.PayloadMissing)
	duplicated := changing("what is kept of a duplicate taken away", duplicate, func(b *book, i int) { b.rows[i].payload = nil }, proof.PayloadMissing)
	for _, t := range []tampering{swapped, missing, duplicated} {
		t.unseen = entriesOnly
		out = append(out, t)
	}
	back := changing("an erased payload put back", func(b *book) int {
		return b.first(0, func(e *chain.Entry) bool { return e.Kind == chain.KindRecord && b.rows[e.Index].payload == nil })
	}, func(b *book, i int) { b.rows[i].payload = b.published(i, "ws_2", "gone", `{}`) }, proof.ErasureIncomplete)
	back.unseen = entriesOnly
	out = append(out, back)
	return out
}

// published is what stood beside the entry of a record of [chaintest.Stream.Record].
func (b *book) published(i int, workspace, id, data string) *chain.Payload {
	e := b.rows[i].entry()
	p := &chain.Payload{
		Salt:     chain.Salt(chaintest.Secret(fmt.Sprint("seed ", e.Seed)), b.id, e.Epoch, e.Sequence, e.Place),
		Envelope: chain.Envelope("activity."+workspace+".app.renamed", nil),
		Body: fmt.Appendf(nil, `{"id":%q,"producer":"test","actor":{"type":"user","id":"u1","name":"Dana"},`+
			`"object":{"type":"app","id":"app_%s"},"data":%s}`, id, id, data),
	}
	if h, _ := p.Commitment(b.id, &e, nil); h != e.Commitment {
		panic("this is not what was published")
	}
	return p
}
