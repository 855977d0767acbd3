package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// recordMany adds messages of a hundred records each, of some 300 bytes, which no two
// have alike, so that they fill blocks.
func recordMany(s *chaintest.Stream, messages int) {
	r := anyOrder(uint64(len(s.Messages)))
	for range messages {
		var body []byte
		for range 100 {
			body = fmt.Appendf(body, `{"id":"%x","producer":"p","type":"app.renamed","data":"%0128x"}`+"\n", r.Uint64(), r.Uint64())
		}
		s.Publish("activity.ws_7._", string(body), "Content-Type", chain.NDJSON)
	}
}

// stored records what a stream holds into files, and closes the ledger.
func stored(t testing.TB, s *chaintest.Stream) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(1))
	if err := errors.Join(l.FlushStore(), l.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

func openWarm(t testing.TB, fs vfs.FS, rows int64) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open("ledger", ledger.Options{FS: fs, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// heldOf is how many of the entries from one to another stand in memory.
func heldOf(l *ledger.Ledger, from, to uint64) (n uint64) {
	for index := from; index < to; index++ {
		if l.RowHeld(index) {
			n++
		}
	}
	return n
}

// whole is up to where the entries of a ledger fill shelves.
func whole(l *ledger.Ledger) uint64 {
	return l.Head().Size / ledger.ShelfEntries * ledger.ShelfEntries
}

// aMinute is time enough for whatever a warmer does, where time costs nothing.
func aMinute() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// TestWarm: a while after a start all entries are in memory, and those that are recorded
// from then on too.
func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("warm")
		recordMany(s, 30)
		l := openWarm(t, stored(t, s), 64<<20)
		defer l.Close()
		if n := heldOf(l, 0, whole(l)); n > 0 {
			t.Fatalf("%d entries are held at once: this test sees nothing", n)
		}
		aMinute()
		if n, size := heldOf(l, 0, l.Head().Size), l.Head().Size; n != size || n == whole(l) {
			t.Errorf("%d entries of %d are held", n, size)
		}
		recordMany(s, 25)
		appendAll(t, l, s, anyOrder(2))
		aMinute()
		if n := heldOf(l, 0, whole(l)); n != whole(l) || n < 5000 {
			t.Errorf("%d entries of %d are held after more was recorded", n, whole(l))
		}
	})
}

// TestRowsAreTheStoredOnes reads entries of every kind out of memory, in any order: they
// are what the store has, with their hashes. What is large is read from the store.
func TestRowsAreTheStoredOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := busy()
		s.Record("ws_7", "large", fmt.Sprintf("%q", strings.Repeat("x", 20<<10)))
		recordMany(s, 20)
		l := create(t, s, ledger.Options{Rows: 64 << 20})
		defer l.Close()
		appendAll(t, l, s, anyOrder(1))
		l.HoldAtMost(0)
		recordMany(s, 1) // after which the ring is empty
		appendAll(t, l, s, anyOrder(1))
		aMinute()
		kinds, held := map[chain.Kind]int{}, 0
		var stored []chain.Leaf
		for leaf, err := range l.StoredLeaves(t.Context(), 0, whole(l)) {
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, ledger.CloneLeaf(&leaf))
		}
		indexes := make([]uint64, 500)
		r := anyOrder(7)
		for range 50 {
			for i := range indexes {
				indexes[i] = uint64(r.IntN(len(stored)))
			}
			i := 0
			err := l.GetMany(indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
				want := &stored[indexes[i]]
				if err := sameLeaf(leaf, want); err != nil {
					t.Errorf("entry %d (%s): %v", indexes[i], want.Entry.Kind, err)
				}
				if leaf.Entry.Index != indexes[i] || hash != chain.LeafHash(want.Raw) {
					t.Errorf("entry %d has the hash %s, and says that it is %d", indexes[i], hash, leaf.Entry.Index)
				}
				if l.RowHeld(indexes[i]) {
					kinds[want.Entry.Kind]++
					held++
				}
				i++
				return nil
			})
			if err != nil || i != len(indexes) {
				t.Fatalf("%d of %d: %v", i, len(indexes), err)
			}
		}
		if len(kinds) < 5 || uint64(held) < 24_000 {
			t.Errorf("%v: %d of 25000 came from memory", kinds, held)
		}
		if n := heldOf(l, 0, whole(l)); n != whole(l)-1 {
			t.Errorf("%d entries of %d are held, want all but the large one", n, whole(l))
		}
	})
}

// TestWarmLeavesRoom: the rows stay within their bound, which has room for the newest
// entries, whenever they come.
func TestWarmLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("room")
		recordMany(s, 60)
		const bound = 2 << 20
		l := openWarm(t, stored(t, s), bound)
		defer l.Close()
		for range 3 {
			aMinute()
			to := whole(l) // what follows the ring has, but for what was there at the start
			for l.RowHeld(to) {
				to++
			}
			n := heldOf(l, 0, to)
			if n == 0 || n == to || heldOf(l, to-n, to) != n {
				t.Errorf("%d entries of %d are held, and %d of the newest", n, to, heldOf(l, to-n, to))
			}
			if size, entries := l.RowsSize(); size > bound || size < bound*2/3 || uint64(entries) != n {
				t.Errorf("%d entries take %d bytes, the bound is %d", entries, size, bound)
			}
			recordMany(s, 23)
			appendAll(t, l, s, anyOrder(2))
		}
	})
}

// TestWarmInPieces: a shelf that takes longer than a piece of work may is filled all the
// same, and what is erased between two pieces is not on it.
func TestWarmInPieces(t *testing.T) {
	s := chaintest.NewKeyed("pieces")
	recordMany(s, 11)
	at := len(s.Messages)
	fold(t, s).erase(t, 5)
	l := create(t, s, ledger.Options{})
	defer l.Close()
	if err := errors.Join(l.Append(t.Context(), s.Messages[2:at]), l.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	l.HoldAtMost(0)
	pieces := l.FillInPieces(64<<20, nil)
	if n := heldOf(l, 0, ledger.ShelfEntries); n != ledger.ShelfEntries || pieces < 10 {
		t.Errorf("%d entries are held after %d pieces", n, pieces)
	}
	pieces = l.FillInPieces(64<<20, func() { appendAll(t, l, s, anyOrder(1)) })
	if leaf, _, err := l.Get(5); err != nil || leaf.Payload != nil || !l.RowHeld(5) || pieces < 20 {
		t.Errorf("entry 5 was erased after some pieces, and %d more were read: it has %v, %v", pieces, leaf.Payload, err)
	}
}

// TestWarmWaits: while recording is busy nothing is read, and afterwards it is.
func TestWarmWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("waits")
		recordMany(s, 15)
		l := openWarm(t, stored(t, s), 64<<20)
		defer l.Close()
		for range 20 { // 5,000 a second, for two seconds
			recordMany(s, 5)
			appendAll(t, l, s, anyOrder(2))
			time.Sleep(100 * time.Millisecond)
			if heldOf(l, 0, whole(l)) > 0 {
				t.Fatal("entries were read while recording was busy")
			}
		}
		aMinute()
		if n := heldOf(l, 0, whole(l)); n != whole(l) {
			t.Errorf("%d entries of %d are held", n, whole(l))
		}
	})
}

// TestWarmEnds: whoever closes the ledger waits for nothing to be read.
func TestWarmEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("ends")
		recordMany(s, 15)
		l := openWarm(t, stored(t, s), 64<<20)
		began := time.Now()
		if err := l.Close(); err != nil || time.Since(began) > 0 {
			t.Errorf("closed after %v: %v", time.Since(began), err)
		}
	})
}

// TestRowsErased: what is erased is overwritten where it stood in memory, and stays out of
// it; and its files can go.
func TestRowsErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.NewKeyed("rows")
		for id := range 28 {
			s.Record("ws_7", fmt.Sprint(id), fmt.Sprintf("%q", id7(id)))
		}
		recordMany(s, 12)
		gone := []uint64{2, 7, 8, 9, 25}
		at := len(s.Messages)
		fold(t, s).erase(t, gone...)
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs, Rows: 64 << 20})
		defer l.Close()
		if err := errors.Join(l.Append(t.Context(), s.Messages[2:at]), l.Flush(t.Context()), l.FlushStore()); err != nil {
			t.Fatal(err)
		}
		l.HoldAtMost(0)
		aMinute()
		for id := range 28 {
			if !l.RowsHold([]byte(id7(id))) {
				t.Fatalf("record %d is not held: this test sees nothing", id)
			}
		}
		appendAll(t, l, s, anyOrder(1))
		for range 2 {
			for id := range 28 {
				index := uint64(id + 2)
				erased := slices.Contains(gone, index)
				leaf, hash, err := l.Get(index)
				if err != nil || (leaf.Payload == nil) != erased || hash != chain.LeafHash(leaf.Raw) || !l.RowHeld(index) {
					t.Errorf("entry %d, erased %v: its payload is %v, %v", index, erased, leaf.Payload, err)
				}
				if l.RowsHold([]byte(id7(id))) == erased {
					t.Errorf("record %d, erased %v, is in memory or not", id, erased)
				}
			}
			owed, err := l.Unscrubbed()
			if err == nil {
				err = l.Scrub(t.Context(), owed)
			}
			if err != nil {
				t.Fatal(err)
			}
			if found := grep(t, fs, "ledger", id7(0)); len(found) > 0 {
				t.Errorf("record 0 is erased and still stands in %v", found)
			}
			aMinute()
		}
	})
}

// TestRowsWhileErased has readers beside a fill, erasures and a bound that is too small:
// whatever is read is an entry as it was recorded, and no payload comes back that was gone.
func TestRowsWhileErased(t *testing.T) {
	s := chaintest.NewKeyed("busy rows")
	recordMany(s, 60)
	l := create(t, s, ledger.Options{Rows: 3 << 20})
	defer l.Close()
	appendAll(t, l, s, anyOrder(1))
	l.HoldAtMost(0)
	const first, each = 4000, 300
	var going, gone atomic.Uint64 // the payloads from first up to there are being erased, and are
	going.Store(first)
	gone.Store(first)
	var readers sync.WaitGroup
	var held atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer readers.Wait()
	defer cancel()
	for n := range 3 {
		readers.Go(func() {
			r := anyOrder(uint64(n))
			for ctx.Err() == nil {
				index, before := 2+uint64(r.IntN(5900)), gone.Load()
				leaf, hash, err := l.Get(index)
				switch {
				case err != nil || leaf.Entry.Index != index || hash != chain.LeafHash(leaf.Raw):
					t.Errorf("entry %d is %d, with the hash %s: %v", index, leaf.Entry.Index, hash, err)
				case leaf.Payload != nil && index >= first && index < before:
					t.Errorf("entry %d has a payload, and all of %d to %d are erased", index, first, before)
				case leaf.Payload == nil && (index < first || index >= going.Load()):
					t.Errorf("entry %d has no payload, and is not erased", index)
				default:
					if l.RowHeld(index) {
						held.Add(1)
					}
					continue
				}
				return
			}
		})
	}
	for late := time.Now().Add(time.Minute); held.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("nothing is held: this test sees nothing")
		}
	}
	for from := uint64(first); from < 5500; from += each {
		var indexes []uint64
		for index := from; index < from+each; index++ {
			indexes = append(indexes, index)
		}
		going.Store(from + each)
		fold(t, s).erase(t, indexes...)
		appendAll(t, l, s, anyOrder(1))
		gone.Store(from + each)
		time.Sleep(5 * time.Millisecond)
	}
}

// TestWarmFindsDamage: a block that the disk has damaged stops recording though nobody
// asks for its entries, as if somebody had.
func TestWarmFindsDamage(t *testing.T) {
	s := chaintest.New("damaged")
	recordMany(s, 20)
	fs := stored(t, s)
	table, size := "", int64(0)
	for _, name := range names(t, fs, "ledger") {
		info, err := fs.Stat(fs.PathJoin("ledger", name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".sst") && info.Size() > size {
			table, size = fs.PathJoin("ledger", name), info.Size()
		}
	}
	flip(t, fs, table, size/8) // far from the last entries, which opening reads
	l := openWarm(t, fs, 64<<20)
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := l.Wait(ctx, l.Head().Size)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), ".sst is damaged") {
		t.Errorf("recording stopped by %v", err)
	}
}

func names(t testing.TB, fs vfs.FS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// flip changes a bit of a file.
func flip(t testing.TB, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
