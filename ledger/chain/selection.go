package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Selection hashes selected entries, one after the other.
type Selection struct{ h hash.Hash }

// NewSelection begins the hash of entries of a workspace's.
func NewSelection(ledger, workspace Hash) Selection {
	h := sha256.New()
	h.Write([]byte("annals/selection/v1\x00"))
	h.Write(ledger[:])
	h.Write(workspace[:])
	return Selection{h}
}

// Add adds an entry. They come by ascending index.
func (s Selection) Add(index uint64, leaf Hash) {
	var b [8 + sha256.Size]byte
	binary.BigEndian.PutUint64(b[:], index)
	copy(b[8:], leaf[:])
	s.h.Write(b[:])
}

// Sum returns the hash.
func (s Selection) Sum() (out Hash) {
	s.h.Sum(out[:0])
	return out
}
