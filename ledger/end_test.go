package ledger_test

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
)

// TestOpenRefusesADamagedEnd changes what recording would go on from: it is refused,
// for what is recorded next would confirm it.
func TestOpenRefusesADamagedEnd(t *testing.T) {
	const last = 28 // the golden ledger's
	for name, change := range map[string]func(s store){
		"nothing":                   nil,
		"the last entry":            func(s store) { s.flip(rowKey(last), nodesSize(last)+190) },
		"an entry a little before":  func(s store) { s.flip(rowKey(last-5), nodesSize(last-5)+190) },
		"a node of the tree":        func(s store) { s.flip(rowKey(last-1), 3) },
		"the last entry taken away": func(s store) { s.remove(rowKey(last)) },
		"an entry behind the end":   func(s store) { s.set(rowKey(last+1), append(make([]byte, nodesSize(last+1)), s.entry(last)...)) },
		"the stored root":           func(s store) { s.flip([]byte("state"), 3) },
		"the stored last leaf":      func(s store) { s.flip([]byte("state"), 45) },
	} {
		t.Run(name, func(t *testing.T) {
			s := chaintest.Golden()
			fs := vfs.NewMem()
			o := ledger.Options{FS: fs, CacheSize: 1 << 20}
			l := create(t, s, o)
			appendAll(t, l, s, anyOrder(1))
			if size := l.Head().Size; size != last+1 {
				t.Fatalf("the golden ledger has %d entries", size)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if change != nil {
				db, err := pebble.Open("ledger", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatValueSeparation})
				if err != nil {
					t.Fatal(err)
				}
				change(store{t, db})
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			again, err := ledger.Open("ledger", o)
			var damage *ledger.DamageError
			if refused := errors.As(err, &damage); refused != (change != nil) {
				t.Errorf("%v", err)
			}
			if err == nil {
				_ = again.Close()
			}
		})
	}
}
