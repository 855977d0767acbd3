package bench

import (
	"path/filepath"
	"testing"
)

// TestAuditClosed audits a running service's ledger, and the closed folder: both are of
// all entries, and the service goes on behind them.
func TestAuditClosed(t *testing.T) {
	r, err := Start(t.Context(), RigOptions{Dir: filepath.Join(t.TempDir(), "rig"), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
	}()
	for seed := range uint64(2) {
		if _, err := r.Publish(t.Context(), Lines, seed+1, 100, func(int, int) {}); err != nil {
			t.Fatal(err)
		}
		running, _, err := r.Audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closed, _, err := r.AuditClosed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := 100 * int(seed+1); running < want || closed < running {
			t.Errorf("audits of %d entries and %d, where %d records were published", running, closed, want)
		}
	}
}
