package chain

import (
	"bytes"
	"strings"

	"annals/activity"
)

// format is what a message's headers say that a body is.
type format uint8

const (
	aRecord        format = iota
	structuredMode        // a CloudEvent in the JSON event format
	binaryMode            // a CloudEvent whose attributes are headers
	unreadable            // a CloudEvent in a format that nobody reads
)

// structuredMedia begins the content type of every event in structured mode.
const structuredMedia = "application/cloudevents"

// formatOf says what the bodies of a message on activity. are, by its retained headers
// (NATS binding of CloudEvents 1.0, 3). On vouched. each frame says it for its record.
func formatOf(header map[string][]string) format {
	if len(header) == 0 || isNDJSON(header) {
		return aRecord
	}
	if content := header["Content-Type"]; len(content) == 1 {
		media, _, _ := strings.Cut(strings.ToLower(strings.Trim(content[0], " \t")), ";")
		switch rest, is := strings.CutPrefix(strings.TrimRight(media, " \t"), structuredMedia); {
		case is && (rest == "" || rest == "+json"):
			return structuredMode
		case is && (rest[0] == '+' || rest[0] == '-'):
			return unreadable // another format of events, or a batch of them
		}
	}
	if len(header["ce-specversion"]) > 0 {
		return binaryMode
	}
	return aRecord
}

// eventOf takes the event apart that a body on activity. is. headers are the retained
// ones, as name and value in turn.
func eventOf(as format, headers []string, body []byte) (activity.Event, *activity.Refusal) {
	switch as {
	case structuredMode:
		return activity.ParseEvent(body)
	case binaryMode:
		return activity.ParseBinaryEvent(headers, body)
	}
	return activity.Event{}, &activity.Refusal{Code: activity.CodeUnsupportedEvent, Detail: activity.CodeUnsupportedEvent.Advice()}
}

// EventOf reports whether the body of a message on activity. is an event, by its headers
// and as [FoldEvents] reads it, and returns the record that it tells, or why it tells
// none. A door asks it of what it is about to publish.
func EventOf(header map[string][]string, body []byte) (told []byte, is bool, bad *activity.Refusal) {
	as := formatOf(header)
	if as == aRecord {
		return nil, false, nil
	}
	envelope, within := appendEnvelope(nil, "", header)
	if !within {
		return nil, true, &activity.Refusal{Code: activity.CodeInvalidEvent, Detail: "the event's headers are too large: " + reasons[CodeHeaders].sentence}
	}
	retained := Payload{Envelope: envelope}
	told, bad = toldBy(eventOf(as, retained.Headers(), body))
	return told, true, bad
}

// toldBy returns the record that an event tells.
func toldBy(e activity.Event, bad *activity.Refusal) ([]byte, *activity.Refusal) {
	if bad != nil {
		return nil, bad
	}
	return e.AppendRecord(nil)
}

// headersOf returns the retained headers of an envelope as a map.
func headersOf(pairs []string) map[string][]string {
	if len(pairs) == 0 {
		return nil
	}
	header := make(map[string][]string, len(pairs)/2)
	for ; len(pairs) > 1; pairs = pairs[2:] {
		header[pairs[0]] = append(header[pairs[0]], pairs[1])
	}
	return header
}

// Event takes the event apart that an entry's record is; ok is false where it is none,
// or isn't there.
func (l *Leaf) Event() (e activity.Event, ok bool) {
	if l.Entry.Flags&FlagEvent == 0 {
		return e, false
	}
	_, record := l.Record()
	if record == nil {
		return e, false
	}
	as, headers := structuredMode, []string(nil)
	if l.Subject().Root == RootActivity {
		headers = l.Payload.Headers()
		as = formatOf(headersOf(headers))
	}
	e, bad := eventOf(as, headers, record)
	return e, bad == nil
}

// Shown returns what a timeline shows of an entry: the record that it tells, and the
// door's own words. It is what [Leaf.Record] returns, but of an event the record that it
// tells. Whoever reads what a record says reads this one, everywhere: the fold did.
func (l *Leaf) Shown() (door, record []byte) {
	door, record = l.Record()
	if l.Entry.Flags&FlagEvent == 0 || record == nil {
		return door, record
	}
	e, ok := l.Event()
	if !ok {
		return door, nil
	}
	told, bad := e.AppendRecord(nil)
	if bad != nil {
		return door, nil
	}
	return door, told
}

// attributes returns what of an envelope says which event a body is the data of: the
// encoded headers but those of tracing. With them, and the record bytes, events in
// binary mode are the same or not.
func attributes(envelope []byte) []byte {
	p := Payload{Envelope: envelope}
	var b []byte
	for pairs := p.Headers(); len(pairs) > 1; pairs = pairs[2:] {
		if name := pairs[0]; name != "traceparent" && name != "tracestate" {
			b = be16(b, len(name))
			b = append(b, name...)
			b = be32(b, len(pairs[1]))
			b = append(b, pairs[1]...)
		}
	}
	return b
}

// Attributes returns what has to be the same besides the record bytes for an entry to
// be a duplicate: of an event in binary mode its attributes, else nil.
func (l *Leaf) Attributes() []byte {
	if l.Entry.Flags&FlagEvent == 0 || l.Payload == nil || l.Subject().Root != RootActivity ||
		formatOf(headersOf(l.Payload.Headers())) != binaryMode {
		return nil
	}
	return attributes(l.Payload.Envelope)
}

// OriginalOf is what the fold has to be told of the first record under a dedupe key:
// the entry at an index, whose payload is p; nil where that is erased.
func OriginalOf(index uint64, p *Payload) Original {
	o := Original{Index: index}
	if p == nil || p.Kept == KeptNone {
		return o
	}
	leaf := Leaf{Entry: Entry{Kind: KindRecord}, Payload: p}
	_, o.Record = leaf.Record()
	if !p.vouched() {
		o.Attributes = attributes(p.Envelope)
	}
	return o
}

// Same reports whether a record is the original again: the same record bytes and, of
// an event in binary mode, the same attributes; attributes is nil of any other. The
// original isn't erased.
func (o *Original) Same(record, attributes []byte) bool {
	return bytes.Equal(o.Record, record) && (attributes == nil || bytes.Equal(o.Attributes, attributes))
}

// tell decides whether an item is an event, by a version of the fold that reads them,
// and returns the record that it tells; of any other item the record that it is.
func (i *Item) tell(out *Prepared, subject Subject, door *activity.Door, record []byte) ([]byte, *activity.Refusal) {
	as, headers := aRecord, []string(nil)
	switch {
	case subject.Root == RootVouched:
		if door.Format == activity.FormatEvent {
			as = structuredMode
		}
	default:
		as = formatOf(out.message.Header)
	}
	if as == aRecord {
		return record, nil
	}
	if as == binaryMode {
		p := Payload{Envelope: out.envelope}
		headers = p.Headers()
		i.attributes = attributes(out.envelope)
	}
	i.event = true
	return toldBy(eventOf(as, headers, record))
}
