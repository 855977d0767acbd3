package ingest

import (
	"context"
	"time"
)

// What the tests look at from outside of the package.

var (
	Get     = get
	GiveID  = giveID
	LacksID = lacksID
	ReadAck = readAck
)

// ReadThrough makes the reader go on through a consumer of the test's making.
func (r *Reader) ReadThrough(consumer string) (err error) {
	r.checked, r.heard = time.Now(), time.Now()
	r.pull, err = attach(r.nc, consumer)
	return err
}

// PullInbox and Pulled let tests put words into a reader's ear, and see them
// arrive.
func (r *Reader) PullInbox() string { return r.pull.inbox }

func (r *Reader) Pulled() int { return len(r.pull.in) }

// Hold is how long a batch waits for those whom the last one carried, where making
// the place for it took so long.
var Hold = hold

// HoldFor has another rule say it. It is to be called before anything is published.
func (p *Publisher) HoldFor(rule func(took time.Duration) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = rule
}

// Volley is how many messages leave by themselves, after such times were seen.
func Volley(place, sync []time.Duration) int {
	var p, s average
	for _, took := range place {
		p.add(took)
	}
	for _, took := range sync {
		s.add(took)
	}
	return volley(p, s)
}

// Slabs is the memory of records that wait or are under way.
type Slabs struct{ q queue }

// Keep copies a record in, Drop lets it go, Kept is what is there of it.
func (s *Slabs) Keep(record []byte) *Pending {
	r := new(Pending)
	s.q.keep(&PublisherOptions{AsIs: true}, record, r)
	return r
}

func (s *Slabs) Drop(r *Pending) { s.q.drop(r) }

func Kept(r *Pending) []byte { return r.bytes }

// NewMiddlewareThrough is [NewMiddleware] with something else than a publisher.
func NewMiddlewareThrough(o MiddlewareOptions, p func(context.Context, []byte) (func(context.Context) (Ack, error), error)) (*Middleware, error) {
	return newMiddleware(o, p)
}
