package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256 digest, or a 32-byte HMAC-SHA256 tag.
type Hash [sha256.Size]byte

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns the hash in hexadecimal, so that it reads the same in
// JSON as in print.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText parses 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("chain: a hash is %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("chain: hash %q: %w", text, err)
	}
	return nil
}

// IsZero reports whether every byte is zero: the system's workspace tag.
func (h Hash) IsZero() bool { return h == Hash{} }

// LeafHash is the RFC 6962 leaf hash of an entry's bytes: SHA-256(0x00 || entry).
// It is at once the entry's place in the Merkle tree and the link that the next
// entry names.
func LeafHash(entry []byte) Hash {
	// One contiguous input spares the streaming interface's copies; an entry
	// without a tail fits the array.
	var short [1 + HeaderSize]byte
	if len(entry) <= HeaderSize {
		return sha256.Sum256(append(short[:1], entry...))
	}
	h := sha256.New()
	h.Write(short[:1])
	h.Write(entry)
	var out Hash
	h.Sum(out[:0])
	return out
}

// FirstPrevious is the previous leaf that entry 0 of a ledger names.
func FirstPrevious(ledger Hash) Hash { return sum("annals/chain/v1\x00", ledger[:]) }

// FirstInWorkspace is the previous leaf that the first entry of a workspace's
// chain names. It holds the ledger id and the tag, so no chain can be
// transplanted.
func FirstInWorkspace(ledger, tag Hash) Hash {
	return sum("annals/wschain/v1\x00", ledger[:], tag[:])
}

// sum hashes a domain string and its parts, one after the other. Parts of
// variable length carry their own length prefix.
func sum(domain string, parts ...[]byte) Hash {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	var out Hash
	h.Sum(out[:0])
	return out
}

func be16[T ~uint16 | ~int](dst []byte, v T) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(v))
}

func be32[T ~uint32 | ~int](dst []byte, v T) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(v))
}
func be64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }
