package ledger

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// warmer reads the files that hold entries into the store's block cache, each once: those
// that were there when the ledger was opened, the newest first, and each that is written
// since. The store caches what is read, and not what it writes, so that without this a
// block's first reader waits for it to be read and unpacked: after a start everybody does.
//
// It takes room that nobody has, and ends where the cache is nearly full: for its sake
// nothing is let go of that somebody asked for. It works half of the time at most, and
// not while recording is busy. An iterator, for which replaced files would have to stay,
// it holds no longer than a piece of work takes.
type warmer struct {
	db    *pebble.DB
	cache *pebble.Cache
	most  int64 // bytes that the cache may hold before it is nearly full
	size  func() uint64

	// How many entries there were when it last looked, and when that was.
	seen   uint64
	looked time.Time

	mu    sync.Mutex
	spans []*span // to be read, the next one last
	more  chan struct{}
	stop  chan struct{}
	ended sync.WaitGroup
}

// span is what is still to be read of a file: the keys from one to another, both
// included.
type span struct{ from, to []byte }

const (
	// A piece of work is so many rows, some forty blocks of small records, or takes so
	// long; it is looked at after so many.
	warmedAtOnce = 4096
	warmedFor    = 3 * time.Millisecond
	warmedRows   = 64
	// warmedBusy is how many entries a second recording has when it is busy, and
	// warmedLook how long it is left alone before it is looked at again.
	warmedBusy = 2000
	warmedLook = 250 * time.Millisecond
	// warmedAfter is how long a start has the machine to itself.
	warmedAfter = time.Second
)

func newWarmer(cacheSize int64) *warmer {
	return &warmer{most: cacheSize - cacheSize/8, more: make(chan struct{}, 1), stop: make(chan struct{})}
}

// start begins with the files that are there. size is the ledger's, by which it sees
// whether recording is busy.
func (w *warmer) start(db *pebble.DB, size func() uint64) error {
	w.forget() // what opening wrote out of the store's log is there, too
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	var tables []pebble.TableInfo
	for _, level := range levels {
		for i := range level {
			tables = append(tables, level[i].TableInfo)
		}
	}
	slices.SortFunc(tables, func(a, b pebble.TableInfo) int { return bytes.Compare(a.Smallest.UserKey, b.Smallest.UserKey) })
	w.written(tables)
	w.db, w.size, w.seen, w.looked = db, size, size(), time.Now()
	w.ended.Go(w.run)
	return nil
}

// written adds files, to be read before those that were there. The store calls it while
// it holds its locks.
func (w *warmer) written(tables []pebble.TableInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range tables {
		from, to := tables[i].Smallest.UserKey, tables[i].Largest.UserKey
		if _, _, entries := splitEntryKey(from); entries {
			w.spans = append(w.spans, &span{slices.Clone(from), slices.Clone(to)})
		}
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// next returns what is to be read next, nil where there is nothing.
func (w *warmer) next() *span {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.spans) == 0 {
		return nil
	}
	return w.spans[len(w.spans)-1]
}

// done strikes a span off.
func (w *warmer) done(s *span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = slices.DeleteFunc(w.spans, func(other *span) bool { return other == s })
}

// forget strikes all of them off.
func (w *warmer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = nil
}

func (w *warmer) run() {
	for ok := w.pause(warmedAfter); ok; {
		s := w.next()
		if s == nil {
			select {
			case <-w.more:
				ok = w.pause(warmedLook) // until readers see the file, too
			case <-w.stop:
				return
			}
			continue
		}
		began := time.Now()
		if w.full() {
			w.forget()
			continue
		}
		// What can't be read, or not any more, is for who asks for it to hear of.
		if left, err := w.read(s, began); err != nil || !left {
			w.done(s)
		}
		ok = w.pause(time.Since(began))
	}
}

func (w *warmer) full() bool { return w.cache.Size() >= w.most }

// read reads a piece of a span, and moves it to what is left, if anything is.
func (w *warmer) read(s *span, began time.Time) (left bool, err error) {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: s.from, UpperBound: append(slices.Clone(s.to), 0)})
	if err != nil {
		return false, err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
		if n == warmedAtOnce || n%warmedRows == 0 && (w.full() || time.Since(began) > warmedFor) {
			s.from, left = slices.Clone(it.Key()), true
			break
		}
	}
	return left, errors.Join(it.Error(), it.Close())
}

// pause returns once so long has gone by, and recording is not busy; false where the
// ledger is closed.
func (w *warmer) pause(d time.Duration) bool {
	for {
		select {
		case <-w.stop:
			return false
		case <-time.After(d):
		}
		size, now := w.size(), time.Now()
		busy := float64(size-w.seen) > warmedBusy*now.Sub(w.looked).Seconds()
		w.seen, w.looked = size, now
		if !busy {
			return true
		}
		d = warmedLook
	}
}

// close ends it, so that the store can be closed.
func (w *warmer) close() {
	close(w.stop)
	w.ended.Wait()
}
