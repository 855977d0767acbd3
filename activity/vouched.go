package activity

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The grades a door may vouch for: how it knows who acted.
const (
	GradeAnonymous = "anonymous" // nobody was identified
	GradeAsserted  = "asserted"  // the producer says so
	GradeDelegated = "delegated" // a producer we know acted for a user we know
	GradeVerified  = "verified"  // the actor's own token was checked
)

// Door is what a door vouches for beside the record it was given.
type Door struct {
	Grade        string `json:"grade"`                  // one of the four grades
	Producer     string `json:"producer"`               // scope of deduplication: the token's subject, or ""
	ID           string `json:"id,omitzero"`            // event id given by the door when the record has none
	Subject      string `json:"subject,omitzero"`       // the token's subject
	RemoteAddr   string `json:"remote_addr,omitzero"`   // the peer's address
	ForwardedFor string `json:"forwarded_for,omitzero"` // the address a proxy names
	RequestID    string `json:"request_id,omitzero"`
	// Format is [FormatEvent] where the record is a CloudEvent, which it is from fold
	// version 2 on. Anything else that a door says there is passed over.
	Format string `json:"format,omitzero"`
	// Trace is for who looks at a frame, and is published where it has a Parent.
	// [SplitVouched] passes over it, whatever a door says there.
	Trace Trace `json:"trace,omitzero"`
}

// Vouched is a frame taken apart: {"door":{…},"record":…}. The raw slices alias
// the body; Record is body[RecordStart:RecordEnd], exactly the record value,
// without white space around it.
type Vouched struct {
	Door                   Door
	DoorRaw, Record        []byte
	RecordStart, RecordEnd int
}

// Scope returns the producer and the event id under which a vouched record is
// deduplicated: the door's producer, and the record's own id or else the
// door's. Both ids at once are a refusal: which of them counts would be a guess.
func (d *Door) Scope(k *Keys) (producer, id string, r *Refusal) {
	switch {
	case k.ID != "" && d.ID != "":
		return "", "", refuse(CodeTwoIDs, "/id", "the record has an id, so the door gives none")
	case k.ID != "":
		return d.Producer, k.ID, nil
	}
	return d.Producer, d.ID, nil
}

// AppendVouched appends the frame that a door publishes: the door's object,
// then record's bytes untouched. record is one JSON value; white space around
// it stays in the frame but is not part of the value that [SplitVouched] finds.
func AppendVouched(dst []byte, d Door, record []byte) []byte {
	dst = append(dst, `{"door":{"grade":`...)
	dst = appendString(dst, d.Grade)
	dst = append(dst, `,"producer":`...)
	dst = appendString(dst, d.Producer)
	for _, m := range [...]struct{ name, value string }{
		{`,"id":`, d.ID},
		{`,"subject":`, d.Subject},
		{`,"remote_addr":`, d.RemoteAddr},
		{`,"forwarded_for":`, d.ForwardedFor},
		{`,"request_id":`, d.RequestID},
		{`,"format":`, d.Format},
	} {
		if m.value != "" {
			dst = append(dst, m.name...)
			dst = appendString(dst, m.value)
		}
	}
	if d.Trace.Parent != "" {
		dst = append(dst, `,"trace":{"traceparent":`...)
		dst = appendString(dst, d.Trace.Parent)
		if d.Trace.State != "" {
			dst = append(dst, `,"tracestate":`...)
			dst = appendString(dst, d.Trace.State)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `},"record":`...)
	dst = append(dst, record...)
	return append(dst, '}')
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD,
// which is the error that AppendQuote would report: addresses and tokens come
// from outside, and a door must be able to vouch for what it saw of them.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// SplitVouched takes a vouched frame apart: an object of exactly the members
// door and record, in either order, their names spelt without escapes.
//
// The door is checked in full: strict JSON of at most [MaxDoor] bytes with a
// known grade and a producer, known members being strings, unknown ones
// ignored. Of the record only the extent is found, by its brackets and quotes:
// whether the bytes in between are a record is for [Scan], with pointers that
// the producer understands. A frame that SplitVouched and Scan both accept is
// valid JSON. Refusals: CodeRecordTooLarge, CodeEmpty, CodeInvalidDoor, and for
// the door's own strings CodeIDTooLong and CodeProducerTooLong.
func SplitVouched(body []byte) (v Vouched, r *Refusal) {
	if len(body) > MaxVouched {
		return Vouched{}, refuse(CodeRecordTooLarge, "", "a vouched frame has at most "+strconv.Itoa(MaxVouched)+" bytes, this one has "+strconv.Itoa(len(body)))
	}
	i := skipSpace(body, 0)
	if i == len(body) {
		return Vouched{}, refuse(CodeEmpty, "", "there is no frame here, only white space or nothing")
	}
	if body[i] != '{' {
		return Vouched{}, brokenFrame("", i)
	}
	i++
	for n := range 2 {
		i = skipSpace(body, i)
		name, rest := frameName(body[i:])
		if name == "" || name == "/door" && v.DoorRaw != nil || name == "/record" && v.Record != nil {
			return Vouched{}, brokenFrame("", i)
		}
		i = skipSpace(body, len(body)-len(rest))
		if i == len(body) || body[i] != ':' {
			return Vouched{}, brokenFrame(name, i)
		}
		start := skipSpace(body, i+1)
		i = endOfValue(body, start)
		if i < 0 || i == start {
			return Vouched{}, brokenFrame(name, start)
		}
		if name == "/door" {
			v.DoorRaw = body[start:i:i]
		} else {
			v.Record, v.RecordStart, v.RecordEnd = body[start:i:i], start, i
		}
		i = skipSpace(body, i)
		if i == len(body) || body[i] != ",}"[n] {
			return Vouched{}, brokenFrame("", i)
		}
		i++
	}
	if i = skipSpace(body, i); i != len(body) {
		return Vouched{}, brokenFrame("", i)
	}
	if v.Door, r = parseDoor(v.DoorRaw); r != nil {
		return Vouched{}, r
	}
	return v, nil
}

func brokenFrame(pointer string, at int) *Refusal {
	return refuse(CodeInvalidDoor, pointer, `a door publishes {"door":{…},"record":…} and nothing else; this frame breaks at byte `+strconv.Itoa(at))
}

// frameName returns the pointer of the member whose quoted name b starts with,
// and what follows the name; "" for any other start.
func frameName(b []byte) (pointer string, rest []byte) {
	if rest, ok := bytes.CutPrefix(b, []byte(`"door"`)); ok {
		return "/door", rest
	}
	if rest, ok := bytes.CutPrefix(b, []byte(`"record"`)); ok {
		return "/record", rest
	}
	return "", b
}

// endOfValue returns the index after the value that starts at b[i]: after the
// bracket or quote that closes it, or before the next delimiter; -1 when it is
// never closed. It checks nothing else.
func endOfValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // a bare word ended by the frame's own bracket
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if i >= len(b) {
				return -1
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}

// parseDoor reads a door strictly: what it says decides deduplication and the
// grade of attribution, so nothing in it may be read in two ways.
func parseDoor(raw []byte) (d Door, r *Refusal) {
	if len(raw) > MaxDoor {
		return Door{}, refuse(CodeInvalidDoor, "/door", "a door has at most "+strconv.Itoa(MaxDoor)+" bytes, this one has "+strconv.Itoa(len(raw)))
	}
	if raw[0] != '{' {
		return Door{}, refuse(CodeInvalidDoor, "/door", "the door is an object")
	}
	s := scanners.Get().(*scanner)
	defer func() {
		s.forget()
		scanners.Put(s)
	}()
	if r := s.scanDoor(raw, &d); r != nil {
		return Door{}, r
	}
	return d, nil
}

func (s *scanner) scanDoor(raw []byte, d *Door) *Refusal {
	s.use(raw)
	if _, err := s.decoder.ReadToken(); err != nil {
		return doorRefusal(err)
	}
	producer := false // named, if only as ""
	for s.decoder.PeekKind() == '"' {
		quoted, err := s.decoder.ReadValue()
		if err != nil {
			return doorRefusal(err)
		}
		name := s.unquoteName(s.last(quoted))
		into := d.member(name)
		if into == nil && string(name) == "format" && s.decoder.PeekKind() == '"' {
			into = &d.Format // of another type it is passed over, as it was before it had a meaning
		}
		if into == nil {
			if r := s.skipDoorValue(); r != nil {
				return r
			}
			continue
		}
		value, err := s.decoder.ReadValue()
		if err != nil {
			return doorRefusal(err)
		}
		if value.Kind() != '"' {
			return refuse(CodeInvalidDoor, "/door/"+string(name), "this member of the door is a string")
		}
		*into = s.text(s.last(value))
		producer = producer || into == &d.Producer
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return doorRefusal(err)
	}
	if end := int(s.decoder.InputOffset()); end != len(raw) {
		return refuse(CodeInvalidDoor, "/door", "the door's object ends at its byte "+strconv.Itoa(end)+" and something else follows")
	}
	switch d.Grade {
	case GradeAnonymous, GradeAsserted, GradeDelegated, GradeVerified:
	default:
		return refuse(CodeInvalidDoor, "/door/grade", "the grade is anonymous, asserted, delegated or verified, unlike "+quote(d.Grade))
	}
	switch {
	case !producer:
		return refuse(CodeInvalidDoor, "/door/producer", `the door names its producer, or says "" for none`)
	case len(d.ID) > MaxID:
		return tooLong("/door/id", len(d.ID))
	case len(d.Producer) > MaxProducer:
		return producerTooLong("/door/producer", len(d.Producer))
	}
	return nil
}

// last returns the value that the decoder has just read as a slice of the
// input, which, unlike the decoder's own, stays valid.
func (s *scanner) last(v jsontext.Value) []byte {
	end := int(s.decoder.InputOffset())
	return s.body[end-len(v) : end]
}

// skipDoorValue passes over a member that a later door may add. Pages show the
// door as it stands, so it nests no deeper than a record may.
func (s *scanner) skipDoorValue() *Refusal {
	for {
		if _, err := s.decoder.ReadToken(); err != nil {
			return doorRefusal(err)
		}
		switch depth := s.decoder.StackDepth(); {
		case depth > MaxDepth:
			return refuse(CodeInvalidDoor, "/door"+string(s.decoder.StackPointer()), "a door nests at most "+strconv.Itoa(MaxDepth)+" objects and arrays")
		case depth == 1:
			return nil
		}
	}
}

// member returns the string of d that a door calls name, nil for an unknown
// member.
func (d *Door) member(name []byte) *string {
	switch string(name) {
	case "grade":
		return &d.Grade
	case "producer":
		return &d.Producer
	case "id":
		return &d.ID
	case "subject":
		return &d.Subject
	case "remote_addr":
		return &d.RemoteAddr
	case "forwarded_for":
		return &d.ForwardedFor
	case "request_id":
		return &d.RequestID
	}
	return nil
}

// doorRefusal names what the decoder stopped at inside the door.
func doorRefusal(err error) *Refusal {
	r := syntaxRefusal(err)
	return refuse(CodeInvalidDoor, "/door"+r.Pointer, r.Detail)
}
