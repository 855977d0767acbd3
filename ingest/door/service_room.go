package door

import (
	"context"
	"sync"
	"sync/atomic"

	"annals/internal/problem"

	"github.com/nats-io/nats.go/micro"
)

// Places for requests that are being answered. Records have their own, so that
// nobody who asks for receipts keeps anybody from recording.
const (
	// maxRecordsAtOnce bounds the requests to record; more wait their turn.
	maxRecordsAtOnce = 256
	// maxReceiptsAtOnce bounds the requests for receipts, and maxReceiptsOfOne those
	// for one workspace's: accounts are held to workspaces, so this is what keeps one
	// tenant from the others' places. More are refused at once.
	maxReceiptsAtOnce = 256
	maxReceiptsOfOne  = 64
)

// answering makes the answer to a request, and says of what media type it is.
type answering func(context.Context) (body []byte, media string, err error)

// admit gives a request a place: it returns how to answer it, and what gives the
// place back. It returns neither where the service is closing.
type admit func(micro.Request) (answering, func(), error)

// recording takes a place for a record. It waits for one, and so do the requests
// behind it.
func (s *Service) recording(r micro.Request) (answering, func(), error) {
	select {
	case s.room <- struct{}{}:
	case <-s.ctx.Done():
		return nil, nil, nil
	}
	answer := func(ctx context.Context) ([]byte, string, error) { return s.post(ctx, r) }
	return answer, func() { <-s.room }, nil
}

// proving takes a place for a receipt.
func (s *Service) proving(r micro.Request) (answering, func(), error) {
	named, err := workspaceOf(r, SubjectReceipt)
	if err != nil {
		return nil, nil, err
	}
	q, digest, err := parseReceiptRequest(named, r.Data())
	if err != nil {
		return nil, nil, err
	}
	release, ok := s.receipts.take(q.Workspace)
	if !ok {
		return nil, nil, problem.New(problem.TooManyRequests, "so many receipts of the workspace, or of all, are waited for already; ask again in a moment")
	}
	return func(ctx context.Context) ([]byte, string, error) { return s.receipt(ctx, &q, digest) }, release, nil
}

// room is a number of places, some of them for each name.
type room struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

// take takes a place for a name; false: there is none.
func (r *room) take(name string) (release func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == r.all || r.by[name] == r.each {
		return nil, false
	}
	if r.by == nil {
		r.by = map[string]int{}
	}
	r.taken++
	r.by[name]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken--
		if r.by[name]--; r.by[name] == 0 {
			delete(r.by, name)
		}
	}, true
}

// end knows where the stream ends, as far as it has to: whoever asks for what lies
// behind it is told so, and waits for nothing.
type end struct {
	ask func(context.Context) (uint64, error)

	begun atomic.Uint64 // questions
	turn  chan struct{} // held by whoever asks; what follows is theirs
	got   uint64        // which question the answer is to
	last  uint64
	err   error
}

func newEnd(ask func(context.Context) (uint64, error)) *end {
	return &end{ask: ask, turn: make(chan struct{}, 1)}
}

// reaches reports whether the stream had the sequence when it was called, or later.
// All who come while the stream is being asked share the next answer.
func (e *end) reaches(ctx context.Context, sequence uint64) (bool, error) {
	came := e.begun.Load()
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-e.turn }()
	if sequence > e.last && e.got <= came {
		e.got = e.begun.Add(1)
		last, err := e.ask(ctx)
		e.err = err
		if err == nil {
			e.last = last
		}
	}
	if sequence <= e.last {
		return true, nil
	}
	return false, e.err
}
