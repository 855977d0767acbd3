package face

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json/jsontext"
)

// refused makes a refusal of what stands at a pointer.
type refused func(pointer, detail string) *Refusal

// members calls member for each member of the JSON object that a body is, in order,
// with the name unescaped. JSON null counts as absent, and is not called for. A body
// that is no object, or that two readers could read in two ways, is refused.
func members(body []byte, refuse refused, member func(name string, value jsontext.Value) *Refusal) *Refusal {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	switch kind := d.PeekKind(); {
	case kind == '{':
	case kind == jsontext.KindInvalid:
		_, err := d.ReadToken()
		return unread(err, refuse)
	default:
		return refuse("", "the body is "+jsonkind.Name(kind)+", not an object")
	}
	if _, err := d.ReadToken(); err != nil {
		return unread(err, refuse)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return unread(err, refuse)
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return unread(err, refuse)
		}
		if value.Kind() == 'n' {
			continue
		}
		if r := member(text, value); r != nil {
			return r
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return unread(err, refuse)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return refuse("", "something follows the object; send one")
	}
	return nil
}

// unread says where a body stops being JSON.
func unread(err error, refuse refused) *Refusal {
	if errors.Is(err, io.EOF) {
		return refuse("", "there is no body; send a JSON object")
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return refuse(string(syntax.JSONPointer), "this is not JSON (RFC 8259): "+syntax.Err.Error())
	}
	return refuse("", "this is not JSON (RFC 8259)")
}

// stringAt reads a member that is a string.
func stringAt(name string, v jsontext.Value, into *string, refuse refused) *Refusal {
	if v.Kind() != '"' {
		return refuse(pointerTo(name), name+" is a string, not "+jsonkind.Name(v.Kind()))
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return refuse(pointerTo(name), name+" is no string that can be read")
	}
	*into = string(b)
	return nil
}

// integerAt reads a member that is a whole number.
func integerAt(name string, v jsontext.Value, into *int64, refuse refused) *Refusal {
	n, err := strconv.ParseInt(string(v), 10, 64)
	switch {
	case v.Kind() != '0':
		return refuse(pointerTo(name), name+" is an integer, not "+jsonkind.Name(v.Kind()))
	case err != nil:
		return refuse(pointerTo(name), name+" is an integer of 64 bits, written without fraction and exponent")
	}
	*into = n
	return nil
}

func pointerTo(name string) string { return string(jsontext.Pointer("").AppendToken(name)) }
