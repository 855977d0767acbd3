package ledger

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// warmer fills the rows from the store, the newest entries first: those that are there
// when the ledger is opened, and each thousand that is recorded from then on.
//
// It works half of the time at most, and not while recording is busy. An iterator, for
// which replaced files would have to stay, it holds no longer than a piece of work takes.
type warmer struct {
	db   *pebble.DB
	rows *rows
	size func() uint64
	log  *slog.Logger

	// newest is how many entries stand on the last shelf, which is not full, of those that
	// were there when the ledger was opened. What follows them the ring holds until it is.
	number uint64
	newest int

	// How many entries there were when it last looked, and when that was.
	seen   uint64
	looked time.Time

	stop  chan struct{}
	ended sync.WaitGroup
}

const (
	// A piece of work takes so long; it is looked at after so many entries.
	warmedFor  = 3 * time.Millisecond
	warmedRows = 64
	// warmedBusy is how many entries a second recording has when it is busy, and
	// warmedLook how long it is left alone before it is looked at again.
	warmedBusy = 2000
	warmedLook = 250 * time.Millisecond
	// warmedAfter is how long a start has the machine to itself.
	warmedAfter = time.Second
)

// startWarmer begins. size is the ledger's, by which it sees whether recording is busy.
func startWarmer(db *pebble.DB, r *rows, size func() uint64, log *slog.Logger) *warmer {
	w := &warmer{db: db, rows: r, size: size, log: log, seen: size(), looked: time.Now(), stop: make(chan struct{})}
	w.number, w.newest = w.seen/shelfEntries, int(w.seen%shelfEntries)
	w.ended.Go(w.run)
	return w
}

func (w *warmer) run() {
	var s shelving
	for rest := warmedAfter; w.pause(rest, &s); {
		number, most, ok := w.next()
		if !ok {
			rest = warmedLook
			continue
		}
		began := time.Now()
		w.fill(&s, number, most, began)
		rest = time.Since(began)
	}
}

// fill does a piece of work on a shelf, which is begun anew unless it is the one that was
// worked on last, and hands it over once it is full.
func (w *warmer) fill(s *shelving, number uint64, most int, began time.Time) {
	if epoch := w.rows.epoch(); s.number != number || s.most != most || s.epoch != epoch || s.full() {
		s.begin(number, most, epoch)
	}
	if err := w.read(s, began); err != nil {
		w.log.Warn("entries can't be held in memory", "from", number*shelfEntries, "error", err)
		s.leaveOut()
	}
	if s.full() {
		w.put(s)
	}
}

// next returns which shelf is to be filled, and with how many entries.
func (w *warmer) next() (number uint64, most int, ok bool) {
	if w.newest > 0 {
		return w.number, w.newest, true
	}
	number, ok = w.rows.missing(w.seen / shelfEntries)
	return number, shelfEntries, ok
}

// put hands the shelf to the rows.
func (w *warmer) put(s *shelving) {
	filled, err := s.shelf()
	if err != nil { // the system has no memory to give
		w.log.Warn("entries can't be held in memory", "from", s.number*shelfEntries, "error", err)
		filled = &shelf{places: make([]place, s.most)}
	}
	if w.rows.put(s.number, filled, s.epoch) && s.most < shelfEntries {
		w.newest = 0
	}
	s.begin(s.number, s.most, s.epoch)
}

// read reads a piece of what the shelf lacks.
func (w *warmer) read(s *shelving, began time.Time) error {
	r, err := newReader(w.db, between(s.next(), s.number*shelfEntries+uint64(s.most)))
	if err != nil {
		return err
	}
	for ok := r.seek(s.next()); !s.full(); ok = r.next() {
		if !ok || r.index != s.next() {
			return errors.Join(r.missing(s.next()), r.it.Close())
		}
		payload, err := r.take()
		if err != nil {
			return errors.Join(err, r.it.Close())
		}
		s.add(r.out.Raw, payload)
		if len(s.places)%warmedRows == 0 && time.Since(began) > warmedFor {
			break
		}
	}
	return r.it.Close()
}

// pause returns once so long has gone by, and recording is not busy; false where the
// ledger is closed. A shelf that has been begun is given up while recording is busy.
func (w *warmer) pause(d time.Duration, begun *shelving) bool {
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
		begun.begin(begun.number, begun.most, begun.epoch)
		d = warmedLook
	}
}

// close ends it, so that the store can be closed.
func (w *warmer) close() {
	close(w.stop)
	w.ended.Wait()
}
