package ingest

import (
	"runtime"
	"time"

	"github.com/nats-io/nuid"
)

// maxVolley is the most messages that leave each by itself. Of a stream with one
// replica the server stages an atomic batch in a folder of its own, which it makes,
// syncs and removes: on a disk that is as much work as a dozen single messages, and
// the syncs of seven; in memory it is less than one sync.
const maxVolley = 8

// volley is how many messages arrive sooner one by one, a sync each, than as a batch
// with one sync and a place that has to be made for it first.
func volley(place, sync average) int {
	if place <= 0 || sync <= 0 {
		return maxVolley // not seen yet
	}
	return min(1+int(place/sync), maxVolley)
}

// average is what something took lately, 0 before the first time. What stalled once
// counts as twice the usual.
type average time.Duration

func (a *average) add(took time.Duration) {
	if *a <= 0 {
		*a = average(took)
		return
	}
	*a += min(average(took)-*a, *a) / 8
}

// maxHold bounds how long a batch waits for those whom the last one carried.
const maxHold = 5 * time.Millisecond

// hold is how long it waits, where making the place for it took so long.
func hold(took time.Duration) time.Duration { return min(took, maxHold) }

// boarding is what the line knows of the flight that leaves next.
type boarding struct {
	// ahead is a batch of which only the first message was sent. Most of a batch's
	// way is the server's making a place to stage it, which begins with that
	// message; who publishes meanwhile still comes along.
	ahead  *flight
	number uint64 // ahead's
	// due is how many records will have been published once as many came back as
	// the last batch carried: callers that wait for one record before the next do.
	due uint64
	// boards, where it is set, is until when the opened batch waits for them.
	boards time.Time
	place  average // from a batch's first message until the server is ready for more
	sync   average // a single message
}

// mayLeave says when to send. A flight leaves when none is in the air, or when it
// is full: so a lone record waits for nobody, and under load each fsync carries
// all that came during the last.
func (l *line) mayLeave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch full := l.waiting.full(&l.o); {
	case len(l.waiting.messages) == 0:
		return false
	case l.ahead != nil:
		return full || !l.boards.IsZero() && l.waiting.published >= l.due
	default:
		return len(l.flights) < l.o.MaxFlights && (full || !l.inTheAir())
	}
}

// linger lets those publish first who are about to: whoever was woken by the last
// flight is already runnable, and one flight of all of them costs the server less
// than two. It gives way to others as long as that brings records, and never sleeps.
func (l *line) linger() {
	for before := 0; ; {
		l.mu.Lock()
		n, full := l.waiting.records, l.waiting.full(&l.o)
		l.mu.Unlock()
		if full || n == before {
			return
		}
		before = n
		runtime.Gosched()
	}
}

// depart sends what waits: a few messages by themselves, more as one batch, which
// is opened first unless it is full. A batch fails or arrives as a whole, so where
// the order must be kept it is always one.
func (l *line) depart() {
	if l.ahead != nil {
		l.follow()
		return
	}
	l.linger()
	l.mu.Lock()
	n, most := len(l.waiting.messages), l.o.MaxBatch
	single := n <= volley(l.place, l.sync) && l.o.MaxFlights > 1
	ahead := !single && n > 1 && !l.waiting.full(&l.o)
	if ahead {
		most = 1
	}
	messages := l.waiting.take(most)
	l.mu.Unlock()
	now := time.Now()
	switch {
	case ahead:
		l.open(&flight{messages: messages, first: now})
	case single:
		for i := range messages {
			l.send(&flight{messages: messages[i : i+1 : i+1], first: now})
		}
	default:
		l.send(&flight{messages: messages, first: now})
	}
}

// open sends the first message of a batch. At least one more waits, and will.
func (l *line) open(f *flight) {
	f.batch, f.opening = nuid.Next(), true
	l.ahead, l.number = f, l.launch(f)
	l.write(l.number, f, 0)
}

// opened is the server's word that it has the first message and is ready for more.
// If those whom the last batch carried are not back yet, they are on their way: it
// waits for them, at most as long again as making the place took.
func (l *line) opened(f *flight) {
	if f != l.ahead {
		return // the others did not wait for it
	}
	now := time.Now()
	l.place.add(now.Sub(f.sent))
	l.boards = now.Add(l.hold(now.Sub(f.sent)))
}

// follow sends the messages after the first.
func (l *line) follow() {
	f, number := l.ahead, l.number
	l.board(f)
	f.until = time.Now().Add(l.o.AckWait)
	l.write(number, f, 1)
}

// board lets what waits come along with the batch that is open.
func (l *line) board(f *flight) {
	l.ahead, f.opening, l.boards = nil, false, time.Time{}
	l.mu.Lock()
	f.messages = append(f.messages, l.waiting.take(l.o.MaxBatch-1)...)
	l.mu.Unlock()
}

// arrived remembers what a flight took, and whom to expect.
func (l *line) arrived(f *flight, at time.Time) {
	if len(f.messages) == 1 {
		from := f.sent
		if l.success.After(from) {
			from = l.success // till then the server was busy with another
		}
		l.sync.add(at.Sub(from))
	}
	l.success = at
	l.expect(f)
}

// expect remembers how many callers a batch that arrived will let publish again.
func (l *line) expect(f *flight) {
	if len(f.messages) == 1 {
		return
	}
	l.mu.Lock()
	l.due = l.waiting.published
	l.mu.Unlock()
	for _, m := range f.messages {
		l.due += uint64(len(m.records))
	}
}
