package activity

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// EventVersion is the one version of CloudEvents that is read.
const EventVersion = "1.0"

// FormatEvent is what [Door.Format] says of a record that is a CloudEvent in the
// JSON event format.
const FormatEvent = "cloudevents"

// Event is a CloudEvent 1.0 taken apart: its attributes by name, as strings in their
// canonical form, and its data as a JSON value. It comes from either of the two
// content modes ([ParseEvent], [ParseBinaryEvent]).
//
// What an event tells is a record, which [Event.AppendRecord] prints: one function
// for the fold, the indexes and every page. Its output is part of the format
// (docs/format/cloudevents.md).
type Event struct {
	Attributes []Attribute // ascending by name, none twice, none empty
	// Data is a JSON value, nil where there is none: the data itself; text as a
	// string; other bytes, where Base64 is set, as a string of RFC 4648 base64.
	Data   []byte
	Base64 bool
}

// Attribute is one context attribute of an event, an extension's among them.
type Attribute struct{ Name, Value string }

// Get returns an attribute's value, "" where the event has none.
func (e *Event) Get(name string) string {
	at, found := slices.BinarySearchFunc(e.Attributes, name, func(a Attribute, name string) int { return strings.Compare(a.Name, name) })
	if !found {
		return ""
	}
	return e.Attributes[at].Value
}

// ParseEvent takes an event in the JSON event format apart, as structured mode has
// it. Order of verdicts: what [Scan] says of bytes that are no JSON object within
// its bounds; then what is wrong with a member, in byte order; then, by
// [Event.check], which attributes are missing.
func ParseEvent(body []byte) (Event, *Refusal) {
	if r := object(body); r != nil {
		return Event{}, r
	}
	var e Event
	var bad *Refusal
	Walk(body, func(quoted, value []byte) bool {
		bad = e.member(quoted, value)
		return bad == nil
	})
	if bad == nil {
		bad = e.check()
	}
	if bad != nil {
		return Event{}, bad
	}
	return e, nil
}

// member takes one member of an event's object over. null is as good as absent.
func (e *Event) member(quoted, value []byte) *Refusal {
	name := unquoted(quoted)
	kind := jsontext.Value(value).Kind()
	switch {
	case kind == 'n':
		return nil
	case name == "data" || name == "data_base64":
		if e.Data != nil {
			return invalidEvent(name, "an event has data or data_base64, not both")
		}
		e.Data, e.Base64 = value, name == "data_base64"
		if e.Base64 && !isBase64(value) {
			return invalidEvent(name, "this is no string of base64 (RFC 4648, section 4, padded, in one line)")
		}
		return nil
	case !validAttribute(name):
		return refuse(CodeInvalidEvent, string(jsontext.Pointer("").AppendToken(name)), "an attribute's name has the characters a-z 0-9 only, unlike "+quote(name))
	}
	text := string(value)
	switch {
	case kind == '"':
		text = unquoted(value)
	case contextAttribute(name):
		return invalidEvent(name, "this attribute is a string")
	case kind == 't' || kind == 'f':
	case kind == '0' && isInteger(value):
	default:
		return invalidEvent(name, "an attribute is a string, a boolean or an integer of 32 bits; what has more to it belongs into data")
	}
	e.set(name, text)
	return nil
}

// set adds an attribute; an empty one counts as absent.
func (e *Event) set(name, value string) {
	if value != "" {
		e.Attributes = append(e.Attributes, Attribute{name, value})
	}
}

// check sorts the attributes, and holds the event to those that it must have.
func (e *Event) check() *Refusal {
	slices.SortFunc(e.Attributes, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	switch version := e.Get("specversion"); version {
	case EventVersion:
	case "":
		return invalidEvent("specversion", `an event says which version of CloudEvents it is of: "1.0"`)
	default:
		return refuse(CodeUnsupportedEvent, "/specversion", "this is an event of CloudEvents "+quote(version)+"; version 1.0 is read")
	}
	for _, name := range [...]string{"id", "source", "type"} {
		if e.Get(name) == "" {
			return invalidEvent(name, "an event has id, source and type, none of them empty")
		}
	}
	return nil
}

// actorTypes are the actor types that the values of authtype stand for (CloudEvents
// extension Auth Context). Others stand for themselves.
var actorTypes = map[string]string{
	"app_user": "user", "user": "user", "service_account": "service", "api_key": "service",
	"system": ActorSystem, "unauthenticated": ActorAnonymous,
}

// AppendRecord appends the record that the event tells, as one JSON object.
//
// With the attributes authtype or authid, who acted is named beside the data, and
// the data becomes the record's. Without them the data has to be a record itself;
// the attributes say what it leaves out, and must not contradict it: the refusal is
// then of [CodeEventMismatch], or of [CodeMissingActorID] where the data is no
// object. Whether what is appended is a record is for [Scan].
func (e *Event) AppendRecord(dst []byte) ([]byte, *Refusal) {
	kind, who := e.Get("authtype"), e.Get("authid")
	own := kind == "" && who == ""
	var said spoken
	var inner []byte
	if own {
		if e.Base64 || jsontext.Value(e.Data).Kind() != '{' {
			return dst, refuse(CodeMissingActorID, "", "an event says who acted by the attributes authtype and authid, or its data is a record, a JSON object with an actor")
		}
		var r *Refusal
		if said, inner, r = e.said(); r != nil {
			return dst, r
		}
	}
	dst = append(dst, '{')
	if !said.id {
		dst = appendMember(dst, "id", e.Get("id"))
	}
	if !said.producer {
		dst = appendMember(dst, "producer", e.Get("source"))
	}
	if !said.typ {
		dst = appendMember(dst, "type", e.Get("type"))
	}
	if time := e.Get("time"); time != "" && !said.time {
		dst = appendMember(dst, "occurred_at", time)
	}
	if subject := e.Get("subject"); subject != "" && !said.object {
		dst = append(dst, `"object":{`...)
		dst = append(closed(appendMember(dst, "id", subject)), ',')
	}
	if !own {
		dst = append(dst, `"actor":{`...)
		if known, ok := actorTypes[kind]; ok {
			dst = appendMember(dst, "type", known)
		} else if kind != "" {
			dst = appendMember(dst, "type", kind)
		}
		if who != "" {
			dst = appendMember(dst, "id", who)
		}
		dst = append(closed(dst), ',')
		dst = e.appendData(dst)
	}
	if !said.rest {
		dst = append(dst, `"cloudevent":{`...)
		for _, a := range e.Attributes {
			if !told(a.Name) {
				dst = appendMember(dst, a.Name, a.Value)
			}
		}
		dst = append(closed(dst), ',')
	}
	if len(inner) > 0 {
		return append(append(dst, inner...), '}'), nil
	}
	return closed(dst), nil
}

// told reports whether a record has a place of its own for what an attribute says.
// authtype is not: an actor's type says less.
func told(name string) bool {
	switch name {
	case "id", "source", "type", "time", "subject", "authid":
		return true
	}
	return false
}

func (e *Event) appendData(dst []byte) []byte {
	switch {
	case e.Data == nil:
		return dst
	case e.Base64:
		dst = append(dst, `"data":{"data_base64":`...)
		return append(append(dst, e.Data...), `},`...)
	}
	dst = append(dst, `"data":`...)
	return append(append(dst, e.Data...), ',')
}

// spoken says which of the members that attributes stand for a record has itself.
type spoken struct{ id, producer, typ, time, object, rest bool }

// said looks through data that is a record: it returns what it says itself, and the
// bytes between its braces.
func (e *Event) said() (m spoken, inner []byte, r *Refusal) {
	same := func(name, attribute string, value []byte) bool {
		text, is := "", jsontext.Value(value).Kind() == '"'
		if is {
			text = unquoted(value)
		}
		if !is || text != e.Get(attribute) {
			r = refuse(CodeEventMismatch, "/"+name, "the record in the event's data says another "+name+" than its attribute "+attribute+"; leave one out or make them equal")
		}
		return true
	}
	brace, _ := Walk(e.Data, func(quoted, value []byte) bool {
		switch unquoted(quoted) {
		case "id":
			m.id = same("id", "id", value)
		case "producer":
			m.producer = same("producer", "source", value)
		case "type":
			m.typ = same("type", "type", value)
		case "occurred_at":
			m.time = true
		case "object":
			m.object = true
		case "cloudevent":
			m.rest = true
		}
		return r == nil
	})
	inner = e.Data[brace+1 : bytes.LastIndexByte(e.Data, '}')]
	return m, bytes.Trim(inner, " \t\r\n"), r
}

// Append appends the event in the JSON event format: the attributes that every event
// has first, the others by name, each a string, then the data. [ParseEvent] of it
// gives the event again.
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, '{')
	first := [...]string{"specversion", "id", "source", "type"}
	for _, name := range first {
		dst = appendMember(dst, name, e.Get(name))
	}
	for _, a := range e.Attributes {
		if !slices.Contains(first[:], a.Name) {
			dst = appendMember(dst, a.Name, a.Value)
		}
	}
	if e.Data != nil {
		name := `"data":`
		if e.Base64 {
			name = `"data_base64":`
		}
		return append(append(append(dst, name...), e.Data...), '}')
	}
	return closed(dst)
}

// appendMember appends a member whose value is a string, and a comma.
func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return append(appendString(dst, value), ',')
}

// closed ends an object whose last member, if it has one, is followed by a comma.
func closed(dst []byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst[last] = '}'
		return dst
	}
	return append(dst, '}')
}

// contextAttribute reports whether an attribute is one that the specification, or the
// mapping to a record, says is a string.
func contextAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "authtype", "authid":
		return true
	}
	return false
}

// validAttribute reports whether s may be an attribute's name (CloudEvents 1.0,
// naming conventions).
func validAttribute(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// isInteger reports whether a JSON number is what CloudEvents calls an integer: of 32
// bits, without fraction or exponent.
func isInteger(b []byte) bool {
	digits := bytes.TrimPrefix(b, []byte{'-'})
	if len(digits) > 10 || bytes.ContainsAny(digits, ".eE") {
		return false
	}
	n := int64(0)
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n < 1<<31 || n == 1<<31 && len(digits) < len(b)
}

// isBase64 reports whether a JSON value is a string of base64, padded, in one line.
func isBase64(v []byte) bool {
	if jsontext.Value(v).Kind() != '"' {
		return false
	}
	text := unquoted(v)
	if strings.ContainsAny(text, "\r\n") {
		return false // which the decoder passes over
	}
	_, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil
}

// unquoted returns the value of a JSON string that was checked.
func unquoted(quoted []byte) string {
	if raw := quoted[1 : len(quoted)-1]; bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	b, _ := jsontext.AppendUnquote(nil, quoted)
	return string(b)
}

func invalidEvent(name, detail string) *Refusal {
	return refuse(CodeInvalidEvent, "/"+name, detail)
}
