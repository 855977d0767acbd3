package activity

import "bytes"

// maxPlainNames is how many members an object may have for its names to be compared
// with each other one by one.
const maxPlainNames = 24

// name is where a member's name stands in the body, without its quotes.
type name struct {
	start, end int
	// mark is of its length and of bytes at its ends: names with other marks differ.
	mark uint32
}

// plain walks a record that is written plainly, as nearly all are: sound, no backslash
// in it, and no object with very many members. It fills the keys with what [scanner.scan]
// does, in half the time, for it keeps nothing that an error would be told with.
//
// Of anything else it says false, whatever the fault or oddity is, and leaves in the
// keys what it had found so far: then the decoder has the say. So it can refuse
// nothing, and must accept nothing that the decoder doesn't (RFC 8259, as strict as
// jsontext is); the body is valid UTF-8 already.
func (s *scanner) plain(body []byte, k *Keys, in place) bool {
	s.body, s.keys, s.escapes = body, k, false
	s.stack[0] = frame{next: rule{want: anything, place: in}}
	s.names = s.names[:0]
	depth, members := 0, 0
	i := skipSpace(body, 0)
	if in == inRecord && (i == len(body) || body[i] != '{') {
		return false
	}
	for { // a value begins at i
		top := &s.stack[depth]
		if i == len(body) || !top.next.want.matches(body[i]) {
			return false
		}
		switch c := body[i]; c {
		case '{', '[':
			if depth == MaxDepth {
				return false
			}
			depth++
			inner := &s.stack[depth]
			s.open(inner, top.next, c == '{')
			inner.names = len(s.names)
			i = skipSpace(body, i+1)
			switch {
			case i == len(body):
				return false
			case body[i] == c+2: // its closing bracket, in ASCII
			case !inner.object:
				continue
			default:
				if members++; members > MaxMembers {
					return false
				}
				if i = s.plainName(inner, i); i < 0 {
					return false
				}
				continue
			}
		default:
			end := plainScalar(body, i)
			if end < 0 {
				return false
			}
			s.scalar(top, c, i, end)
			i = skipSpace(body, end)
		}
		// A value has ended, or an empty object or array is about to.
		for depth > 0 && i < len(body) && (body[i] == '}' || body[i] == ']') {
			if (body[i] == '}') != s.stack[depth].object {
				return false
			}
			s.names = s.names[:s.stack[depth].names]
			depth--
			i = skipSpace(body, i+1)
		}
		if depth == 0 {
			return i == len(body)
		}
		if i == len(body) || body[i] != ',' {
			return false
		}
		i = skipSpace(body, i+1)
		if top = &s.stack[depth]; top.object {
			if members++; members > MaxMembers {
				return false
			}
			if i = s.plainName(top, i); i < 0 {
				return false
			}
		}
	}
}

// plainName takes the member's name that begins at i, and returns where its value does;
// -1 where there is no name, or one that the object has already.
func (s *scanner) plainName(top *frame, i int) int {
	body := s.body
	if i == len(body) || body[i] != '"' {
		return -1
	}
	end := plainString(body, i)
	if end < 0 {
		return -1
	}
	n := name{start: i + 1, end: end - 1}
	text := body[n.start:n.end]
	if n.mark = uint32(len(text)); len(text) > 0 {
		n.mark = n.mark<<16 | uint32(text[0])<<8 | uint32(text[len(text)-1])
	}
	known := s.names[top.names:]
	if len(known) == maxPlainNames {
		return -1
	}
	for k := range known {
		if known[k].mark == n.mark && bytes.Equal(body[known[k].start:known[k].end], text) {
			return -1
		}
	}
	s.names = append(s.names, n)
	if top.place != elsewhere {
		s.member(top, text, body[i:end])
	}
	if i = skipSpace(body, end); i == len(body) || body[i] != ':' {
		return -1
	}
	return skipSpace(body, i+1)
}

// plainScalar returns the index after the string, number or literal that begins at
// b[i], -1 where there is none.
func plainScalar(b []byte, i int) int {
	switch c := b[i]; {
	case c == '"':
		return plainString(b, i)
	case c == '-' || '0' <= c && c <= '9':
		return plainNumber(b, i)
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(literal) && string(b[i:i+len(literal)]) == literal {
			return i + len(literal)
		}
	}
	return -1
}

// quiet are the bytes that mean themselves within a string.
var quiet = func() (quiet [256]bool) {
	for c := range quiet {
		quiet[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return quiet
}()

// plainString returns the index after the string that begins at b[i], -1 where it has
// an escape, a control character or no end.
func plainString(b []byte, i int) int {
	for n, c := range b[i+1:] {
		if quiet[c] {
			continue
		}
		if c != '"' {
			return -1
		}
		return i + 1 + n + 1
	}
	return -1
}

// plainNumber returns the index after the number that begins at b[i], -1 where it is
// none (RFC 8259, section 6).
func plainNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits returns the index after the digits that begin at b[i], -1 where there are none.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
