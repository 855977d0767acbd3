package query

import (
	"bytes"
	"strconv"
	"time"

	"annals/ledger/chain"
)

// A tail is a stream of server-sent events (WHATWG HTML, 9.2): lines of fields,
// each event ended by an empty line.

// eventStream is their media type.
const eventStream = "text/event-stream"

// event is an entry as it is sent, to however many listeners.
type event struct {
	index    uint64
	text     []byte
	erasures uint64 // how many the ledger had before the entry was read
}

// newEvent prints an entry, in space of its own size: what waits in a queue must
// not hold on to more than is counted.
func newEvent(it *item, leaf *chain.Leaf) (*event, error) {
	scratch := buffers.get()
	defer buffers.put(scratch)
	b, err := appendEvent((*scratch)[:0], it, leaf)
	if err != nil {
		return nil, err
	}
	*scratch = b
	return &event{index: leaf.Entry.Index, text: bytes.Clone(b)}, nil
}

// appendEvent appends an entry as an event: its ULID is the event's id, its item
// as on a page the data.
func appendEvent(b []byte, it *item, leaf *chain.Leaf) ([]byte, error) {
	b = append(b, "id: "...)
	b = append(b, make([]byte, 26)...)
	if err := leaf.Entry.ULID.MarshalTextTo(b[len(b)-26:]); err != nil {
		return b, err
	}
	b = append(b, "\nevent: record\ndata: "...)
	start := len(b)
	hash := leaf.Hash
	if hash == (chain.Hash{}) {
		hash = chain.LeafHash(leaf.Raw)
	}
	b, err := it.append(b, leaf, hash)
	if err != nil {
		return b, err
	}
	return append(inLines(b, start), "\n\n"...), nil
}

// idIn returns the id that an event's text begins with.
func idIn(text []byte) string { return string(text[len("id: "):][:26]) }

// inLines breaks the data that begins at start into as many data fields as it has
// lines: the client puts a line feed between two of them. A record may have been
// published with line ends between its tokens; within strings JSON allows none. A
// carriage return would end a line by itself and come back as a line feed, so it
// is sent as a space: which white space stands between two tokens means nothing.
func inLines(b []byte, start int) []byte {
	data := b[start:]
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		return b
	}
	for i := range data {
		if data[i] == '\r' {
			data[i] = ' '
		}
	}
	return append(b[:start], bytes.ReplaceAll(data, []byte("\n"), []byte("\ndata: "))...)
}

// appendID appends an event of nothing but an id. No listener of the client's
// hears of it, but the client goes on from there when it comes again (9.2.6).
func appendID(b []byte, ulid string) []byte {
	b = append(b, "id: "...)
	b = append(b, ulid...)
	return append(b, "\n\n"...)
}

// appendRetry appends after how long a client shall come again.
func appendRetry(b []byte, after time.Duration) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, after.Milliseconds(), 10)
	return append(b, "\n\n"...)
}

// Reasons why a stream ends. Each is the end of an event's data, and stands in
// the metrics.
const (
	endSlow     = "slow"     // the client took nothing while its queue filled
	endStalled  = "stalled"  // the client took nothing at all: it isn't told
	endStopping = "stopping" // the server stops
	endFailed   = "failed"   // the ledger or its indexes can't be read
)

var endAdvice = map[string]string{
	endSlow:     "what was sent was not read in time; connect again with this id, and read faster",
	endStopping: "the server stops; connect again with this id in a moment",
	endFailed:   "the server can't read on; connect again with this id, and look at /readyz where it lasts",
}

// appendEnd appends the last event: stopping, or dropped. after is the id to go on
// after, "" where nothing was sent.
func appendEnd(b []byte, reason, after string) []byte {
	b = append(b, "event: "...)
	if reason == endStopping {
		b = append(b, "stopping"...)
	} else {
		b = append(b, "dropped"...)
	}
	b = append(b, "\ndata: {\"reason\":\""...)
	b = append(b, reason...)
	b = append(b, "\",\"detail\":\""...)
	b = append(b, endAdvice[reason]...)
	if after != "" {
		b = append(b, "\",\"after\":\""...)
		b = append(b, after...)
	}
	return append(b, "\"}\n\n"...)
}
