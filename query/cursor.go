package query

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"annals/ledger/chain"
	"annals/projections"
)

// position is what a cursor says: where a page goes on, in the tree of a size.
type position struct {
	size  uint64 // as_of of the first page
	after projections.Position
}

// A cursor is 42 bytes: version, size, occurred, index, MAC. They fill 56
// characters of base64url exactly, so that no bit of the text is without meaning.
const (
	cursorVersion = 2
	cursorMAC     = 17
	cursorBytes   = 1 + 3*8 + cursorMAC
	cursorText    = cursorBytes / 3 * 4
)

// sealer makes cursors and opens them. Its key is the ledger's id, which is no
// secret: a cursor is no capability, whoever may ask may begin at any index. The
// MAC keeps a cursor from being used with another filter or order, another
// ledger or one character changed, at every replica and after every restart.
type sealer struct{ ledger chain.Hash }

func newSealer(ledger chain.Hash) sealer { return sealer{ledger} }

const cursorDomain = "annals/cursor/v2\x00"

func (s sealer) mac(fixed []byte, f *filter) []byte {
	mac := hmac.New(sha256.New, s.ledger[:])
	text := append(make([]byte, 0, 512), cursorDomain...)
	mac.Write(f.appendTo(append(text, fixed...)))
	return mac.Sum(text[:0])[:cursorMAC]
}

// seal returns the cursor for the page that goes on at p.
func (s sealer) seal(p position, f *filter) string {
	b := append(make([]byte, 0, cursorBytes), cursorVersion)
	b = binary.BigEndian.AppendUint64(b, p.size)
	b = binary.BigEndian.AppendUint64(b, uint64(p.after.Occurred))
	b = binary.BigEndian.AppendUint64(b, p.after.Index)
	b = append(b, s.mac(b, f)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// open is the reverse of seal; ok is false unless every bit is as it was sealed,
// and the filter and the order the same.
func (s sealer) open(text string, f *filter) (p position, ok bool) {
	// 56 characters are 42 bytes to the bit; the decoder skips line ends, and is short then.
	if len(text) != cursorText {
		return p, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion {
		return p, false
	}
	fixed := b[:cursorBytes-cursorMAC]
	if !hmac.Equal(b[cursorBytes-cursorMAC:], s.mac(fixed, f)) {
		return p, false
	}
	p.size = binary.BigEndian.Uint64(fixed[1:])
	p.after.Occurred = int64(binary.BigEndian.Uint64(fixed[9:]))
	p.after.Index = binary.BigEndian.Uint64(fixed[17:])
	return p, true
}
