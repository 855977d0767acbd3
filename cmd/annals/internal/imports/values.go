package imports

import (
	"errors"
	"fmt"
	"io"

	"annals/activity"

	"github.com/go-json-experiment/json/jsontext"
)

// values reads a file of JSON values: one after the other, whatever white space is
// between them, or as the elements of arrays, or as those of the one array of an
// object, {"Records":[…]}.
//
// An object that breaks a rule of strict JSON is read to its end, so that it alone is
// refused. Where even the end can't be told, what follows is lost up to the end of the
// line, or, in an array, up to the end of the file: it is refused as one.
type values struct {
	t     *tape
	d     *jsontext.Decoder
	begin int64 // offset at which d began
	list  string
	s     *sink
	each  func(*Item) error
}

// readValues hands each value of a file to a function. list is the name of the array
// that may hold them; "": none does.
func readValues(t *tape, s *sink, list string, each func(*Item) error) error {
	v := &values{t: t, list: list, s: s, each: each}
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
		opened, err := v.opens()
		if err != nil {
			return v.recover(from, err)
		}
		if opened {
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

// opens steps into {"Records":[, and stays before any other object.
func (v *values) opens() (bool, error) {
	if v.list == "" {
		return false, nil
	}
	if _, err := v.d.ReadToken(); err != nil {
		return false, err
	}
	object := v.offset() - 1
	if v.d.PeekKind() == '"' {
		name, err := v.d.ReadToken()
		if err != nil {
			return false, err
		}
		if name.String() == v.list && v.d.PeekKind() == '[' {
			_, err := v.d.ReadToken()
			return err == nil, err
		}
	}
	v.restart(object)
	return false, nil
}

// wrapped reads the elements of the array that was stepped into, and what stands
// behind it in the object.
func (v *values) wrapped() error {
	if err := v.elements(); err != nil {
		return err
	}
	for v.d.StackDepth() > 0 {
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
		pointer := "/" + name.String()
		raw, err := v.d.ReadValue()
		if err != nil {
			return v.abandon(from, err)
		}
		it := v.item(raw)
		if err := v.s.refuse(it, &Refusal{Code: codeNotAnEvent, Pointer: pointer, Detail: "behind the events stands what is none"}); err != nil {
			return err
		}
	}
	v.t.release(v.offset())
	return nil
}

// elements reads the elements of an array that was stepped into, and its end. An
// error in it has been dealt with when the decoder has no place any more.
func (v *values) elements() error {
	for {
		from := v.offset()
		if v.d.PeekKind() == ']' {
			if _, err := v.d.ReadToken(); err != nil {
				return v.abandon(from, err)
			}
			v.t.release(v.offset())
			return nil
		}
		raw, err := v.d.ReadValue()
		if err != nil {
			return v.abandon(from, err)
		}
		if err := v.value(raw); err != nil {
			return err
		}
	}
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
	from = max(from, v.t.base) // stepping back let go of the space before an object
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
