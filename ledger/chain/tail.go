package chain

import "encoding/binary"

// Tags of the tail's TLVs. Bit 15 marks a critical one: a reader that doesn't
// know it must not judge the entry.
const (
	TagStatement  uint16 = 0x8001 // control statement
	TagSignatures uint16 = 0x8002 // the statement's signature block
	TagGap        uint16 = 0x8003

	tagCritical uint16 = 0x8000
)

// appendTLV appends one TLV. Callers append in ascending order of tags.
func appendTLV(dst []byte, tag uint16, value []byte) []byte {
	dst = be16(dst, tag)
	dst = be16(dst, len(value))
	return append(dst, value...)
}

// TLV returns the value of one of the tail's TLVs, and whether it is there.
func (e *Entry) TLV(tag uint16) ([]byte, bool) {
	for b := e.Tail; len(b) >= 4; {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return nil, false
		}
		if binary.BigEndian.Uint16(b) == tag {
			return b[4:n], true
		}
		b = b[n:]
	}
	return nil, false
}

// checkTail holds the tail to its form, and to what the entry's kind has there.
func (e *Entry) checkTail() error {
	control, gap := e.Kind == KindControl, e.Kind == KindGap
	if len(e.Tail) == 0 && !control && !gap {
		return nil
	}
	last := -1
	var statement, signatures, gaps bool
	for b := e.Tail; len(b) > 0; {
		if len(b) < 4 {
			return malformed("entry %d: %d stray bytes end the tail", e.Index, len(b))
		}
		tag := binary.BigEndian.Uint16(b)
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return malformed("entry %d: TLV %#04x runs past the tail", e.Index, tag)
		}
		if int(tag) <= last {
			return malformed("entry %d: TLV %#04x out of order", e.Index, tag)
		}
		switch tag {
		case TagStatement:
			statement = true
		case TagSignatures:
			signatures = true
		case TagGap:
			gaps = true
		default:
			if tag&tagCritical != 0 {
				return unsupported("critical TLV %#04x in entry %d", tag, e.Index)
			}
		}
		last, b = int(tag), b[n:]
	}
	if statement != control || signatures != control || gaps != gap {
		return malformed("%s entry %d: its tail does not hold what its kind needs", e.Kind, e.Index)
	}
	return nil
}
