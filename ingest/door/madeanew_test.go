package door_test

import (
	"strings"
	"testing"

	"annals/ingest/door"
	"annals/ledger/chain"
)

// TestStreamMadeAnew: an acknowledgement by a stream that counts from the beginning
// again is not taken for an entry that the ledger holds at the same sequence.
func TestStreamMadeAnew(t *testing.T) {
	s := new(stream)
	stale := false
	get := func(index uint64) (chain.Leaf, chain.Hash, error) {
		_, frame, _ := strings.Cut(string(s.frames[index/2-10]), " ")
		if stale {
			frame = strings.Replace(frame, `"u"`, `"v"`, 1)
		}
		return chain.Leaf{Entry: chain.Entry{Kind: chain.KindRecord, Index: index}, Payload: &chain.Payload{Body: []byte(frame)}}, chain.Hash{}, nil
	}
	d := open(t, door.Options{Publish: s.publish, Await: s.await, Get: get})
	record := `{"id":"a","type":"t","actor":{"id":"u"}}`
	if a := d.post(records+"?wait=recorded", record); a.status != 200 || a.Items[0].Status != "recorded" {
		t.Errorf("as it was published: %d %s", a.status, a.raw)
	}
	stale = true
	a := d.post(records+"?wait=recorded", "["+record+","+record+"]")
	if a.status != 503 || a.Code != "unavailable" || len(a.Items) != 2 || a.Items[0].Status != "unknown" || a.Items[0].Grade != "" || a.Items[0].ULID != "" {
		t.Errorf("another message in its place: %d %s", a.status, a.raw)
	}
	if a := d.post(records, record); a.status != 202 {
		t.Errorf("without waiting nothing is compared: %d %s", a.status, a.raw)
	}
}
