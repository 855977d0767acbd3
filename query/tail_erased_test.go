package query

import (
	"strings"
	"testing"

	"annals/ledger/chain/chaintest"
)

// kept counts the events in the print cache whose text says something.
func (p *printed) kept(text string) (n int) {
	for with := range p.slots {
		for i := range p.slots[with] {
			if e := p.slots[with][i].Load(); e != nil && strings.Contains(string(e.text), text) {
				n++
			}
		}
	}
	return n
}

// TestTailErased: what was printed for those who listened is shown to nobody once it
// is erased, to who resumes before it or asks for the last ones, and is not kept.
func TestTailErased(t *testing.T) {
	for name, more := range map[string]string{"without sentences": "", "with sentences": "&with=sentence"} {
		t.Run(name, func(t *testing.T) {
			s := serveOn(t, chaintest.NewKeyed("tail erased"), Options{})
			s.stream.Publish("activity.ws_7.app.renamed", `{"actor":{"id":"somebody else"}}`)
			s.record()
			s.index()
			tail := "/v1/workspaces/ws_7/tail"
			s.open(tail + "?user=nobody") // who stays, so that the printed events stay
			listener := s.open(tail + "?last=1" + more)
			listener.event()
			before := listener.last

			// One is printed by the hub as it comes, for a listener that has caught up.
			s.stream.Publish("activity.ws_7.app.renamed", `{"actor":{"type":"user","id":"u-erased"},"object":{"type":"app","id":"a1"}}`)
			s.record()
			s.index()
			if h := listener.event(); !strings.Contains(h.data, "u-erased") {
				t.Fatalf("the record is heard as %s", h.data)
			}
			// And again from the indexes, for one that comes later.
			if h := s.open(tail + "?last=1" + more).event(); !strings.Contains(h.data, "u-erased") {
				t.Fatalf("the record is heard as %s", h.data)
			}
			cache := &s.api.hub.printed
			if cache.kept("u-erased") == 0 {
				t.Fatal("the record's event is not kept: this test would see nothing")
			}

			out := s.selectionOf(t, "user=u-erased")
			s.erase(t, &out)
			for asked, ear := range map[string]*ear{
				"the last ones": s.open(tail + "?last=2" + more),
				"a resumption":  s.open(tail+strings.Replace(more, "&", "?", 1), lastEventID, before),
			} {
				h := ear.event()
				for !strings.Contains(h.data, `"erased":{"at":"`) {
					if strings.Contains(h.data, "u-erased") {
						t.Fatalf("%s: the erased record is served: %s", asked, h.data)
					}
					h = ear.event()
				}
			}
			if n := cache.kept("u-erased"); n > 0 {
				t.Errorf("%d events of the erased record are in memory", n)
			}
		})
	}
}

// TestPrintedBeforeErasure: an event whose entry was read before an erasure is
// neither given nor kept after it, though it was printed only then.
func TestPrintedBeforeErasure(t *testing.T) {
	p := new(printed)
	p.put(&event{index: 1, text: []byte("old")}, false)
	if p.get(1, 0, false) == nil {
		t.Error("an event is not kept")
	}
	if p.get(1, 1, false) != nil {
		t.Error("an event is given that was read before the erasure")
	}
	p.erased(1)
	p.put(&event{index: 2, text: []byte("old")}, true)
	p.put(&event{index: 3, text: []byte("new"), erasures: 1}, true)
	p.erased(0) // by who asked before the erasure and comes late
	if n := p.kept("old"); n > 0 {
		t.Errorf("%d events are kept that were read before the erasure", n)
	}
	if p.get(3, 1, true) == nil {
		t.Error("an event is let go that was read after it")
	}
}
