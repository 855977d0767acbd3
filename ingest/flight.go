package ingest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	// maxBatch is the most that the server takes in one atomic batch.
	maxBatch = 1000
	// flightBytes is how much makes a whole flight: enough to make the fsync cheap,
	// little enough that the next flight is written while this one is synced.
	flightBytes = 1 << 20
)

// flight is what one acknowledgement is for: a message, or an atomic batch.
type flight struct {
	messages []*message
	batch    string // the batch's id; new at each try, "" of a single message
	tries    int
	first    time.Time // when it was first sent
	sent     time.Time // when this try was
	until    time.Time // when the acknowledgement is overdue, or when to try again
	resting  bool      // it failed, and waits until then
	refused  time.Time // when nothing answered for it first
	unknown  bool      // a try of it may have reached the stream
	opening  bool      // only the first of its messages is sent
}

// line is the publisher's goroutine and what it alone knows: the flights.
type line struct {
	*Publisher
	inbox   string
	answers chan *nats.Msg
	sub     *nats.Subscription
	flights map[uint64]*flight // by number, which is the last token of the reply subject
	sent    uint64
	timer   *time.Timer
	success time.Time // of the last flight that arrived
	boarding
	envelope
}

func newLine(p *Publisher) (*line, error) {
	l := &line{
		Publisher: p, inbox: p.nc.NewInbox() + ".",
		answers:  make(chan *nats.Msg, 1024),
		flights:  make(map[uint64]*flight),
		timer:    time.NewTimer(time.Hour),
		envelope: newEnvelope(),
	}
	var err error
	if l.sub, err = p.nc.ChanSubscribe(l.inbox+"*", l.answers); err != nil {
		return nil, fmt.Errorf("ingest: listening for acknowledgements: %w", err)
	}
	return l, nil
}

// run sends what waits and settles what is answered, until Close.
func (l *line) run() {
	defer close(l.ended)
	defer l.timer.Stop()
	defer l.sub.Unsubscribe() //nolint:errcheck // a closed connection has no subscription left
	for {
		for l.mayLeave() {
			l.depart()
		}
		l.timer.Reset(time.Until(l.earliest()))
		select {
		case <-l.wake:
		case m := <-l.answers:
			l.answer(m)
		case <-l.timer.C:
			l.overdue()
		case <-l.stop:
			l.abandon()
			return
		}
	}
}

func (l *line) inTheAir() bool {
	for _, f := range l.flights {
		if !f.resting {
			return true
		}
	}
	return false
}

// send sends a flight, under a number, and where it is a batch under an id, that
// were never used.
func (l *line) send(f *flight) {
	f.batch = ""
	if len(f.messages) > 1 {
		f.batch = nuid.Next()
	}
	l.write(l.launch(f), f, 0)
}

// launch gives a flight a number.
func (l *line) launch(f *flight) (number uint64) {
	l.sent++
	f.tries++
	f.resting = false
	f.sent = time.Now()
	f.until = f.sent.Add(l.o.AckWait)
	l.flights[l.sent] = f
	return l.sent
}

// write writes a flight's messages to the connection, beginning with one of them.
func (l *line) write(number uint64, f *flight, from int) {
	for i, m := range f.messages[from:] {
		i += from
		last := i == len(f.messages)-1
		out := l.address(m, f.batch, i, last && !f.opening)
		if last {
			out.Reply = l.inbox + strconv.FormatUint(number, 10)
			f.unknown = f.unknown || !f.opening
		}
		if err := l.nc.PublishMsg(out); err != nil {
			l.failed(number, f, !errors.Is(err, nats.ErrConnectionClosed), fmt.Errorf("%w: %w", ErrNoServer, err))
			return
		}
	}
}

// answer settles the flight that a message from the server is about.
func (l *line) answer(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, l.inbox), 10, 64)
	f := l.flights[number]
	if err != nil || f == nil || f.resting {
		return // of a try that was given up
	}
	if len(m.Data) == 0 && len(m.Header) == 0 {
		l.opened(f)
		return
	}
	ack, passes, err := readAck(m)
	if err == nil && len(f.messages) > 1 && ack.Count != uint64(len(f.messages)) {
		passes, err = true, fmt.Errorf("%w: of %d messages the server counts %d", ErrUnknown, len(f.messages), ack.Count)
	}
	if err != nil {
		l.failed(number, f, passes, err)
		return
	}
	l.arrived(f, time.Now())
	l.trouble.Store(nil)
	delete(l.flights, number)
	sequence := ack.Sequence - uint64(len(f.messages)) + 1
	for _, m := range f.messages {
		for place, r := range m.records {
			r.ack.Sequence, r.ack.Place, r.ack.Count = sequence, uint16(place), uint16(len(m.records))
			if l.o.Receipts != nil {
				l.o.Receipts.take(taken{m.subject, ack.Stream, r.ack.ID, sequence, r.ack.Place, r.bytes, l.success})
			}
		}
		sequence++
	}
	l.settle(f.messages, nil)
}

// settle tells the callers of messages how it ended, and makes room for the next.
func (l *line) settle(messages []*message, err error) {
	weight := int64(0)
	l.mu.Lock()
	for _, m := range messages {
		for _, r := range m.records {
			r.err = err
			weight += r.weight
			l.waiting.drop(r)
		}
	}
	l.mu.Unlock()
	for _, m := range messages {
		close(m.done)
	}
	l.room.Release(weight)
}

// failed decides what becomes of a flight: it rests and is sent again, or is cut
// up, or its callers hear of it.
func (l *line) failed(number uint64, f *flight, passes bool, err error) {
	if passes {
		l.trouble.Store(&err)
	}
	delete(l.flights, number)
	if f == l.ahead {
		l.board(f) // what failed is the batch, not its first message
	}
	if f.refused.IsZero() && errors.Is(err, ErrNoServer) {
		f.refused = time.Now()
	}
	denied := l.denied(f)
	if passes && denied == nil && f.tries < l.patience(f, err) {
		rest := min(20*time.Millisecond<<min(f.tries, 7), 2*time.Second)
		l.o.Logger.Debug("publishing; sending again", "tries", f.tries, "in", rest, "error", err)
		f.resting, f.until = true, time.Now().Add(rest)
		l.flights[number] = f
		return
	}
	if len(f.messages) > 1 {
		// One message may be what the server doesn't take; the others must not share
		// its fate. They leave one by one, those that fail again fail alone.
		for _, m := range f.messages {
			l.sent++
			l.flights[l.sent] = &flight{messages: []*message{m}, first: f.first, resting: true, unknown: f.unknown, until: time.Now()}
		}
		return
	}
	if denied != nil {
		err = denied
	}
	l.settle(f.messages, err)
}

// patience is how many tries a flight has. It is without end, for what fails may
// be the server; but when others arrive meanwhile and this one doesn't, it is the
// flight: a batch is cut up to see which message it is, and a message under a
// subject that nothing answers on goes back to its callers.
func (l *line) patience(f *flight, err error) int {
	const endless = int(^uint(0) >> 1)
	switch {
	case len(f.messages) > 1 && (l.success.After(f.first) || errors.Is(err, ErrUnknown)):
		return 3
	case errors.Is(err, ErrNoServer) && l.success.After(f.refused):
		return 8
	}
	return endless
}

// denied finds the permission that a flight lacks. The server says so beside the
// connection's traffic and never answers the message itself.
func (l *line) denied(f *flight) error {
	last := l.nc.LastError()
	if last == nil || !errors.Is(last, nats.ErrPermissionViolation) {
		return nil
	}
	for _, m := range f.messages {
		if strings.Contains(last.Error(), strconv.Quote(m.subject)) {
			return fmt.Errorf("%w: %w", ErrRefused, last)
		}
	}
	return nil
}

// earliest is when something is due.
func (l *line) earliest() time.Time {
	at := time.Now().Add(time.Hour)
	if !l.boards.IsZero() {
		at = l.boards
	}
	for _, f := range l.flights {
		if f.until.Before(at) {
			at = f.until
		}
	}
	return at
}

// overdue sends again what rested long enough, and gives up what had no answer.
func (l *line) overdue() {
	now := time.Now()
	if !l.boards.IsZero() && !l.boards.After(now) {
		l.follow()
	}
	for _, number := range slices.Sorted(maps.Keys(l.flights)) {
		f := l.flights[number]
		switch {
		case f.until.After(now):
		case f.resting:
			delete(l.flights, number)
			l.send(f)
		default:
			l.failed(number, f, true, ErrUnknown)
		}
	}
}

// abandon ends what is left when Close could not wait any longer.
func (l *line) abandon() {
	for _, f := range l.flights {
		err := ErrClosed
		if f.unknown {
			err = ErrUnknown
		}
		l.settle(f.messages, l.because(err))
	}
	l.mu.Lock()
	left := l.waiting.messages
	l.waiting.messages, l.waiting.open = nil, nil
	l.mu.Unlock()
	l.settle(left, l.because(ErrClosed))
}
