package tamper_test

import (
	"fmt"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// base is the ledger that the matrix tampers with: every kind of entry, several
// workspaces, marks, a trim, and more entries than one tile holds.
func base(t testing.TB) *book {
	h := newHouse(t, "base", "annals.example/base")
	golden := chaintest.Golden()
	for _, m := range golden.Messages[2:] {
		if strings.HasPrefix(m.Subject, "annals.control.seed") && len(m.Body) > 20 {
			h.stream.Seed()
			continue
		}
		var header []string
		for name, values := range m.Header {
			for _, v := range values {
				header = append(header, name, v)
			}
		}
		h.stream.Publish(m.Subject, string(m.Body), header...)
	}
	h.mark(nil)
	h.fold()
	head := h.ledger.Head()
	h.stream.Trim(head.Size, head.Root, 20, map[string]uint64{"a": head.State.Sequence, "b": head.State.Sequence})
	h.stream.Record("ws_2", "stays", `{}`)
	h.stream.Record("ws_2", "gone", `{}`)
	h.stream.Record("ws_2", "gone too", `{}`)
	gone := h.erase("ws_2")
	h.gap(3, func() { h.stream.Record("ws_7", "behind the gap", `{}`) })
	h.rotate(chain.Rotation)
	h.nameErasers()
	h.eraseRange("ws_2", gone, erasers()...) // once more, by others
	h.epoch()
	h.replaceOperator()
	for i := range 240 {
		h.stream.Record(fmt.Sprintf("ws_%d", i%3), fmt.Sprintf("s%d", i), fmt.Sprintf(`{"n":%d}`, i))
		if i == 100 { // once more what the golden stream has, where tampering begins
			h.stream.Record("ws_0", "s3", `{"n":3}`)
			h.stream.Record("ws_0", "s6", `{"n":-6}`)
			h.stream.Publish("activity.ws_2._", strings.Repeat(`{"type":"a","actor":{"id":"u"}}`+"\n", 4), "Content-Type", chain.NDJSON)
			h.stream.Publish("activity.ws_2.a", "{")
			h.stream.Seed()
		}
		if i%97 == 50 {
			h.mark(func() { h.stream.Record("ws_1", fmt.Sprint("between", i), `{}`) })
		}
	}
	h.stream.Publish("activity.ws_1.app.renamed", strings.Repeat("x", chain.MaxBody+1)) // a rejection, not kept
	for i := range 20 {
		h.stream.Record("ws_2", fmt.Sprintf("e%d", i), `{}`)
	}
	h.stream.Seed()
	for i := range 5 {
		h.stream.Record("ws_7", fmt.Sprintf("f%d", i), `{}`)
	}
	h.mark(nil)
	h.stream.Record("ws_7", "last", `{}`)
	h.stream.Record("ws_8", "last", `{}`)
	h.stream.Record("ws_8", "the very last", `{}`)
	b := h.book()
	o := newHouse(t, "other", "annals.example/base")
	o.rotate(chain.Rotation)
	for i := range len(b.rows) - 2 {
		o.stream.Record("ws_7", fmt.Sprint(i), `{}`)
	}
	b.other = o.book()
	return b
}

func TestBaseIsClean(t *testing.T) {
	b := base(t)
	d := (&tampering{insider: true, knows: remembering}).tamper(b)
	if r := d.auditFolder(t); r.Verdict != proof.Clean {
		t.Fatal(r.Sentence)
	}
	for _, kind := range []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindConflict, chain.KindRejection, chain.KindControl} {
		b.kind(kind, 0)
	}
	t.Log(len(b.rows), "entries")
}
