package projections

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
)

// The first byte of every row says what it is. What is written once for a whole
// tail stands behind the eras, so that the tables of old eras are left alone.
const (
	rowEra       byte = 0x01 // era, then one of the next
	rowWorkspace byte = 0x02 // tag (32)  →  number (4)
	rowQuarter   byte = 0x03 // quarter of an hour since 1970 (8)  →  first index (8)
	rowHead      byte = 0x04
	rowEnd       byte = 0x05 // beyond every row
)

// Rows of an era: 0x01 || era (4) || one of these || …
const (
	inEraPostings byte = 0x01 // name of the list || block (1)  →  offsets (set.go)
	inEraZone     byte = 0x02 // workspace (4) || block (1)  →  first and last occurred time (column.go)
	inEraColumn   byte = 0x03 // block (1) || chunk (1)  →  occurred times (column.go)
)

// blockBits says how many entries a block spans: 2^14. Measured over 1.5 M records
// of the benchmark's kind: 2^12 costs a fifth more CPU to fold and a tenth more
// disk, 2^16 saves a twentieth and a tenth, but quadruples what is read at the
// edge of every page, and what stands in memory before it is written.
const (
	blockBits = 14
	blockSize = 1 << blockBits
)

// eraBits says how many blocks an era has: 2^6, so an era is 2^20 entries.
const eraBits = 6

func blockOf(index uint64) uint64 { return index >> blockBits }
func offsetOf(index uint64) int   { return int(index & (blockSize - 1)) }
func indexAt(block uint64, offset uint16) uint64 {
	return block<<blockBits | uint64(offset)
}

// layout is where rows stand: how many bits of a block's number are its place in
// its era. It is eraBits but in tests, whose ledgers are small.
type layout struct{ eraBits uint }

func (l layout) eraOf(block uint64) uint64    { return block >> l.eraBits }
func (l layout) firstOf(era uint64) uint64    { return era << l.eraBits }
func (l layout) within(block uint64) byte     { return byte(block & (1<<l.eraBits - 1)) }
func (l layout) blocksInEra() int             { return 1 << l.eraBits }
func (l layout) at(era uint64, b byte) uint64 { return l.firstOf(era) | uint64(b) }

// eraPrefix is how many bytes of an era's key stand before what it is of.
const eraPrefix = 1 + 4 + 1

func appendEra(dst []byte, era uint64, what byte) []byte {
	dst = append(dst, rowEra)
	dst = binary.BigEndian.AppendUint32(dst, uint32(era))
	return append(dst, what)
}

// eraIn returns the era that a row's key names, and ok false for other rows.
func eraIn(key []byte) (era uint64, ok bool) {
	if len(key) < eraPrefix || key[0] != rowEra {
		return 0, false
	}
	return uint64(binary.BigEndian.Uint32(key[1:])), true
}

// appendList begins a list's name: workspace and field. Values follow.
func appendList(dst []byte, workspace uint32, f Field) []byte {
	dst = binary.BigEndian.AppendUint32(dst, workspace)
	return append(dst, byte(f))
}

// listPrefix is the length of workspace and field.
const listPrefix = 4 + 1

// maxValue is how long a value may be and still stand in a key whole, in bytes:
// every id does (activity.MaxID). Of a longer one (an object's type may be as
// large as a record) the key holds the first keptPrefix bytes and a digest.
const (
	maxValue   = 512
	keptPrefix = 256
)

// A value ends with 0x00 and one of these; 0x00 within a value is followed by
// 0xff. So no value is the beginning of another, and values sort as their bytes.
const (
	endWhole  byte = 0x01
	endDigest byte = 0x02 // SHA-256 of the whole value follows, 32 bytes
	escape    byte = 0xff
)

func appendValue(dst []byte, value string) []byte {
	if len(value) <= maxValue {
		dst = appendEscaped(dst, value)
		return append(dst, 0, endWhole)
	}
	dst = appendEscaped(dst, value[:keptPrefix])
	dst = append(dst, 0, endDigest)
	digest := sha256.Sum256([]byte(value))
	return append(dst, digest[:]...)
}

func appendEscaped(dst []byte, value string) []byte {
	for {
		i := strings.IndexByte(value, 0)
		if i < 0 {
			return append(dst, value...)
		}
		dst = append(dst, value[:i]...)
		dst = append(dst, 0, escape)
		value = value[i+1:]
	}
}

var errValue = errors.New("a value that no fold writes")

// cutValue undoes appendValue: the value, and what follows it. Of a long value
// it is the beginning that the key holds, and an ellipsis.
func cutValue(b []byte) (value string, rest []byte, err error) {
	var out []byte
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return "", nil, errValue
		}
		out = append(out, b[:i]...)
		end := b[i+1]
		b = b[i+2:]
		switch {
		case end == escape:
			out = append(out, 0)
		case end == endWhole:
			return string(out), b, nil
		case end == endDigest && len(b) >= sha256.Size:
			return string(out) + "…", b[sha256.Size:], nil
		default:
			return "", nil, errValue
		}
	}
}

// after returns the first key that does not begin with prefix, which holds a byte
// other than 0xff.
func after(prefix []byte) []byte {
	past := bytes.Clone(prefix)
	for i := len(past) - 1; i >= 0; i-- {
		if past[i] != 0xff {
			past[i]++
			return past[:i+1]
		}
	}
	return nil
}
