package ingest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
)

// FuzzParseClaim: what is read as a claim is written down and read as the same, and
// its name is a file's name and a key's.
func FuzzParseClaim(f *testing.F) {
	f.Add([]byte(`{"stream":"ANNALS","sequence":7,"place":1,"workspace":"ws_7","id":"x","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","at":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"sequence":18446744073709551615,"workspace":"_system","sha256":"00"}`))
	f.Add([]byte(`{"sequence":1,"sequence":2}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseClaim(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := parseClaim(again); err != nil || d != c {
			t.Fatalf("%+v was written as %s and read as %+v, %v", c, again, d, err)
		}
		name := c.name()
		if filepath.Base(name) != name || len(name) > 64 {
			t.Fatalf("%q is no file's name", name)
		}
		digest, _ := hex.DecodeString(c.SHA256)
		if len(digest) != 32 || c.Of(b) && len(b) == 0 {
			t.Fatalf("%+v", c)
		}
	})
}

// TestClaimsAreOfOne: claims and receipts are read by their owner alone.
func TestClaimsAreOfOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	k, err := openKept(&ReceiptOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := Claim{Stream: "S", Sequence: 1, Workspace: "w", SHA256: hex.EncodeToString(make([]byte, 32))}
	if n, err := k.putClaims(t.Context(), []Claim{c}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := k.putReceipt(t.Context(), &c, []byte("receipt")); err != nil {
		t.Fatal(err)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
}
