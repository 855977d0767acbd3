package ledger_test

import (
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
)

// TestReading goes on with a ledger that was opened to read: duplicates are found among
// what it held before, and it ends as one does that was opened to record.
func TestReading(t *testing.T) {
	grown := func(reading bool) map[string]string {
		s := chaintest.New("read")
		s.Publish("activity.ws_7.app.renamed", `{"id":"1","producer":"p","type":"app.renamed"}`)
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs})
		appendAll(t, l, s, anyOrder(1))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open("ledger", ledger.Options{FS: fs, Reading: reading})
		if err != nil {
			t.Fatal(err)
		}
		s.Publish("activity.ws_7.app.renamed", `{"id":"1","producer":"p","type":"app.renamed"}`)
		s.Publish("activity.ws_7.app.renamed", `{"id":"2","producer":"p","type":"app.renamed"}`)
		appendAll(t, l, s, anyOrder(2))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return keyspace(t, fs, "ledger")
	}
	recorded, read := grown(false), grown(true)
	if !maps.Equal(recorded, read) {
		t.Errorf("%d rows, and %d of a ledger that was opened to read, or not the same", len(recorded), len(read))
	}
}
