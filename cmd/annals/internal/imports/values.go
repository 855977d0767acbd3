package imports

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"annals/activity"

	"github.com/go-json-experiment/json/jsontext"
)

// envelope is what a page has around its events: an object with an array of them, or
// of such objects again, and what stands beside that array.
type envelope struct {
	lists  []string // members that hold the events
	beside []string // members that are of the page, and no events: they are passed over
}

// values reads a file of JSON values: one after the other, whatever white space is
// between them, or as the elements of arrays, or as those of an array of an object,
// {"Records":[…]}.
//
// An object that breaks a rule of strict JSON is read to its end, so that it alone is
// refused. Where even the end can't be told, what follows is lost up to the end of the
// line, or, in an array, up to the end of the file: it is refused as one.
type values struct {
	t     *tape
	d     *jsontext.Decoder
	begin int64 // offset at which d began
	page  envelope
	s     *sink
	each  func(*Item) error
}

// readValues hands each value of a file to a function. page is what may be around them.
func readValues(t *tape, s *sink, page envelope, each func(*Item) error) error {
	v := &values{t: t, page: page, s: s, each: each}
	v.restart(t.base)
	for {
		more, err := v.next()
		if err != nil || !more {
			return err
		}
	}
}

// restart reads from an offset on, as if the file began there.
func (v *values) restart(offset int64) {
	v.t.release(offset)
	v.t.rewind(offset)
	v.begin = offset
	v.d = jsontext.NewDecoder(v.t, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func (v *values) offset() int64 { return v.begin + v.d.InputOffset() }

// next reads one value of the outermost level, or an array of them.
func (v *values) next() (more bool, err error) {
	from := v.offset()
	switch v.d.PeekKind() {
	case '[':
		if _, err = v.d.ReadToken(); err != nil {
			return v.recover(from, err)
		}
		err = v.elements()
	case '{':
		if v.opens(from) {
			return true, v.wrapped()
		}
		fallthrough
	default:
		var raw jsontext.Value
		if raw, err = v.d.ReadValue(); err == nil {
			err = v.value(raw)
			return err == nil, err
		}
		return v.recover(from, err)
	}
	return err == nil, err
}

// opens reports whether what stands next is a page: an object that has one of the
// lists, and before it nothing but what may stand beside it. It looks ahead on the tape,
// and the decoder stays where it is.
func (v *values) opens(from int64) bool {
	if len(v.page.lists) == 0 {
		return false
	}
	for v.t.buf[from-v.t.base] != '{' { // of which the decoder knows that it comes
		from++
	}
	d := jsontext.NewDecoder(&ahead{v.t, from}, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		switch {
		case err != nil:
			return false
		case slices.Contains(v.page.lists, name.String()):
			return d.PeekKind() == '['
		case !slices.Contains(v.page.beside, name.String()) || d.SkipValue() != nil:
			return false
		}
	}
	return false
}

// wrapped reads a page: the elements of its lists, and what stands beside them.
func (v *values) wrapped() error {
	from := v.offset()
	if _, err := v.d.ReadToken(); err != nil {
		return v.abandon(from, err)
	}
	for depth := v.d.StackDepth(); v.d.StackDepth() == depth; {
		from := v.offset()
		if v.d.PeekKind() == '}' {
			if _, err := v.d.ReadToken(); err != nil {
				return v.abandon(from, err)
			}
			break
		}
		name, err := v.d.ReadToken()
		if err != nil {
			return v.abandon(from, err)
		}
		member := name.String()
		if slices.Contains(v.page.lists, member) && v.d.PeekKind() == '[' {
			if _, err = v.d.ReadToken(); err == nil {
				err = v.elements()
			}
			if err != nil {
				return err
			}
			continue
		}
		raw, err := v.d.ReadValue()
		if err != nil {
			return v.abandon(from, err)
		}
		if !slices.Contains(v.page.beside, member) {
			pointer := string(jsontext.Pointer("").AppendToken(member))
			if err := v.s.refuse(v.item(raw), &Refusal{Code: codeNotAnEvent, Pointer: pointer, Detail: "beside the events stands what is none"}); err != nil {
				return err
			}
		}
		v.t.release(v.offset())
	}
	v.t.release(v.offset())
	return nil
}

// elements reads the elements of an array that was stepped into, and its end. An
// error in it has been dealt with when the decoder has no place any more.
func (v *values) elements() error {
	for depth := v.d.StackDepth(); v.d.StackDepth() == depth; {
		from := v.offset()
		switch v.d.PeekKind() {
		case ']':
			if _, err := v.d.ReadToken(); err != nil {
				return v.abandon(from, err)
			}
			v.t.release(v.offset())
			return nil
		case '{':
			if v.opens(from) {
				if err := v.wrapped(); err != nil {
					return err
				}
				continue
			}
		}
		raw, err := v.d.ReadValue()
		if err != nil {
			return v.abandon(from, err)
		}
		if err := v.value(raw); err != nil {
			return err
		}
	}
	return nil
}

func (v *values) item(raw jsontext.Value) *Item {
	end := v.offset()
	begin := end - int64(len(raw))
	return &Item{Place: v.t.at(begin), Size: int64(len(raw)), Raw: v.t.cut(begin, end)}
}

// value hands on one value.
func (v *values) value(raw jsontext.Value) error {
	it := v.item(raw)
	var err error
	if r := unambiguous(it.Raw); r != nil {
		err = v.s.refuse(it, r)
	} else {
		err = v.each(it)
	}
	v.t.release(v.offset())
	return err
}

// fault takes apart why reading failed: the file's own bytes, or the reading of them.
func (v *values) fault(err error) (syntax *jsontext.SyntacticError, other error) {
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch failed := v.t.failed(); {
	case failed != nil:
		return nil, fmt.Errorf("%d:1: %w", v.t.line, failed)
	case errors.Is(err, errEndless):
		return nil, fmt.Errorf("%d:1: %w", v.t.line, errEndless)
	case !ok:
		return nil, fmt.Errorf("%d:1: %w", v.t.line, err)
	}
	return syntax, nil
}

// recover refuses what is no JSON up to the end of its line, and goes on behind it.
func (v *values) recover(from int64, err error) (more bool, _ error) {
	if errors.Is(err, io.EOF) && v.t.failed() == nil {
		if _, syntax := errors.AsType[*jsontext.SyntacticError](err); !syntax {
			return false, nil
		}
	}
	syntax, other := v.fault(err)
	if other != nil {
		return false, other
	}
	at := max(from, min(v.begin+syntax.ByteOffset, v.t.base+int64(len(v.t.buf))))
	from = v.skipSpace(from, at)
	place := v.t.at(from)
	it := &Item{Place: place}
	end, long := v.t.toLineEnd(at)
	it.Size = end - from
	if !long {
		it.Raw = v.t.cut(from, end)
	}
	v.restart(end)
	detail := syntax.Error()
	if end == v.t.base+int64(len(v.t.buf)) && errors.Is(syntax, io.ErrUnexpectedEOF) {
		detail = "the file ends within a value"
	}
	return true, v.s.refuse(it, &Refusal{Code: activity.CodeMalformedJSON.String(), Detail: detail})
}

// skipSpace moves an offset to the first byte that is not white space.
func (v *values) skipSpace(from, to int64) int64 {
	for ; from < to; from++ {
		switch v.t.buf[from-v.t.base] {
		case ' ', '\t', '\r', '\n':
		default:
			return from
		}
	}
	return from
}

// abandon refuses the rest of a file, in which nothing can be told apart any more.
func (v *values) abandon(from int64, err error) error {
	syntax, other := v.fault(err)
	if other != nil {
		return other
	}
	it := &Item{Place: v.t.at(from)}
	rest := v.t.cut(from, v.t.base+int64(len(v.t.buf)))
	it.Size = int64(len(rest))
	v.t.release(from + it.Size)
	for v.t.fill() {
		it.Size += int64(len(v.t.buf))
		rest = nil
		v.t.release(v.t.base + int64(len(v.t.buf)))
	}
	if err := v.t.failed(); err != nil {
		return fmt.Errorf("%d:1: %w", v.t.line, err)
	}
	it.Raw = rest
	v.restart(v.t.base)
	return v.s.refuse(it, &Refusal{
		Code:   codeUnreadable,
		Detail: "from here on the file is no JSON any more, and what follows was not read: " + syntax.Error(),
	})
}
