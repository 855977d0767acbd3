package query

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// listener is one stream: what waits to be sent on it, and the connection.
//
// Its own goroutine sends; the hub only ever puts into the queue, or finds it full.
type listener struct {
	question
	o    *TailOptions
	out  http.ResponseWriter
	conn *http.ResponseController
	wake chan struct{} // has room for one: something has changed

	patience time.Duration // that a write may last

	// next is the first entry that the listener has not been asked about. It is the
	// goroutine's own while the hub hands it nothing.
	next uint64

	mu       sync.Mutex
	queue    []*event
	events   int       // in the queue and being sent
	bytes    int       // of those
	attached bool      // the hub hands out to it
	from     uint64    // the hub hands out from here on …
	behind   uint64    // … or did, up to here
	full     bool      // it was full while a write was under way …
	slow     bool      // … which took long: its client is slow
	hurried  bool      // the server stops
	sending  time.Time // when the write under way began; zero while there is none
	broken   bool      // the hub can't read
}

// errStalled says that a client took no bytes for longer than a write may last.
var errStalled = errors.New("query: the listener takes no bytes")

// attach is called by the hub, which hands out from the index on.
func (l *listener) attach(from uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attached, l.from = true, from
}

// offer puts an event into the queue, and returns false where there is no room:
// the listener goes on by the indexes then, from this event on. One event there
// is always room for, however large.
func (l *listener) offer(e *event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.index < l.from:
		return true // it has this one by the indexes
	case l.events > 0 && (l.events == l.o.QueueEvents || l.bytes+len(e.text) > l.o.QueueBytes):
		l.full = !l.sending.IsZero()
		l.leave(e.index)
		return false
	}
	l.queue = append(l.queue, e)
	l.events++
	l.bytes += len(e.text)
	l.signal()
	return true
}

// leave notes that nothing more comes from the hub. Call it with l.mu held.
func (l *listener) leave(at uint64) {
	l.attached, l.behind = false, max(at, l.from)
	l.signal()
}

// fallBehind takes the listener off the hub, which has handed out up to at.
func (l *listener) fallBehind(at uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(at)
}

// fail says that the hub can't read.
func (l *listener) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
	l.signal()
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// state is what a listener has to do next.
type state uint8

const (
	toSend  state = iota // events were taken
	toWait               // nothing waits
	toRead               // the hub hands out no more: by the indexes from next on
	tooSlow              // the same, and it is the client's fault
	failed               // the hub can't read
)

// take moves what waits into the given space. The events count as waiting until
// they are sent, so that what is held for a listener has one bound.
func (l *listener) take(into []*event) ([]*event, state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(into)
	into = into[:0]
	switch {
	case len(l.queue) > 0:
		into, l.queue = l.queue, into
		return into, toSend
	case l.broken:
		return into, failed
	case l.slow:
		return into, tooSlow
	case !l.attached:
		l.next = l.behind
		return into, toRead
	}
	return into, toWait
}

// idle returns up to where the listener has been asked, when nothing waits for it.
func (h *hub) idle(l *listener) (at uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(h.at, l.from), l.attached && len(l.queue) == 0
}

// write sends bytes within the time that a write may last.
func (l *listener) write(b []byte) error {
	if err := l.begin(); err != nil {
		return err
	}
	_, err := l.out.Write(b)
	if err == nil {
		err = l.conn.Flush()
	}
	l.ended()
	if isTimeout(err) {
		return errStalled
	}
	return err
}

// ended notes that a write is over.
func (l *listener) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow = l.slow || l.full && time.Since(l.sending) >= l.o.SlowAfter
	l.full, l.sending = false, time.Time{}
}

func (l *listener) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = time.Now()
	timeout := l.patience
	if l.hurried {
		timeout = min(timeout, hurryTimeout)
	}
	return l.conn.SetWriteDeadline(l.sending.Add(timeout))
}

// sent notes that events are with the client.
func (l *listener) sent(events []*event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events -= len(events)
	for _, e := range events {
		l.bytes -= len(e.text)
	}
}

// hurryTimeout is how long a write may last once the server stops.
const hurryTimeout = 500 * time.Millisecond

// hurry shortens the write that is under way.
func (l *listener) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurried = true
	if !l.sending.IsZero() {
		_ = l.conn.SetWriteDeadline(time.Now().Add(hurryTimeout)) // one that can't be set was refused before
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
