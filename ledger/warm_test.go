package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// blockSize is about what a block takes in the cache.
const blockSize = 32 << 10

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

func openWarm(t testing.TB, fs vfs.FS, cache int64) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open("ledger", ledger.Options{FS: fs, Warm: true, CacheSize: cache})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// missed is how often the entries from one to another are not found in the cache.
func missed(t testing.TB, l *ledger.Ledger, from, to uint64) int64 {
	t.Helper()
	_, before := l.Cached()
	for _, err := range l.StoredLeaves(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, after := l.Cached()
	return after - before
}

// aMinute is time enough for whatever a warmer does, where time costs nothing.
func aMinute() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// TestWarm: a while after a start all entries are in the cache, and those that are
// recorded from then on too, once they are in files.
func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("warm")
		recordMany(s, 30)
		l := openWarm(t, stored(t, s), 64<<20)
		defer l.Close()
		size := l.Head().Size
		if n := missed(t, l, size/2, size/2+100); n == 0 {
			t.Fatal("the cache held entries before anybody read them: this test sees nothing")
		}
		aMinute()
		if n := missed(t, l, 0, size); n > 0 {
			t.Errorf("%d blocks were not in the cache", n)
		}
		recordMany(s, 10)
		appendAll(t, l, s, anyOrder(2))
		if err := l.FlushStore(); err != nil {
			t.Fatal(err)
		}
		aMinute()
		if n := missed(t, l, 0, l.Head().Size); n > 0 || l.Unwarmed() > 0 {
			t.Errorf("%d blocks were not in the cache after more was recorded, and %d files are to be read", n, l.Unwarmed())
		}
	})
}

// TestWarmOnce: a file that opening wrote, out of what the log held, is read once.
func TestWarmOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("once")
		recordMany(s, 5)
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs})
		appendAll(t, l, s, anyOrder(1))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var files [2]int // the second time the log holds nothing
		for i := range files {
			l := openWarm(t, fs, 64<<20)
			files[i] = l.Unwarmed()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if files[0] == 0 || files[0] != files[1] {
			t.Errorf("%d files are to be read, of %d", files[0], files[1])
		}
	})
}

// TestWarmLeavesRoom: what the cache has no room for is left out, the older entries
// first, and what somebody asked for stays.
func TestWarmLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("room")
		recordMany(s, 40)
		fs := stored(t, s)
		older := openWarm(t, fs, 0)
		middle := older.Head().Size
		recordMany(s, 40)
		appendAll(t, older, s, anyOrder(1))
		if err := errors.Join(older.FlushStore(), older.Close()); err != nil {
			t.Fatal(err)
		}
		const cache = 1 << 20 // of some 4 MiB
		l := openWarm(t, fs, cache)
		defer l.Close()
		if missed(t, l, 300, 400) == 0 || missed(t, l, 300, 400) > 0 {
			t.Fatal("what is read is not kept: this test sees nothing")
		}
		aMinute()
		size, misses := l.Cached()
		if size < cache/2 || size > cache || l.Unwarmed() > 0 {
			t.Errorf("the cache holds %d of %d bytes, and %d files are to be read", size, cache, l.Unwarmed())
		}
		if most := int64(2 * cache / blockSize); misses > most {
			t.Errorf("%d blocks were read, of which the cache has no room for half", misses)
		}
		for _, c := range []struct {
			from uint64
			held bool
			what string
		}{{300, true, "asked for"}, {middle + 20, true, "of the newer entries"}, {1000, false, "of the older entries"}} {
			if n := missed(t, l, c.from, c.from+100); n == 0 != c.held {
				t.Errorf("%d blocks %s were not in the cache", n, c.what)
			}
		}
	})
}

// TestWarmWaits: while recording is busy nothing is read for the cache's sake, and
// afterwards it is.
func TestWarmWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("waits")
		recordMany(s, 5)
		l := openWarm(t, stored(t, s), 64<<20)
		defer l.Close()
		for range 20 { // 5,000 a second, for two seconds
			recordMany(s, 5)
			appendAll(t, l, s, anyOrder(2))
			time.Sleep(100 * time.Millisecond)
			if l.Unwarmed() == 0 {
				t.Fatal("the file was read while recording was busy")
			}
		}
		aMinute()
		if l.Unwarmed() > 0 {
			t.Errorf("%d files are to be read", l.Unwarmed())
		}
	})
}

// TestWarmEnds: whoever closes the ledger waits for nothing to be read.
func TestWarmEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chaintest.New("ends")
		recordMany(s, 5)
		l := openWarm(t, stored(t, s), 64<<20)
		began := time.Now()
		if err := l.Close(); err != nil || time.Since(began) > 0 || l.Unwarmed() == 0 {
			t.Errorf("closed after %v, with %d files to be read: %v", time.Since(began), l.Unwarmed(), err)
		}
	})
}

// TestWarmErased: what is erased is not read, though the cache was full of it; and its
// files can go.
func TestWarmErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := erasing(t, "warm")
		fs := vfs.NewMem()
		at := slices.IndexFunc(s.Messages, func(m chain.Message) bool { return m.Subject == chain.ControlErase.Subject() })
		l := create(t, s, ledger.Options{FS: fs, Warm: true})
		defer l.Close()
		if err := errors.Join(l.Append(t.Context(), s.Messages[2:at]), l.Flush(t.Context()), l.FlushStore()); err != nil {
			t.Fatal(err)
		}
		aMinute()
		if n := missed(t, l, 2, 26); n > 0 {
			t.Fatalf("%d blocks were not in the cache", n)
		}
		appendAll(t, l, s, anyOrder(1))
		for range 2 {
			l.HoldAtMost(0)
			for _, index := range []uint64{2, 7, 8, 9, 25, 31} {
				if leaf, _, err := l.Get(index); err != nil || leaf.Payload != nil {
					t.Errorf("entry %d is erased, and its payload is %v, %v", index, leaf.Payload, err)
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
			aMinute() // the files that took their place are read
		}
	})
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
