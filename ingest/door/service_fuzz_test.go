package door

import (
	"crypto/sha256"
	"testing"

	"annals/activity"
)

// FuzzReceiptRequest: a request that is taken names one workspace, one entry, and a
// whole digest or none.
func FuzzReceiptRequest(f *testing.F) {
	f.Add("", []byte(`{"workspace":"ws_7","ulid":"01KA2B3C4D0000000000000005"}`))
	f.Add("ws_7", []byte(`{"sequence":7,"place":1,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","payload":true}`))
	f.Add("ws_8", []byte(`{"workspace":"ws_7","sequence":0}`))
	f.Add("_system", []byte(`{"sequence":1,"sequence":2}`))
	f.Fuzz(func(t *testing.T, named string, b []byte) {
		q, digest, err := parseReceiptRequest(named, b)
		if err != nil {
			return
		}
		if !activity.ValidWorkspace(q.Workspace) || named != "" && q.Workspace != named {
			t.Fatalf("workspace %q of %q: %s", q.Workspace, named, b)
		}
		if (q.ULID == "") == (q.Sequence == nil) {
			t.Fatalf("no entry, or two: %s", b)
		}
		if len(digest) != 0 && len(digest) != sha256.Size {
			t.Fatalf("half a digest: %s", b)
		}
	})
}
