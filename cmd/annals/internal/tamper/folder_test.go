package tamper_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/cmd/annals/internal/audit"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// store is a closed ledger's Pebble, as whoever has the folder can open it.
type store struct {
	t  testing.TB
	db *pebble.DB
}

func rowKey(index uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'e'}, index), 0)
}

func payloadKey(index uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'e'}, index), 1)
}

func (s store) get(key []byte) []byte {
	b, closer, err := s.db.Get(key)
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		s.t.Fatalf("key %q: %v", key, err)
	}
	defer closer.Close()
	return bytes.Clone(b)
}

func (s store) set(key, value []byte) {
	if err := s.db.Set(key, value, pebble.NoSync); err != nil {
		s.t.Fatal(err)
	}
}

func (s store) remove(key []byte) {
	if err := s.db.Delete(key, pebble.NoSync); err != nil {
		s.t.Fatal(err)
	}
}

// write makes the store hold the book and nothing else of the kind.
func (s store) write(b *book) {
	state := s.get([]byte("state"))
	was := binary.BigEndian.Uint64(state[33:])
	for i := range b.rows {
		index := uint64(i)
		var row []byte
		for level := 1; level <= bits.TrailingZeros64(index+1); level++ {
			n := int((index+1)>>level) - 1
			if n >= len(b.nodes[level]) {
				break
			}
			row = append(row, b.nodes[level][n][:]...)
		}
		if row = append(row, b.rows[i].raw...); !bytes.Equal(row, s.get(rowKey(index))) {
			s.set(rowKey(index), row)
		}
		var payload []byte
		if p := b.rows[i].payload; p != nil {
			payload = p.Append(nil)
		}
		switch stands := s.get(payloadKey(index)); {
		case payload == nil && stands != nil:
			s.remove(payloadKey(index))
		case payload != nil && !bytes.Equal(payload, stands):
			s.set(payloadKey(index), payload)
		}
	}
	for index := uint64(len(b.rows)); index < was; index++ {
		s.remove(rowKey(index))
		s.remove(payloadKey(index))
	}
	s.heads(b)
	// The root, a version, the size, the last leaf: what an audit reads of it.
	copy(state, b.head.Root[:])
	binary.BigEndian.PutUint64(state[33:], b.head.Size)
	copy(state[41:], b.head.LastLeaf[:])
	s.set([]byte("state"), state)
}

// heads writes the table of the workspaces' heads anew.
func (s store) heads(b *book) {
	if err := s.db.DeleteRange([]byte{'w'}, []byte{'w' + 1}, pebble.NoSync); err != nil {
		s.t.Fatal(err)
	}
	for i := range b.rows {
		if len(b.rows[i].raw) < chain.HeaderSize {
			continue
		}
		position := binary.BigEndian.Uint64(b.rows[i].raw[72:])
		value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, position+1), uint64(i))
		leaf := chain.LeafHash(b.rows[i].raw)
		s.set(append([]byte{'w'}, b.rows[i].raw[112:144]...), append(value, leaf[:]...))
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic("pebble gave up")
}

// copyFolder copies a folder of one file system in memory to another.
func copyFolder(t testing.TB, from *vfs.MemFS, dir string) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if err := to.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := from.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := to.PathJoin(dir, name)
		r, err := from.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := to.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	return to
}

// folder lays a book out as a ledger's folder. more, when set, changes the store
// after that.
func folder(t testing.TB, b *book, more func(s store)) *vfs.MemFS {
	t.Helper()
	fs := copyFolder(t, b.fs, "ledger")
	db, err := pebble.Open("ledger", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	s := store{t, db}
	s.write(b)
	if more != nil {
		more(s)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// auditFolder is what annals verify --data does. signed is the checkpoint that
// stands beside the ledger.
func auditFolder(t testing.TB, fs *vfs.MemFS, signed []byte, retired [][]byte, k knowledge) proof.Report {
	t.Helper()
	src, err := ledger.OpenForAudit("ledger", ledger.Options{FS: fs, CacheSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	o := k.options()
	o.Signed = audit.Signed{Checkpoint: signed, Retired: retired}
	r, err := audit.Run(t.Context(), src, o)
	if err != nil && r.Verdict != proof.Inconclusive {
		t.Errorf("beside a report of %s: %v", r.Verdict, err)
	}
	return r.Report
}

// knowledge is what an auditor brings along.
type knowledge struct {
	ledger     chain.Hash  // the ledger's id, where a head is remembered
	remembered *proof.Head // a head that was kept outside
	note       []byte      // in which it was signed
	vkey       string      // a key of the ledger's checkpoints
	policy     []byte      // of witnesses (C2SP tlog-policy)
	token      proof.JudgeToken
}

// parsed is a policy, or nil where there is none.
func parsed(policy []byte) *proof.Policy {
	if policy == nil {
		return nil
	}
	p, err := proof.ParsePolicy(policy)
	if err != nil {
		panic(err)
	}
	return p
}

func (k *knowledge) options() audit.Options {
	o := audit.Options{Key: k.vkey, Policy: parsed(k.policy), Token: k.token}
	if k.remembered != nil {
		o.Remembered = &audit.Remembered{Ledger: k.ledger, Head: *k.remembered, Note: string(k.note)}
	}
	return o
}
