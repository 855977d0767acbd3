package query

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"annals/projections"
)

// stream is the life of a listener: it reads by the indexes up to where the hub
// is, then sends what the hub hands out, and begins anew where it fell behind.
type stream struct {
	*listener
	hub   *hub
	ctx   context.Context // ends with the client, or with the server
	item  *item
	after string // the id that was sent last
	spare []*event
	turn  *turn // among the queries, while it reads the indexes
}

// errHub says that the hub can't read. It has told the log.
var errHub = errors.New("query: the hub of the live tail can't read")

// errSlow says that a client took nothing while its queue filled.
var errSlow = errors.New("query: the listener is slow")

// writeError is a write that failed: the client has gone.
type writeError struct{ err error }

func (e *writeError) Error() string { return "query: write to a listener: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func (s *stream) run(b beginning) {
	err := s.begin(b)
	for err == nil {
		if err = s.join(); err == nil {
			err = s.listen()
		}
	}
	s.end(err)
}

// end tells the client why, where it can be told.
func (s *stream) end(err error) {
	reason := endFailed
	var writing *writeError
	switch {
	case errors.Is(err, errStalled):
		s.hub.metrics.end(endStalled)
		return
	case errors.As(err, &writing):
		return // the client has gone
	case s.hub.stopped.Err() != nil:
		reason = endStopping
	case s.ctx.Err() != nil:
		return
	case errors.Is(err, errSlow):
		reason = endSlow
	case errors.Is(err, errHub):
	default:
		s.hub.api.o.Logger.Error("a tail can't be read", "error", err)
	}
	s.hub.metrics.end(reason)
	_ = s.write(appendEnd(appendRetry(nil, s.hub.retry()), reason, s.after)) // it may have gone
}

// retry is when a client shall come again: not all of them at the same moment.
func (h *hub) retry() time.Duration { return h.o.Retry + rand.N(h.o.Retry/2+1) }

// patience is how long a client may take no bytes: a thousand that stall together are not
// cut, and don't come again, together.
func (h *hub) patience() time.Duration { return h.o.WriteTimeout + rand.N(h.o.WriteTimeout/2+1) }

// begin sends the head, and the newest entries where they were asked for.
func (s *stream) begin(b beginning) error {
	first := appendRetry(nil, s.hub.retry())
	if b.newest == 0 {
		// So that a client that comes again before anything happened misses nothing.
		s.after = b.id
		return s.send(appendID(first, b.id))
	}
	if err := s.send(first); err != nil {
		return err
	}
	indexes, err := s.newest(b.newest)
	for err == nil && len(indexes) > 0 {
		var n int
		if n, err = s.portion(indexes); err == nil {
			indexes = indexes[n:]
		}
	}
	if err != nil {
		return err
	}
	return s.mark()
}

// newest finds the newest entries, oldest first, and moves next behind what the
// indexes hold.
func (s *stream) newest(n int) (indexes []uint64, err error) {
	s.next, _ = s.hub.api.o.Projections.Cursor()
	if s.next == 0 {
		return nil, nil
	}
	q := s.query
	for q.To = s.next; ; {
		q.Limit = n - len(indexes)
		page, err := s.page(&q)
		if err != nil {
			return nil, err
		}
		indexes = append(indexes, page.Indexes...)
		if len(indexes) >= n || !page.More {
			slices.Reverse(indexes)
			return indexes, nil
		}
		q.After = &page.Last
		if err := s.send(heartbeat); err != nil { // the search takes long
			return nil, err
		}
	}
}

// page asks the indexes.
func (s *stream) page(q *projections.Query) (page projections.Page, err error) {
	err = s.reading(func() error {
		view, err := s.hub.api.o.Projections.View()
		if err != nil {
			return err
		}
		defer view.Close()
		page, err = view.Page(projections.WithPace(s.ctx, s.turn.pace), *q)
		return err
	})
	return page, err
}

// joinWithin is how far behind the indexes a listener may be to be handed what
// comes while it reads the rest: farther, its queue would fill meanwhile.
const joinWithin = 1024

// join reads what the listener lacks, and has the hub hand out what follows.
func (s *stream) join() error {
	for {
		cursor, _ := s.hub.api.o.Projections.Cursor()
		if cursor <= s.next+joinWithin {
			break
		}
		if err := s.read(cursor); err != nil {
			return err
		}
	}
	return s.read(s.hub.attach(s.listener))
}

// read sends what is asked for of the entries up to, not including, to.
func (s *stream) read(to uint64) error {
	for s.next < to {
		if err := s.waitFor(to); err != nil {
			return err
		}
		before := s.after
		if err := s.readOn(to); err != nil {
			return err
		}
		// A search that finds nothing for long is not begun again by a client that
		// was cut off meanwhile.
		if s.after == before && s.next < to {
			if err := s.mark(); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitFor waits until the indexes hold the entries up to an index: those that are
// folded anew may be behind what was sent before.
func (s *stream) waitFor(to uint64) error {
	for {
		ctx, cancel := context.WithTimeout(s.ctx, s.hub.o.Heartbeat)
		err := s.hub.api.o.Projections.Wait(ctx, to)
		cancel()
		if s.ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := s.send(heartbeat); err != nil {
			return err
		}
	}
}

// readOn sends a page of the indexes, and moves next behind it.
func (s *stream) readOn(to uint64) error {
	q := s.query
	q.From, q.To, q.Oldest, q.Limit = s.next, to, true, portionEntries
	page, err := s.page(&q)
	if err != nil {
		return err
	}
	for indexes := page.Indexes; len(indexes) > 0; {
		n, err := s.portion(indexes)
		if err != nil {
			return err
		}
		indexes = indexes[n:]
	}
	if s.next = to; page.More {
		s.next = page.Last.Index + 1
	}
	return nil
}

// reading runs f while few others read: a thousand listeners that fell behind at
// once must not keep records from being recorded.
func (s *stream) reading(f func() error) error {
	select {
	case s.hub.reading <- struct{}{}:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	defer func() { <-s.hub.reading }()
	defer s.turn.leave()
	if err := s.turn.pace(); err != nil {
		return err
	}
	return f()
}

// listen sends what the hub hands out. It returns nil when the hub does so no
// more.
func (s *stream) listen() error {
	beat := time.NewTicker(s.hub.o.Heartbeat)
	defer beat.Stop()
	for {
		var what state
		s.spare, what = s.take(s.spare)
		switch what {
		case toSend:
			if err := s.sendAll(s.spare); err != nil {
				return err
			}
			beat.Reset(s.hub.o.Heartbeat)
			continue
		case toRead:
			return nil
		case tooSlow:
			return errSlow
		case failed:
			return errHub
		}
		select {
		case <-s.wake:
		case <-beat.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// sendAll sends events, several in a write.
func (s *stream) sendAll(events []*event) error {
	buffer := portions.Get().(*[]byte)
	defer release(buffer)
	for len(events) > 0 {
		b, n := events[0].text, 1
		if len(b) < portionBytes {
			b = append((*buffer)[:0], b...)
		}
		for n < len(events) && len(b)+len(events[n].text) <= portionBytes {
			b = append(b, events[n].text...)
			n++
		}
		if err := s.send(b); err != nil {
			return err
		}
		last := events[n-1]
		s.after = idIn(last.text)
		s.sent(events[:n])
		s.hub.metrics.events.Add(float64(n))
		events = events[n:]
	}
	return nil
}

var heartbeat = []byte(":\n\n")

// beat shows that the stream lives, and how far the client has been asked: by the
// workspace's own entries.
func (s *stream) beat() error {
	at, idle := s.hub.idle(s.listener)
	if !idle {
		return nil // something is about to be sent
	}
	b, err := s.upTo(append([]byte(nil), heartbeat...), at)
	if err != nil {
		return err
	}
	return s.send(b)
}

// mark sends how far the client has been asked.
func (s *stream) mark() error {
	b, err := s.upTo(nil, s.next)
	if err != nil || len(b) == 0 {
		return err
	}
	return s.send(b)
}

// upTo appends the id of the workspace's last entry before an index, where that is
// news: an entry of another's says how much is recorded there, and when.
func (s *stream) upTo(b []byte, index uint64) ([]byte, error) {
	id, err := s.hub.idBefore(s.ctx, s.query.Workspace, index)
	if err != nil || id <= s.after {
		return b, err
	}
	s.after = id
	return appendID(b, id), nil
}

// send writes, unless the stream is to end.
func (s *stream) send(b []byte) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := s.write(b); err != nil {
		return &writeError{err}
	}
	return nil
}
