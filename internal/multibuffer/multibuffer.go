// Package multibuffer computes the SHA-256 (FIPS 180-4) of many short messages, on
// processors with AVX-512 sixteen at once.
//
// One message's rounds wait for each other, whatever instructions the processor has for
// them; the rounds of sixteen messages don't. So who has thousands of messages at hand, as
// an audit has, gets them hashed in less than half the time that one after the other takes.
// Elsewhere the standard library hashes them one by one, with the same digests.
package multibuffer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

const (
	lanes   = 16
	fewest  = 5  // messages that are worth sixteen lanes
	longest = 32 // blocks; a message beyond is hashed by itself
)

// state is the sixteen messages' hash values, word by word.
type state [8][lanes]uint32

var initial = func() (s state) {
	for i, word := range [...]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {
		for lane := range s[i] {
			s[i][lane] = word
		}
	}
	return s
}()

// constants are K of FIPS 180-4, 4.2.2.
var constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

// Hasher gathers messages and hashes those together that have as many blocks. It is for
// one goroutine. The zero value is ready.
type Hasher struct {
	queues [longest + 1]*queue // by blocks
	alone  queue               // what is hashed by itself
	due    *queue              // what the last message filled
	apart  bool                // every message by itself, for tests
	state  state
}

// queue is messages of as many blocks each, one after the other.
type queue struct {
	blocks int
	n      int
	bytes  []byte
	size   [lanes]int
	out    [lanes]*[sha256.Size]byte
}

// able reports whether sixteen lanes give what the standard library gives: a processor
// that doesn't do what it says is not worth the time that it saves.
var able = sync.OnceValue(func() bool {
	if !together {
		return false
	}
	var got [lanes][sha256.Size]byte
	q := newQueue(2)
	for i := range got {
		text := q.space(&got[i], 64+i*3)
		for at := range text {
			text[at] = byte(at*7 + i)
		}
	}
	new(Hasher).run(q)
	for i := range got {
		if got[i] != sha256.Sum256(q.message(i)) {
			return false
		}
	}
	return true
})

func newQueue(blocks int) *queue {
	return &queue{blocks: blocks, bytes: make([]byte, lanes*blocks*sha256.BlockSize)}
}

// Space returns room for a message of n bytes, for the caller to fill before the next
// call of any method. Its digest stands in out after a later call: [Hasher.Flush] at the
// latest.
func (h *Hasher) Space(out *[sha256.Size]byte, n int) []byte {
	h.settle()
	blocks := (n + 1 + 8 + sha256.BlockSize - 1) / sha256.BlockSize
	if h.apart || blocks > longest || !able() {
		q := &h.alone
		if q.n = 1; cap(q.bytes) < n {
			q.bytes = make([]byte, n)
		}
		q.size[0], q.out[0], h.due = n, out, q
		return q.bytes[:n]
	}
	q := h.queues[blocks]
	if q == nil {
		q = newQueue(blocks)
		h.queues[blocks] = q
	}
	text := q.space(out, n)
	if q.n == lanes {
		h.due = q
	}
	return text
}

// space adds a message with its padding (FIPS 180-4, 5.1.1).
func (q *queue) space(out *[sha256.Size]byte, n int) []byte {
	width := q.blocks * sha256.BlockSize
	lane := q.bytes[q.n*width:][:width]
	q.size[q.n], q.out[q.n] = n, out
	q.n++
	clear(lane[n:])
	lane[n] = 0x80
	binary.BigEndian.PutUint64(lane[width-8:], uint64(n)*8)
	return lane[:n:n]
}

func (q *queue) message(i int) []byte {
	return q.bytes[i*q.blocks*sha256.BlockSize:][:q.size[i]]
}

// settle hashes the queue that the last message filled.
func (h *Hasher) settle() {
	if h.due != nil {
		h.run(h.due)
		h.due = nil
	}
}

// Flush hashes what is left.
func (h *Hasher) Flush() {
	h.settle()
	for _, q := range h.queues {
		if q != nil && q.n > 0 {
			h.run(q)
		}
	}
}

// run hashes a queue's messages.
func (h *Hasher) run(q *queue) {
	if q == &h.alone || q.n < fewest {
		for i := range q.n {
			*q.out[i] = sha256.Sum256(q.message(i))
		}
	} else {
		h.state = initial
		compress(&h.state, &constants, &q.bytes[0], uint64(q.blocks*sha256.BlockSize), uint64(q.blocks))
		for i, out := range q.out[:q.n] {
			for word := range h.state {
				binary.BigEndian.PutUint32(out[4*word:], h.state[word][i])
			}
		}
	}
	q.n = 0
	clear(q.out[:])
}
