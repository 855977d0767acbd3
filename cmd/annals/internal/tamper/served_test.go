package tamper_test

import (
	"net/http/httptest"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"
	"annals/query"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// serve serves the tampered ledger over HTTP. Where the tampering is of a ledger's
// folder, that is the server itself, which reads from that folder and was restarted
// after it; where it is of what is served, or where the server doesn't start on such a
// folder or signs nothing for it, it is a liar's: files.
func (d *done) serve(t testing.TB) (url string, ours bool) {
	t.Helper()
	served := d.tiles != nil || d.older != nil || d.note != nil || d.packed != nil || d.made != nil
	if !served && d.served <= uint64(len(d.book.rows)) && d.leavesStand() {
		if url := d.serveFolder(t); url != "" {
			return url, true
		}
	}
	return d.log().serve(t), false
}

// leavesStand reports whether the leaves' hashes are the entries': the server computes
// those that it shows.
func (d *done) leavesStand() bool {
	for i := range d.book.rows {
		if i >= len(d.book.nodes[0]) || d.book.nodes[0][i] != chain.LeafHash(d.book.rows[i].raw) {
			return false
		}
	}
	return true
}

// serveFolder serves the tampered ledger's folder; "" where the server refuses it.
func (d *done) serveFolder(t testing.TB) string {
	t.Helper()
	l, err := ledger.Open("ledger", ledger.Options{FS: folder(t, d.book, d.store), CacheSize: 1 << 20})
	if err != nil {
		return ""
	}
	p, err := projections.OpenLive("projections", l.ID(), projections.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	api := query.New(query.Options{
		Ledger: l, Projections: p,
		Checkpoint: func() (uint64, []byte) { return d.served, d.checkpoint },
		Retired:    d.packOf(-1).retired,
	})
	s := httptest.NewServer(api)
	t.Cleanup(func() {
		s.Close()
		_, _ = p.Close(), l.Close() // what is damaged closes as it may
	})
	return s.URL
}
