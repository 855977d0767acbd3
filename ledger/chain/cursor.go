package chain

import "encoding/binary"

// cursor reads big-endian fields off a byte string. Once it has run short it
// stays bad, so a parser checks once, at its end.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return make([]byte, min(max(n, 0), 64))
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() uint8        { return c.take(1)[0] }
func (c *cursor) u16() uint16      { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32      { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64      { return binary.BigEndian.Uint64(c.take(8)) }
func (c *cursor) hash() Hash       { return Hash(c.take(len(Hash{}))) }
func (c *cursor) bytes16() []byte  { return c.take(int(c.u16())) }
func (c *cursor) bytes32() []byte  { return c.take(int(c.u32())) }
func (c *cursor) string16() string { return string(c.bytes16()) }

// uvarint reads an unsigned LEB128 number in its shortest form, of at most 64 bits.
func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 || n > 1 && c.b[n-1] == 0 {
		c.bad = true
		return 0
	}
	c.take(n)
	return v
}

// uvarint appends what [cursor.uvarint] reads.
func uvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// done reports whether every byte was read and none was missing.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }
