package chain

import (
	"bytes"
	"slices"
	"strings"

	"annals/activity"
)

// Bounds of a message (docs/format/messages.md).
const (
	MaxBody    = 288 << 10 // bytes of a payload that is kept; beyond, it is committed to and dropped
	MaxHeaders = 16 << 10  // bytes of the retained headers, as the envelope encodes them
	MaxLines   = 1024      // records in one NDJSON message
)

// NDJSON is the one Content-Type that makes a message many records.
const NDJSON = "application/x-ndjson"

// Message is one message of the stream, as the fold sees it. Header holds the
// values of each name in order of appearance, names as they were written; it is
// nil when there is none, or a malformed one.
type Message struct {
	Subject  string
	Header   map[string][]string
	Body     []byte
	Sequence uint64
	Time     int64 // the stream's timestamp, ns since 1970

	// Rebuilt: the message was put together from its entries ([Rebuild]), and whether
	// a line feed ended it isn't known. It makes the same entries either way.
	Rebuilt bool
}

// Digest identifies a message: a reader compares it at the ledger's last
// sequence, and so notices a stream that was rewound and written anew. Of a message
// that is [Message.Rebuilt] it is zeros: there is nothing to know it again by.
func (m *Message) Digest() Hash {
	if m.Rebuilt {
		return Hash{}
	}
	envelope, _ := appendEnvelope(nil, m.Subject, m.Header)
	var meta []byte
	meta = be64(meta, m.Sequence)
	meta = be64(meta, uint64(m.Time))
	meta = be32(meta, len(envelope))
	return sum("annals/message/v1\x00", meta, envelope, be32(nil, len(m.Body)), m.Body)
}

// Root is the first part of a subject: which door a message came through.
type Root uint8

// The roots of the stream's subjects.
const (
	RootOther    Root = iota
	RootActivity      // activity.<workspace>.<type>: the producer itself
	RootVouched       // vouched.<workspace>.<type>: a door, for a producer
	RootControl       // annals.control.<…>
)

// SystemWorkspace is the reserved name whose tag is 32 zero bytes.
const SystemWorkspace = "_system"

// OwnType stands in a subject where each record names its own type.
const OwnType = "_"

// Subject is a subject taken apart.
type Subject struct {
	Root      Root
	Workspace string // the second token, when it is a name that may stand there
	Type      string // the rest, "" when it is [OwnType]
	Code      activity.Code
	// Code is why no record can stand under the subject; 0 when one can.
}

// ParseSubject takes a subject apart. It never fails: what is no legal subject
// of a record has a Code, and still names its workspace where it can.
func ParseSubject(subject string) Subject {
	root, rest, _ := strings.Cut(subject, ".")
	var s Subject
	switch root {
	case "activity":
		s.Root = RootActivity
	case "vouched":
		s.Root = RootVouched
	default:
		if isControl(subject) {
			return Subject{Root: RootControl}
		}
		return Subject{Code: CodeSubject}
	}
	workspace, typ, typed := strings.Cut(rest, ".")
	switch {
	case activity.ValidWorkspace(workspace):
		s.Workspace = workspace
	case workspace == SystemWorkspace && s.Root == RootVouched:
		s.Workspace = workspace
	case strings.HasPrefix(workspace, "_"):
		s.Code = CodeReserved
		return s
	default:
		s.Code = CodeSubject
		return s
	}
	switch {
	case typ == OwnType:
	case typed && activity.ValidType(typ):
		s.Type = typ
	default:
		s.Code = CodeSubject
	}
	return s
}

// Control reports whether the message came in as a control message: whether it is
// one, only the fold can tell.
func (m *Message) Control() bool { return isControl(m.Subject) }

func isControl(subject string) bool { return strings.HasPrefix(subject, "annals.control.") }

// retainedFirst are the retained headers that have a fixed place; every ce-…
// name follows them in byte order.
var retainedFirst = [...]string{"Content-Type", "traceparent", "tracestate"}

// appendEnvelope appends the envelope of a message: its subject and retained
// headers. It reports whether the headers are within [MaxHeaders]; when not, the
// envelope holds none.
func appendEnvelope(dst []byte, subject string, header map[string][]string) ([]byte, bool) {
	dst = append(dst, 1)
	dst = be16(dst, len(subject))
	dst = append(dst, subject...)
	countAt := len(dst)
	dst = append(dst, 0, 0)
	if len(header) == 0 {
		return dst, true
	}
	start, count, over := len(dst), 0, false
	add := func(name string) {
		for _, value := range header[name] {
			if over = over || len(name) > MaxHeaders; over {
				return
			}
			value = strings.TrimLeft(value, " \t")
			dst = be16(dst, len(name))
			dst = append(dst, name...)
			dst = be32(dst, len(value))
			dst = append(dst, value...)
			count++
			over = len(dst)-start > MaxHeaders
		}
	}
	for _, name := range retainedFirst {
		add(name)
	}
	var events []string
	for name := range header {
		if strings.HasPrefix(name, "ce-") {
			events = append(events, name)
		}
	}
	slices.Sort(events)
	for _, name := range events {
		add(name)
	}
	if over {
		return append(dst[:countAt], 0, 0), false
	}
	dst[countAt], dst[countAt+1] = byte(count>>8), byte(count)
	return dst, true
}

// isNDJSON reports whether a message carries one record a line.
func isNDJSON(header map[string][]string) bool {
	v := header["Content-Type"]
	return len(v) == 1 && strings.TrimLeft(v[0], " \t") == NDJSON
}

// countLines counts an NDJSON body's lines; one LF at the end closes the last.
func countLines(body []byte) int {
	if len(body) == 0 {
		return 0
	}
	n := bytes.Count(body, []byte{'\n'})
	if body[len(body)-1] != '\n' {
		n++
	}
	return n
}

// cutLine takes the first line off an NDJSON body.
func cutLine(body []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(body, []byte{'\n'})
	return line, rest
}
