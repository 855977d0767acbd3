package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
)

// grown is a ledger with n more entries than its beginning.
func grown(t testing.TB, fs vfs.FS, n int) *ledger.Ledger {
	t.Helper()
	s := chaintest.New("tiles")
	for i := range n {
		s.Record("ws", fmt.Sprint(i), "{}")
	}
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(2))
	return l
}

// TestHashesAndBundles compares what tiles are made of with what the entries hash to,
// wherever it is read from: the ring, the store, or both.
func TestHashesAndBundles(t *testing.T) {
	l := grown(t, nil, 1500)
	defer l.Close()
	size := l.Head().Size
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = stored[n]
		}
		return out, nil
	})
	bundles := [][]byte{}
	for leaf, err := range l.StoredLeaves(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(leaf.Entry.Index), leaf.Raw, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		bundles = append(bundles, append(binary.BigEndian.AppendUint16(nil, uint16(len(leaf.Raw))), leaf.Raw...))
	}
	held := l.Held()
	for _, most := range []int64{held, held / 2, 0} { // the ring lets go at the next append
		l.HoldAtMost(most)
		for level := range 12 {
			nodes := size >> level
			for from := uint64(0); from < nodes; from += 1 + nodes/7 {
				for _, to := range []uint64{from, from + 1, nodes} {
					want := []byte{}
					for n := from; n < to; n++ {
						h := stored[tlog.StoredHashIndex(level, int64(n))]
						want = append(want, h[:]...)
					}
					got, err := l.Hashes([]byte("x"), level, from, to)
					if err != nil || string(got) != "x"+string(want) {
						t.Fatalf("level %d, %d to %d: %v", level, from, to, err)
					}
				}
			}
		}
		for from := uint64(0); from < size; from += 97 {
			for _, to := range []uint64{from, from + 1, min(from+256, size)} {
				got, err := l.Bundle([]byte("x"), from, to)
				if err != nil || string(got) != "x"+string(bytes.Join(bundles[from:to], nil)) {
					t.Fatalf("entries %d to %d: %v", from, to, err)
				}
			}
		}
		for _, index := range []uint64{0, 700, size - 1} {
			if raw, err := l.Raw(index); err != nil || !bytes.Equal(raw, bundles[index][2:]) {
				t.Errorf("entry %d: %v", index, err)
			}
		}
	}
	for name, read := range map[string]func() ([]byte, error){
		"beyond the last entry": func() ([]byte, error) { return l.Hashes(nil, 0, size-1, size+1) },
		"an incomplete node":    func() ([]byte, error) { return l.Hashes(nil, 8, 5, 6) },
		"no such level":         func() ([]byte, error) { return l.Hashes(nil, 64, 0, 1) },
		"below all levels":      func() ([]byte, error) { return l.Hashes(nil, -1, 0, 1) },
		"a bundle beyond":       func() ([]byte, error) { return l.Bundle(nil, size, size+1) },
		"an entry beyond":       func() ([]byte, error) { return l.Raw(size) },
	} {
		if _, err := read(); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamagedTiles: what is not there, or cut short, is no tile, and the error says
// where.
func TestDamagedTiles(t *testing.T) {
	fs := vfs.NewMem()
	if err := grown(t, fs, 1500).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("ledger", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	row := func(index uint64) []byte { return append(binary.BigEndian.AppendUint64([]byte{'e'}, index), 0) }
	for _, err := range []error{
		db.Delete(row(5), pebble.Sync),
		db.Set(row(15), make([]byte, 100), pebble.Sync), // of four nodes
		db.Set(row(20), make([]byte, 207), pebble.Sync),
		db.Delete(row(31), pebble.Sync),
		db.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := ledger.Open("ledger", ledger.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for where, read := range map[string]func() ([]byte, error){
		"at entry 5":  func() ([]byte, error) { return l.Hashes(nil, 0, 0, 8) },
		"at entry 5 ": func() ([]byte, error) { return l.Raw(5) },
		"at entry 15": func() ([]byte, error) { return l.Hashes(nil, 4, 0, 1) },
		"at entry 20": func() ([]byte, error) { return l.Bundle(nil, 16, 24) },
		"at entry 31": func() ([]byte, error) { return l.Hashes(nil, 2, 4, 12) },
	} {
		_, err := read()
		var damage *ledger.DamageError
		if !errors.As(err, &damage) || damage.Where+" " != where && damage.Where != where {
			t.Errorf("%s: %v", where, err)
		}
	}
	if _, err := l.Hashes(nil, 0, 6, 15); err != nil {
		t.Errorf("between the damage: %v", err)
	}
}

// BenchmarkTiles reads full tiles from all over a stored ledger.
func BenchmarkTiles(b *testing.B) {
	l := built(b)
	l.HoldAtMost(0)
	full := l.Head().Size / 256
	r := anyOrder(3)
	var buffer []byte
	for _, kind := range []struct {
		name string
		read func(n uint64) ([]byte, error)
	}{
		{"level=0", func(n uint64) ([]byte, error) { return l.Hashes(buffer[:0], 0, n*256, n*256+256) }},
		{"level=1", func(uint64) ([]byte, error) { return l.Hashes(buffer[:0], 8, 0, min(full, 256)) }},
		{"entries", func(n uint64) ([]byte, error) { return l.Bundle(buffer[:0], n*256, n*256+256) }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buffer, err = kind.read(r.Uint64N(full)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tiles/s")
		})
	}
}
