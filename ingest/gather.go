package ingest

import "bytes"

// message is one message in the making, or on its way.
type message struct {
	subject string
	records []*Pending
	size    int           // bytes of its body
	done    chan struct{} // closed once its records are acknowledged or refused
	only    [1]*Pending   // the records, while there is one
}

// ndjson reports whether the body has to be read as lines. One record without
// the content type is simply the record.
func (m *message) ndjson() bool { return len(m.records) > 1 }

// body is the message's, the records with an LF between two: one record's own
// bytes, or more than one in scratch, which is returned for the next message.
func (m *message) body(scratch []byte) (body, again []byte) {
	if !m.ndjson() {
		return m.records[0].bytes, scratch
	}
	scratch = scratch[:0]
	for i, r := range m.records {
		if i > 0 {
			scratch = append(scratch, '\n')
		}
		scratch = append(scratch, r.bytes...)
	}
	return scratch, scratch
}

// queue is what waits to be sent, in the order it came. A subject's last message
// stays open for more records until it is full or leaves.
type queue struct {
	messages  []*message
	open      map[string]*message
	records   int
	bytes     int
	published uint64 // records so far
	subject   []byte // of the record that is being added
	slabs
}

// add puts a record in: at the end of its subject's open message, or in one of
// its own.
func (q *queue) add(o *PublisherOptions, workspace, typ string, record []byte, r *Pending) {
	q.subject = append(append(append(append(append(q.subject[:0], o.Root...), '.'), workspace...), '.'), typ...)
	// A record with a raw LF can't be a line.
	alone := bytes.IndexByte(record, '\n') >= 0
	m := q.open[string(q.subject)]
	if m == nil || alone || len(m.records) >= o.MaxLines || m.size+1+len(record)+idRoom > o.MaxMessage {
		if alone || m != nil {
			delete(q.open, string(q.subject)) // what comes next must not overtake this one
		}
		m = &message{subject: string(q.subject), done: make(chan struct{})}
		m.records = m.only[:0]
		q.messages = append(q.messages, m)
		if !alone && o.MaxLines > 1 {
			q.open[m.subject] = m
		}
	}
	before := m.size
	if len(m.records) > 0 {
		m.size++
	}
	q.keep(o, record, r)
	m.size += len(r.bytes)
	r.done = m.done
	m.records = append(m.records, r)
	q.bytes += m.size - before
	q.records++
	q.published++
}

// keep copies a record into a slab, and gives it an id where it lacks one.
func (q *queue) keep(o *PublisherOptions, record []byte, r *Pending) {
	s := q.room(len(record) + idRoom)
	at := len(s.bytes)
	if o.AsIs || o.Root == RootVouched {
		s.bytes = append(s.bytes, record...)
	} else {
		s.bytes, r.ack.ID = giveID(s.bytes, record)
	}
	r.slab, r.bytes = s, s.bytes[at:len(s.bytes):len(s.bytes)]
	s.records++
}

// full reports whether there is enough for a whole flight.
func (q *queue) full(o *PublisherOptions) bool {
	return q.bytes >= flightBytes || len(q.messages) >= o.MaxBatch
}

// take removes what leaves with the next flight: the oldest messages, up to a
// number and a flight's bytes, and at least one.
func (q *queue) take(most int) []*message {
	n, size := 0, 0
	for n < len(q.messages) && n < most && (n == 0 || size+q.messages[n].size <= flightBytes) {
		m := q.messages[n]
		size += m.size
		q.records -= len(m.records)
		if q.open[m.subject] == m {
			delete(q.open, m.subject)
		}
		n++
	}
	taken := q.messages[:n:n]
	if q.messages = q.messages[n:]; len(q.messages) == 0 {
		q.messages = nil
	}
	q.bytes -= size
	return taken
}

// slab is memory for records, one behind the other.
type slab struct {
	bytes   []byte
	records int // in it, that are not settled
}

const (
	slabSize  = 256 << 10
	maxSpared = 16 // slabs that wait to be used again
)

// slabs hand out room for records and take it back, so that it is not made anew
// for each.
type slabs struct {
	filling *slab
	spared  []*slab
}

// room returns a slab with room for so many bytes more.
func (s *slabs) room(n int) *slab {
	switch f := s.filling; {
	case f != nil && len(f.bytes)+n <= cap(f.bytes):
		return f
	case n > slabSize:
		return &slab{bytes: make([]byte, 0, n)}
	}
	if last := len(s.spared) - 1; last >= 0 {
		s.filling, s.spared = s.spared[last], s.spared[:last]
	} else {
		s.filling = &slab{bytes: make([]byte, 0, slabSize)}
	}
	return s.filling
}

// drop takes back a record's room once it is settled.
func (s *slabs) drop(r *Pending) {
	f := r.slab
	r.slab, r.bytes = nil, nil
	if f.records--; f.records > 0 {
		return
	}
	f.bytes = f.bytes[:0]
	if f != s.filling && cap(f.bytes) == slabSize && len(s.spared) < maxSpared {
		s.spared = append(s.spared, f)
	}
}
