package ledger

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"annals/ledger/chain"
)

// The keyspace. Numbers are big-endian, so keys sort as numbers do.
//
//	c <tag 32> <index 8>  an entry that is a catalogue of the workspace
//	d <key 32>       index of the first record under a dedupe key
//	e <index 8> 0    an entry's row: hashes of the tree's nodes, level 1 upwards,
//	                 that the entry completes (an even index completes none), and
//	                 the entry's bytes. Level 0 is the hash of the entry itself,
//	                 and isn't stored
//	e <index 8> 1    its payload, in stored form; deleted when it is erased
//	g <index 8>      an entry that is a retention rule, a hold or a release
//	r <of 8> <index 8>  kind 1: the entry at index names the entry at of, as what it
//	                 repeats, contradicts or amends
//	x <index 8>      index of the entry by which the payload was destroyed
//	y <number 4>     a seed that salted what is erased, to be destroyed
//	z <index 8>      an entry that destroyed something which files may still hold;
//	                 the one row that is of this replica alone
//	w <tag 32>       head of a workspace's chain: count 8, index 8, leaf 32
//	s <number 4>     a seed's 32 bytes
//	state            root 32, and the fold's state
//	format           the version of this table
//
// All that belongs to one index stands together: appending has one place to
// write to, and reading an entry one to look at.
const (
	prefixDedupe = 'd'
	prefixEntry  = 'e'
	prefixHead   = 'w'
	prefixSeed   = 's'

	prefixCatalogue  = 'c'
	prefixGoverning  = 'g'
	prefixReference  = 'r'
	prefixErased     = 'x'
	prefixSpent      = 'y'
	prefixUnscrubbed = 'z'
)

// The parts of an entry, the last byte of its keys.
const (
	partRow     = 0
	partPayload = 1
)

var (
	keyState  = []byte("state")
	keyFormat = []byte("format")
)

const formatVersion = "annals ledger 5"

const entryKeySize = 1 + 8 + 1

func entryKey(index uint64, part byte) []byte {
	return putEntryKey(make([]byte, entryKeySize), index, part)
}

// putEntryKey writes a key of an entry's part into dst.
func putEntryKey(dst []byte, index uint64, part byte) []byte {
	dst[0] = prefixEntry
	binary.BigEndian.PutUint64(dst[1:], index)
	dst[entryKeySize-1] = part
	return dst
}

// splitEntryKey takes a key of an entry's part apart; ok is false for another.
func splitEntryKey(key []byte) (index uint64, part byte, ok bool) {
	if len(key) != entryKeySize || key[0] != prefixEntry {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), key[entryKeySize-1], true
}

// splitRow takes an entry's row apart. A row that is cut short has fewer nodes,
// and no entry.
func splitRow(index uint64, row []byte) (nodes, entry []byte) {
	n := min(len(row), bits.TrailingZeros64(index+1)*len(chain.Hash{}))
	return row[:n:n], row[n:]
}

func hashKey(prefix byte, h chain.Hash) []byte {
	return append([]byte{prefix}, h[:]...)
}

func seedKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixSeed}, number)
}

const referenceKeySize = 1 + 8 + 8

func referenceKey(of, index uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{prefixReference}, of), index)
}

// splitReferenceKey takes a reference's key apart; ok is false for another.
func splitReferenceKey(key []byte) (of, index uint64, ok bool) {
	if len(key) != referenceKeySize || key[0] != prefixReference {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:]), true
}

func governingKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixGoverning}, index)
}

func erasedKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixErased}, index)
}

func spentKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixSpent}, number)
}

func unscrubbedKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixUnscrubbed}, index)
}

const headSize = 8 + 8 + len(chain.Hash{})

func appendHead(dst []byte, h chain.Head) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Count)
	dst = binary.BigEndian.AppendUint64(dst, h.Index)
	return append(dst, h.Leaf[:]...)
}

func parseHead(b []byte) (chain.Head, error) {
	if len(b) != headSize {
		return chain.Head{}, &DamageError{What: fmt.Sprintf("a workspace's head has %d bytes, not %d", len(b), headSize)}
	}
	return chain.Head{
		Count: binary.BigEndian.Uint64(b),
		Index: binary.BigEndian.Uint64(b[8:]),
		Leaf:  chain.Hash(b[16:]),
	}, nil
}
