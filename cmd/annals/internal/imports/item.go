package imports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
)

// Item is one thing of a file: what was logged, and the record that it becomes, or
// why it becomes none.
type Item struct {
	Place
	Size    int64  // in bytes
	Raw     []byte // as it stands in the file; nil where it was too long to be kept
	Record  []byte
	Refusal *Refusal
}

// Refusal says why something is no record. Code is of activity, where the record was
// refused that it would have been, or of the format.
type Refusal struct{ Code, Pointer, Detail string }

func refused(r *activity.Refusal) *Refusal {
	return &Refusal{Code: r.Code.String(), Pointer: r.Pointer, Detail: r.Detail}
}

// The reasons of our own.
const (
	codeNotAnEvent  = "not_an_event"    // JSON, but nothing of the format
	codeAmbiguous   = "ambiguous_label" // several are called so
	codeMissingTime = "missing_time"    // nobody can say when it happened
	codeUnreadable  = "unreadable"      // what follows on a fault can't be told apart any more
	codeInvalidRow  = "invalid_row"     // of a CSV file
	codeInvalidCell = "invalid_cell"    // of such a row
	codeTooLong     = "line_too_long"   // so long that it can't be a record
)

// sink takes what a format finds, makes records of it, and hands it on in the file's
// order.
type sink struct {
	workspace string
	zone      *time.Location // of times that name none; nil: UTC
	labels    *Labels        // nil: none
	put       func(*Item) error
	seen      map[[sha256.Size]byte]int // of what has no id of its own: how often it came
}

// refuse hands on what is no record.
func (s *sink) refuse(it *Item, r *Refusal) error {
	it.Record, it.Refusal = nil, r
	return s.put(it)
}

// record hands on an event as a record. One without an id gets that of its bytes.
func (s *sink) record(it *Item, r *activity.Record) error {
	if r.ID == "" {
		r.ID = s.identify(it.Raw)
	}
	if c := r.Context; c != nil && c.IP+c.ForwardedIP+c.UserAgent+c.SessionID+c.RequestID == "" && c.Location == nil {
		r.Context = nil
	}
	b, err := r.AppendJSON(nil)
	if err != nil {
		return s.refuse(it, fromError(err))
	}
	it.Record = b
	return s.check(it)
}

// native hands on what is a record already, as it stands. Where it has no id it gets
// that of its bytes, before its other members.
func (s *sink) native(it *Item) error {
	it.Record = it.Raw
	var keys activity.Keys
	if r := activity.Scan(it.Raw, &keys); r != nil {
		return s.refuse(it, refused(r))
	}
	if keys.ID == "" {
		begin := bytes.IndexByte(it.Raw, '{') + 1
		b := append(bytes.Clone(it.Raw[:begin]), `"id":"`+s.identify(it.Raw)+`",`...)
		it.Record = append(b, it.Raw[begin:]...)
	}
	return s.check(it)
}

// check judges a record as the server will: what it would refuse is not sent.
func (s *sink) check(it *Item) error {
	var keys activity.Keys
	if r := activity.Scan(it.Record, &keys); r != nil {
		return s.refuse(it, refused(r))
	}
	if r := keys.Agree(s.workspace, ""); r != nil {
		return s.refuse(it, refused(r))
	}
	return s.put(it)
}

// identify returns an id for bytes that have none. Bytes that are in one file more
// than once may have happened more than once: the second time it is another id, and
// in the same file always the same one.
func (s *sink) identify(raw []byte) string {
	h := sha256.Sum256(raw)
	id := "sha256-" + hex.EncodeToString(h[:])
	s.seen[h]++
	if n := s.seen[h]; n > 1 {
		id += "-" + strconv.Itoa(n)
	}
	return id
}

// unambiguous returns a refusal of JSON that two readers could read in two ways, or
// that is no object.
func unambiguous(raw []byte) *Refusal {
	var keys activity.Keys
	if r := activity.Scan(raw, &keys); r != nil && r.Code <= activity.CodeNotObject {
		return refused(r)
	}
	return nil
}

// fromError makes a refusal of an error of the JSON library's.
func fromError(err error) *Refusal {
	var own *activity.Refusal
	if errors.As(err, &own) {
		return refused(own)
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		r := &Refusal{Code: activity.CodeWrongType.String(), Pointer: string(wrong.JSONPointer), Detail: "this is of another type than the format says"}
		if wrong.JSONKind != 0 {
			r.Detail = "the format has another type here, and not " + wrong.JSONKind.String()
		}
		return r
	}
	return &Refusal{Code: activity.CodeMalformedJSON.String(), Detail: err.Error()}
}

// typeOf makes a legal activity type of parts, each of which may hold anything.
func typeOf(parts ...string) string {
	var b []byte
	for i, part := range parts {
		if i > 0 {
			b = append(b, '.')
		}
		for _, r := range part {
			switch {
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
				b = append(b, byte(r))
			default:
				b = append(b, '_')
			}
		}
	}
	return string(b)
}

// things gathers what an event is about: the first is its object, the others are
// linked. What comes twice is there once, and what has no id, or one that is too long
// for a record, stays in the event's data alone.
func things(r *activity.Record, list []activity.Object) {
	type ref struct{ typ, id string }
	there := map[ref]bool{}
	for _, o := range list {
		key := ref{o.Type, o.ID}
		if o.ID == "" || o.Type == "" || len(o.ID) > activity.MaxID || there[key] {
			continue
		}
		there[key] = true
		if r.Object == nil {
			r.Object = &o
		} else {
			r.Linked = append(r.Linked, o)
		}
	}
}
