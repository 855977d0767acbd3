package door_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ingest/door"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestThroughTheStream posts to a door before a real server, with a real ledger
// behind it: what was answered is what the ledger holds.
func TestThroughTheStream(t *testing.T) {
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := b.Connect(ingest.ConnOptions("door", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
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
	ctx, cancel := context.WithCancel(t.Context())
	pumped := make(chan error, 1)
	go func() {
		for {
			msgs, err := r.Next(ctx)
			if err != nil {
				pumped <- err
				return
			}
			if err := l.Append(ctx, msgs); err != nil {
				pumped <- err
				return
			}
		}
	}()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{Root: ingest.RootVouched})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, door.Options{Publish: door.Through(p), Await: l.Await, Get: l.Get})

	var lines strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, `{"id":"e%d","type":"t","actor":{"id":"u"}}`+"\n", i)
	}
	lines.WriteString(`{"id":"e0","type":"t","actor":{"id":"u"}}` + "\n") // again
	lines.WriteString(`{"id":"e1","type":"t","actor":{"id":"v"}}` + "\n") // another
	lines.WriteString("nonsense\n")
	a := d.post(records+"?wait=recorded", lines.String(), "Content-Type", "application/x-ndjson")
	if a.status != 200 || len(a.Items) != 303 {
		t.Fatalf("%d %.500s", a.status, a.raw)
	}
	for i, item := range a.Items[:300] {
		leaf, hash, err := l.Get(*item.Index)
		if err != nil {
			t.Fatal(err)
		}
		way, record := leaf.Record()
		if item.Status != "recorded" || leaf.Entry.ULID.String() != item.ULID || hash.String() != item.EntryHash || leaf.Entry.Grade != chain.GradeAsserted ||
			string(record) != fmt.Sprintf(`{"id":"e%d","type":"t","actor":{"id":"u"}}`, i) || !strings.Contains(string(way), `"request_id":"req-1"`) {
			t.Fatalf("item %d %+v: the ledger has %s %s %s", i, item, leaf.Entry.ULID, way, record)
		}
	}
	if again, other := a.Items[300], a.Items[301]; again.Status != "duplicate" || again.Ref.Index != *a.Items[0].Index || other.Status != "conflict" || other.Ref.Index != *a.Items[1].Index {
		t.Errorf("again %+v, another %+v", again, other)
	}
	if again, other := a.Items[300], a.Items[301]; again.Ref.ULID != a.Items[0].ULID || other.Ref.ULID != a.Items[1].ULID {
		t.Errorf("the others are named %q and %q, want %q and %q", again.Ref.ULID, other.Ref.ULID, a.Items[0].ULID, a.Items[1].ULID)
	}
	foreign := fmt.Sprintf(`{"type":"t","amends":%q,"actor":{"id":"u"}}`, a.Items[0].ULID)
	if away := d.post("/v1/workspaces/ws_other/records?wait=recorded", foreign); away.Items[0].Ref != nil && away.Items[0].Ref.ULID != "" {
		t.Errorf("another workspace's entry is named: %s", away.raw)
	}
	pretty := "{\n  \"type\": \"t\",\n  \"actor\": {\"id\": \"u\"}\n}"
	a = d.post(records+"?wait=recorded", "["+pretty+"]")
	leaf, _, err := l.Get(*a.Items[0].Index)
	if err != nil {
		t.Fatal(err)
	}
	if _, record := leaf.Record(); string(record) != pretty || leaf.Entry.Count != 1 {
		t.Errorf("recorded %q, one of %d", record, leaf.Entry.Count)
	}

	closing, done := context.WithTimeout(t.Context(), 5*time.Second)
	defer done()
	if err := p.Close(closing); err != nil {
		t.Error(err)
	}
	if a := d.post(records, good); a.status != 503 || a.Code != "unavailable" {
		t.Errorf("a closed publisher: %d %s", a.status, a.raw)
	}
	cancel()
	if err := <-pumped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
