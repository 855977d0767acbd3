package query

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"annals/ledger/proof"
)

// cosigning stands in for what collects cosignatures: it has one when it is told to.
type cosigning struct {
	mu   sync.Mutex
	size uint64
	note []byte
	news chan struct{} // closed at the next
}

const cosignature = "— w.example/w AAAAAAA=\n"

// cosign takes a checkpoint as witnessed.
func (c *cosigning) cosign(size uint64, note []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size, c.note = size, proof.WithCosignatures(note, cosignature)
	close(c.news)
	c.news = make(chan struct{})
}

func (c *cosigning) last() (uint64, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size, c.note
}

func (c *cosigning) await(ctx context.Context, size uint64) ([]byte, error) {
	for {
		c.mu.Lock()
		have, note, news := c.size, c.note, c.news
		c.mu.Unlock()
		if have >= size {
			return note, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *cosigning) dress(size uint64, note []byte) []byte {
	if have, cosigned := c.last(); have == size {
		return cosigned
	}
	return note
}

// TestWitnessedReceipt: a receipt says how well it is founded, waits for witnesses
// when it is asked to, and not for ever; its tag changes once they cosigned.
func TestWitnessedReceipt(t *testing.T) {
	signs, witnesses := newSigning(t), &cosigning{news: make(chan struct{})}
	o := signs.options()
	o.Witnesses = Witnesses{Last: witnesses.last, Await: witnesses.await, Dress: witnesses.dress, Timeout: 50 * time.Millisecond}
	s := serve(t, o)
	s.fill("ws", 3)
	s.settle()
	signs.publish(s.api.o.Ledger)
	path := "/v1/workspaces/ws/records/" + s.page("/v1/workspaces/ws/timeline").Records[0].ULID + "/proof"
	get := func(query, grade string, cosigned bool, header ...string) answered {
		t.Helper()
		a := s.do("GET", path+query, header...)
		if a.status != 200 || a.header.Get(HeaderGrade) != grade || bytes.Contains(a.body, []byte(cosignature)) != cosigned {
			t.Errorf("%s: %d, grade %q, want %q\n%s", query, a.status, a.header.Get(HeaderGrade), grade, a.body)
		}
		return a
	}
	if a := s.do("GET", "/witnessed"); a.status != 404 || !bytes.Contains(a.body, []byte("not_witnessed")) {
		t.Errorf("nothing is witnessed: %d %s", a.status, a.body)
	}
	first := get("", "recorded", false)
	get("?wait=witnessed", "recorded", false) // in vain
	if a := s.do("GET", path+"?wait=recorded"); a.status != 400 {
		t.Errorf("another wait: %d", a.status)
	}

	// It waits until they have, and a receipt that was at hand is worth less then.
	s.api.o.Witnesses.Timeout = time.Minute
	waiting := make(chan answered, 1)
	go func() { waiting <- s.do("GET", path+"?wait=witnessed", "If-None-Match", first.header.Get("ETag")) }()
	size, note := signs.latest()
	witnesses.cosign(size, note)
	if a := <-waiting; a.status != 200 || a.header.Get(HeaderGrade) != "witnessed" || !bytes.Contains(a.body, []byte(cosignature)) {
		t.Errorf("%d %q\n%s", a.status, a.header.Get(HeaderGrade), a.body)
	}
	second := get("", "witnessed", true, "If-None-Match", first.header.Get("ETag"))
	for _, path := range []string{"/witnessed", "/checkpoint"} {
		if a := s.do("GET", path); a.status != 200 || !bytes.Contains(a.body, []byte(cosignature)) {
			t.Errorf("%s: %d\n%s", path, a.status, a.body)
		}
	}

	// A later checkpoint that nobody cosigned makes nothing of it worse.
	s.publish("ws", `{"id":"late","type":"t","actor":{"id":"u"}}`)
	s.settle()
	signs.publish(s.api.o.Ledger)
	if a := s.do("GET", path, "If-None-Match", second.header.Get("ETag")); a.status != 304 {
		t.Errorf("a receipt that is witnessed: %d", a.status)
	}
	get("", "witnessed", true)
	late := "/v1/workspaces/ws/records/" + s.page("/v1/workspaces/ws/timeline").Records[0].ULID + "/proof"
	if a := s.do("GET", late); a.header.Get(HeaderGrade) != "recorded" {
		t.Errorf("an entry behind what is witnessed: %q", a.header.Get(HeaderGrade))
	}
	if a := s.do("GET", "/checkpoint"); bytes.Contains(a.body, []byte(cosignature)) {
		t.Errorf("a checkpoint with another's cosignature\n%s", a.body)
	}
	if a := s.do("GET", "/v1/ledger"); bytes.Contains(a.body, []byte(`"witnessed"`)) {
		t.Errorf("without a status: %s", a.body)
	}
	_, grade, err := s.api.Receipts(t.Context(), []uint64{1, 2}, false, proof.Recorded)
	if err != nil || grade != proof.Witnessed {
		t.Error(fmt.Sprint(grade, err))
	}
}
