package activity

import (
	"bytes"
	"errors"
	"strconv"
	"sync"
	"unicode/utf8"
	"unsafe"

	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json/jsontext"
)

// Scan decides whether body is a record, as far as its own bytes can tell, and
// fills k (whose slices are reused; see [Keys] on aliasing). It returns
// nil and the keys, or the one refusal that wins and empty keys.
//
// The order of verdicts is normative:
//
//  1. size, empty, UTF-8, each over the whole body;
//  2. the first fault in byte order of syntax, duplicate name, depth or number
//     of members (a name that is both one too many and a duplicate is a
//     duplicate); then trailing bytes;
//  3. not an object; then the first known member of another JSON type, in byte
//     order;
//  4. lengths: id, producer, actor.id, on_behalf_of.id, object.id, linked[i].id;
//  5. an illegal type, then an illegal workspace, where the record names them;
//  6. no actor.
//
// An empty string counts as absent. Scan is safe for concurrent use.
func Scan(body []byte, k *Keys) *Refusal {
	k.empty()
	r := scan(body, k)
	if r != nil {
		k.empty()
	}
	return r
}

func scan(body []byte, k *Keys) *Refusal {
	if r := walkable(body, k, inRecord); r != nil {
		return r
	}
	return k.check()
}

// object holds bytes that are no record to what a record is held to before anything
// is known about its members: verdicts 1, 2 and that it is an object.
func object(body []byte) *Refusal {
	if r := value(body); r != nil {
		return r
	}
	if body[skipSpace(body, 0)] != '{' {
		return refuse(CodeNotObject, "", "an event is a JSON object")
	}
	return nil
}

// value is object for any JSON value.
func value(body []byte) *Refusal { return walkable(body, nil, elsewhere) }

// walkable walks the tokens of a value that stands in a place, and fills k.
func walkable(body []byte, k *Keys, in place) *Refusal {
	if len(body) > MaxRecord {
		return refuse(CodeRecordTooLarge, "", "a record has at most "+strconv.Itoa(MaxRecord)+" bytes, this one has "+strconv.Itoa(len(body))+"; keep the bulk elsewhere and record its address")
	}
	if skipSpace(body, 0) == len(body) {
		return refuse(CodeEmpty, "", "there is no record here, only white space or nothing")
	}
	if !utf8.Valid(body) {
		return refuse(CodeInvalidUTF8, "", "byte "+strconv.Itoa(firstInvalid(body))+" is not UTF-8; encode text as UTF-8 and binary data as base64")
	}
	s := scanners.Get().(*scanner)
	var r *Refusal
	if !s.plain(body, k, in) {
		if k != nil {
			k.empty()
		}
		r = s.scan(body, k, in)
	}
	s.forget()
	scanners.Put(s)
	return r
}

// scanner walks the tokens of one record. It is pooled, because a decoder's
// stacks are worth more than the record they are used for.
type scanner struct {
	decoder *jsontext.Decoder
	input   bytes.Buffer // jsontext parses a bytes.Buffer in place
	body    []byte
	keys    *Keys
	escapes bool     // the body has a backslash somewhere: rare, so looked for once
	name    []byte   // an unescaped member name
	schema  *Refusal // the first known member of another type
	stack   [MaxDepth + 1]frame
	names   []name // of the members of the open objects; of a plain record
	decodes bool   // the decoder has the body
}

// frame is one open object or array.
type frame struct {
	place  place
	object bool
	value  bool // an object's name has been read, its value comes next
	next   rule // for that value, or for each element of an array
	names  int  // how many names the scanner had before the object's; of a plain record
}

var scanners = sync.Pool{New: func() any {
	s := new(scanner)
	s.decoder = jsontext.NewDecoder(&s.input)
	return s
}}

// use sets the decoder to the start of body.
func (s *scanner) use(body []byte) {
	s.input = *bytes.NewBuffer(body)
	s.decoder.Reset(&s.input)
	s.body, s.decodes = body, true
	s.escapes = bytes.IndexByte(body, '\\') >= 0
}

// forget lets go of the caller's bytes: a pooled scanner must not keep an
// erased record in memory.
func (s *scanner) forget() {
	if s.decodes {
		s.input = bytes.Buffer{}
		s.decoder.Reset(&s.input)
	}
	s.body, s.keys, s.schema, s.decodes = nil, nil, nil, false
}

// scan walks the tokens, with a pointer at hand to whatever is wrong.
func (s *scanner) scan(body []byte, k *Keys, in place) *Refusal {
	s.use(body)
	s.keys = k
	s.stack[0] = frame{next: rule{want: anything, place: in}}
	depth, members, end := 0, 0, 0
	for {
		if _, err := s.decoder.ReadToken(); err != nil {
			return syntaxRefusal(err)
		}
		start := end
		for between[body[start]] {
			start++
		}
		end = int(s.decoder.InputOffset())
		top := &s.stack[depth]
		switch c := body[start]; c {
		case '{', '[':
			if depth == MaxDepth {
				return refuse(CodeTooDeep, string(s.decoder.StackPointer()), "a record nests at most "+strconv.Itoa(MaxDepth)+" objects and arrays, itself included")
			}
			if top.next.want != anything {
				s.expect(top.next.want, c)
			}
			depth++
			s.open(&s.stack[depth], top.next, c == '{')
			top.value = false
			continue
		case '}', ']':
			depth--
		case '"':
			if top.object && !top.value {
				if members++; members > MaxMembers {
					return refuse(CodeTooManyMembers, string(s.decoder.StackPointer()), "a record has at most "+strconv.Itoa(MaxMembers)+" members on all its levels; keep the bulk elsewhere and record its address")
				}
				top.value = true
				if top.place != elsewhere {
					s.member(top, s.unquoteName(body[start:end]), body[start:end])
				}
				continue
			}
			s.scalar(top, c, start, end)
		default:
			s.scalar(top, c, start, end)
		}
		if depth == 0 {
			break
		}
	}
	if rest := skipSpace(body, end); rest < len(body) {
		return refuse(CodeTrailingBytes, "", "the record ends at byte "+strconv.Itoa(end)+" and something else follows at byte "+strconv.Itoa(rest)+"; publish one record in a message, or NDJSON with its content type")
	}
	if in == inRecord && body[skipSpace(body, 0)] != '{' {
		return refuse(CodeNotObject, "", "a record is a JSON object")
	}
	return s.schema
}

// open starts a frame for the value that r describes.
func (s *scanner) open(f *frame, r rule, object bool) {
	*f = frame{object: object}
	switch {
	case object && (r.want == anObject || r.place == inRecord):
		f.place = r.place
		if r.slot == slotLinked {
			s.keys.Linked = append(s.keys.Linked, Ref{})
		}
	case !object && r.want == anArray:
		f.next = r.place.element()
	}
}

// member takes the name of a member of f, whose members are known: as it reads, and as
// it stands in the body.
func (s *scanner) member(f *frame, name, quoted []byte) {
	f.next = f.place.member(name)
	if f.place == inDimensions {
		s.keys.Dimensions = append(s.keys.Dimensions, Dimension{Name: s.text(quoted)})
	}
}

// scalar takes a string, number or literal that is no member's name.
func (s *scanner) scalar(top *frame, c byte, start, end int) {
	r := top.next
	top.value = false
	if r.want == anything {
		return
	}
	if !s.expect(r.want, c) || r.slot == slotNone {
		return
	}
	if p := s.keys.slot(r.slot); p != nil {
		*p = s.text(s.body[start:end])
		if r.slot == slotDimension && *p == "" {
			s.keys.Dimensions = s.keys.Dimensions[:len(s.keys.Dimensions)-1]
		}
	}
}

// expect reports whether a value that starts with c has the wanted JSON type,
// and remembers the first one that hasn't.
func (s *scanner) expect(w want, c byte) bool {
	if w.matches(c) {
		return true
	}
	if s.schema == nil {
		s.schema = refuse(CodeWrongType, string(s.decoder.StackPointer()), "this member is "+w.String()+", not "+jsonkind.Name(c)+"; leave out what you have no value for")
	}
	return false
}

// unquoteName returns a member's name without quotes and escapes, valid until
// the next call.
func (s *scanner) unquoteName(quoted []byte) []byte {
	raw := quoted[1 : len(quoted)-1]
	if !s.escapes || bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	s.name, _ = jsontext.AppendUnquote(s.name[:0], quoted)
	return s.name
}

// text returns the value of a JSON string that the decoder has accepted. It
// aliases the input unless there are escapes to undo.
func (s *scanner) text(quoted []byte) string {
	raw := quoted[1 : len(quoted)-1]
	if len(raw) == 0 {
		return ""
	}
	if !s.escapes || bytes.IndexByte(raw, '\\') < 0 {
		return unsafe.String(&raw[0], len(raw))
	}
	b, _ := jsontext.AppendUnquote(nil, quoted)
	return string(b)
}

// syntaxRefusal names what the decoder stopped at.
func syntaxRefusal(err error) *Refusal {
	var fault *jsontext.SyntacticError
	if !errors.As(err, &fault) {
		return refuse(CodeMalformedJSON, "", err.Error())
	}
	if errors.Is(fault.Err, jsontext.ErrDuplicateName) {
		return refuse(CodeDuplicateName, string(fault.JSONPointer), "an object names each member once; readers disagree on which of two counts")
	}
	return refuse(CodeMalformedJSON, string(fault.JSONPointer), "at byte "+strconv.FormatInt(fault.ByteOffset, 10)+": "+fault.Err.Error())
}

// between are the bytes that stand between two tokens. The decoder has already
// checked that they stand there rightly.
var between = [256]bool{' ': true, '\n': true, '\r': true, '\t': true, ',': true, ':': true}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// skipSpace returns the index of the first byte from i on that is no JSON white
// space (RFC 8259, section 2), or len(b).
func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// firstInvalid returns the index of the first byte that is not part of a
// UTF-8 sequence.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}
