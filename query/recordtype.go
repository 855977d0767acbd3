package query

import (
	"bytes"

	"annals/activity"
)

// typeOf returns the type that a recorded record names. The fold accepted the
// bytes, so they are strict JSON and only the place has to be found: a scan that
// checks them again takes ten times as long, and would be most of a page.
func (it *item) typeOf(record []byte) string {
	if typ, sure := findType(record); sure {
		if string(typ) != it.typ {
			it.typ = string(typ)
		}
		return it.typ
	}
	if activity.Scan(record, &it.keys) != nil {
		return ""
	}
	return it.keys.Type
}

// findType walks the members of an object up to type. It isn't sure where a name
// or the type itself has escapes.
func findType(b []byte) (typ []byte, sure bool) {
	sure = true
	_, whole := activity.Walk(b, func(name, value []byte) bool {
		switch {
		case bytes.IndexByte(name, '\\') >= 0:
			sure = false
		case string(name) == `"type"`:
			typ = value
		default:
			return true
		}
		return false
	})
	if typ == nil {
		return nil, sure && whole
	}
	if len(typ) < 2 || typ[0] != '"' || typ[len(typ)-1] != '"' || bytes.IndexByte(typ, '\\') >= 0 {
		return nil, false
	}
	return typ[1 : len(typ)-1], true
}
