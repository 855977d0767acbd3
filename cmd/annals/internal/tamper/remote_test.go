package tamper_test

import (
	"testing"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// auditTiles is what annals verify --url does, of a URL or a folder.
func auditTiles(t testing.TB, where string, k knowledge) proof.Report {
	t.Helper()
	p, err := tiles.Open(where, tiles.Options{Attempts: 1, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r, err := audit.Remote(t.Context(), p, k.options())
	if (err != nil) != (r.Verdict == proof.Inconclusive) {
		t.Errorf("beside a report of %s: %v", r.Verdict, err)
	}
	return r.Report
}
