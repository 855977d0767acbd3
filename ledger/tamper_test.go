package ledger_test

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// store is a closed ledger's Pebble, as whoever has the folder can open it.
type store struct {
	t  *testing.T
	db *pebble.DB
}

// rowKey and payloadKey are where an entry's row and its payload stand.
func rowKey(index uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'e'}, index), 0)
}

func payloadKey(index uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'e'}, index), 1)
}

// nodesSize is how many bytes of nodes stand before an entry's bytes in its row.
func nodesSize(index uint64) int { return bits.TrailingZeros64(index+1) * len(chain.Hash{}) }

func (s store) get(key []byte) []byte {
	s.t.Helper()
	b, closer, err := s.db.Get(key)
	if err != nil {
		s.t.Fatalf("key %q: %v", key, err)
	}
	defer closer.Close()
	return bytes.Clone(b)
}

func (s store) set(key, value []byte) {
	s.t.Helper()
	if err := s.db.Set(key, value, pebble.Sync); err != nil {
		s.t.Fatal(err)
	}
}

func (s store) remove(key []byte) {
	s.t.Helper()
	if err := s.db.Delete(key, pebble.Sync); err != nil {
		s.t.Fatal(err)
	}
}

// entry and setEntry read and write an entry's bytes, and leave its nodes alone.
func (s store) entry(index uint64) []byte { return s.get(rowKey(index))[nodesSize(index):] }

func (s store) setEntry(index uint64, raw []byte) {
	s.set(rowKey(index), append(s.get(rowKey(index))[:nodesSize(index)], raw...))
}

// flip changes one byte of a value.
func (s store) flip(key []byte, at int) {
	b := s.get(key)
	b[at] ^= 0x02 // bit 0 would make a record's kind 0, which is unsupported, not altered
	s.set(key, b)
}

// TestTamperedFolder changes a ledger's folder as somebody with the right to
// write in it would, and audits it: each change is found, named, and has its
// first bad index. (ledger/proof has the long table, in memory.)
func TestTamperedFolder(t *testing.T) {
	const at = 7 // an entry in the middle: the first line of an NDJSON message
	type tampering struct {
		name    string
		change  func(s store)
		finding proof.Finding
		index   uint64
	}
	table := []tampering{
		{"swap two entries", func(s store) {
			a, b := s.entry(at), s.entry(at+2)
			s.setEntry(at, b)
			s.setEntry(at+2, a)
		}, proof.Reordered, at},
		{"drop one from the middle", func(s store) { s.remove(rowKey(at)) }, proof.MissingEntry, at},
		{"replace a payload", func(s store) { s.set(payloadKey(at), s.get(payloadKey(at+2))) }, proof.AlteredPayload, at},
		{"drop a payload", func(s store) { s.remove(payloadKey(at)) }, proof.PayloadMissing, at},
		{"change a record's byte", func(s store) { s.flip(payloadKey(at), len(s.get(payloadKey(at)))-3) }, proof.AlteredPayload, at},
		{"change the subject", func(s store) {
			b := s.get(payloadKey(at))
			s.set(payloadKey(at), bytes.Replace(b, []byte("activity.ws_7."), []byte("activity.ws_8."), 1))
		}, proof.AlteredPayload, at},
		{"change a salt", func(s store) { s.flip(payloadKey(at), 1) }, proof.AlteredPayload, at},
		{"change a node of the tree", func(s store) { s.flip(rowKey(at), 40) }, proof.TreeDamaged, 4},
		{"cut a row within its nodes", func(s store) { s.set(rowKey(at), s.get(rowKey(at))[:50]) }, proof.AlteredEntry, at},
		{"cut a row within its entry", func(s store) { s.set(rowKey(at), s.get(rowKey(at))[:nodesSize(at)+50]) }, proof.AlteredEntry, at},
		{"bytes behind an entry", func(s store) { s.set(rowKey(at), append(s.get(rowKey(at)), 0)) }, proof.TrailingBytes, at},
		{"an entry behind the end", func(s store) { s.set(rowKey(29), append(make([]byte, nodesSize(29)), s.entry(28)...)) }, proof.TrailingBytes, 29},
		{"another root", func(s store) { s.flip([]byte("state"), 0) }, proof.RootMismatch, 29},
	}
	// Each field of the header, by its offset (docs/format/entry.md).
	for name, offset := range map[string]int{
		"kind": 4, "grade": 5, "flags": 7, "code": 9, "place": 11, "count": 13, "index": 23, "sequence": 31,
		"ULID": 47, "timestamp": 55, "epoch": 59, "seed": 63, "ref": 71, "position": 79,
		"previous": 80, "workspace": 112, "previous in workspace": 144, "commitment": 176,
	} {
		table = append(table, tampering{"flip " + name, func(s store) { s.flip(rowKey(at), nodesSize(at)+offset) }, proof.AlteredEntry, at})
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			report := auditTampered(t, c.change)
			if report.Verdict != c.finding || c.finding != proof.RootMismatch && (report.FirstBad == nil || *report.FirstBad != c.index) {
				t.Fatalf("got %s at %v, want %s at %d: %s", report.Verdict, value(report.FirstBad), c.finding, c.index, report.Sentence)
			}
		})
	}
	if report := auditTampered(t, func(store) {}); report.Verdict != proof.Clean {
		t.Fatalf("untouched: %s", report.Sentence)
	}
}

func value(index *uint64) any {
	if index == nil {
		return "no index"
	}
	return *index
}

// TestCutTail replaces a folder by the shorter ledger that it once was. Alone it
// is clean, as any verifier must find it; against a remembered head it isn't.
func TestCutTail(t *testing.T) {
	whole := chaintest.Golden()
	l := create(t, whole, ledger.Options{})
	appendAll(t, l, whole, anyOrder(1))
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remembered := &proof.Head{Size: head.Size, Root: head.Root, LastLeaf: head.Last}

	shorter := chaintest.Golden()
	shorter.Messages = shorter.Messages[:len(shorter.Messages)-3]
	fs := vfs.NewMem()
	l = create(t, shorter, ledger.Options{FS: fs})
	appendAll(t, l, shorter, anyOrder(1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for want, options := range map[proof.Finding]proof.Options{proof.Clean: {}, proof.Truncated: {Remembered: remembered}} {
		source, err := ledger.OpenForAudit("ledger", ledger.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		report, err := proof.Audit(t.Context(), source, options)
		if err != nil || report.Verdict != want {
			t.Errorf("got %s (%v), want %s", report.Verdict, err, want)
		}
		if err := source.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// auditTampered makes the golden ledger, lets change loose on its store, and
// audits what is left.
func auditTampered(t *testing.T, change func(store)) proof.Report {
	t.Helper()
	s := chaintest.Golden()
	fs := vfs.NewMem()
	o := ledger.Options{FS: fs, CacheSize: 1 << 20}
	l := create(t, s, o)
	appendAll(t, l, s, anyOrder(1))
	tag := map[string]chain.Hash{}
	for _, w := range []string{"ws_7", "ws_8", "ws_9"} {
		tag[w] = l.Tag(w)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("ledger", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	change(store{t, db})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	source, err := ledger.OpenForAudit("ledger", o)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	report, err := proof.Audit(t.Context(), source, proof.Options{Tag: func(w string) chain.Hash { return tag[w] }})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
