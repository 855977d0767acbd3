package multibuffer

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestDigests hashes messages of every length up to beyond the longest, and thousands of
// mixed ones, and compares with the standard library.
func TestDigests(t *testing.T) {
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprintf("apart=%t", apart), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(1, 2))
			var sizes []int
			for n := range longest*sha256.BlockSize + 200 {
				sizes = append(sizes, n)
			}
			for range 2000 {
				sizes = append(sizes, dice.IntN(700))
			}
			dice.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
			h := Hasher{apart: apart}
			got, want := make([][sha256.Size]byte, len(sizes)), make([][sha256.Size]byte, len(sizes))
			for i, n := range sizes {
				text := h.Space(&got[i], n)
				if len(text) != n {
					t.Fatalf("room for %d bytes, asked for %d", len(text), n)
				}
				for at := range text {
					text[at] = byte(dice.Uint32())
				}
				want[i] = sha256.Sum256(text)
			}
			h.Flush()
			for i, n := range sizes {
				if got[i] != want[i] {
					t.Fatalf("message %d, %d bytes: %x, want %x", i, n, got[i], want[i])
				}
			}
		})
	}
}

// FuzzDigests hashes pieces of the input, cut where it says, and compares.
func FuzzDigests(f *testing.F) {
	f.Add([]byte("abc"), uint16(1))
	f.Add(make([]byte, 4096), uint16(119))
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		var h Hasher
		var pieces [][]byte
		for step := int(size)%600 + 1; len(b) > 0; step++ {
			n := min(step, len(b))
			pieces = append(pieces, b[:n])
			b = b[n:]
		}
		got := make([][sha256.Size]byte, len(pieces))
		for i, p := range pieces {
			copy(h.Space(&got[i], len(p)), p)
		}
		h.Flush()
		for i, p := range pieces {
			if got[i] != sha256.Sum256(p) {
				t.Fatalf("piece %d of %d bytes", i, len(p))
			}
		}
	})
}

// TestFewAreFlushed flushes every number of messages that doesn't fill the lanes, and goes
// on with the same hasher.
func TestFewAreFlushed(t *testing.T) {
	var h Hasher
	for n := range 3 * lanes {
		got := make([][sha256.Size]byte, n)
		for i := range got {
			copy(h.Space(&got[i], 65), fmt.Sprintf("%65d", i*n))
		}
		h.Flush()
		for i := range got {
			if got[i] != sha256.Sum256(fmt.Appendf(nil, "%65d", i*n)) {
				t.Fatalf("message %d of %d", i, n)
			}
		}
	}
}

func BenchmarkHasher(b *testing.B) {
	for _, n := range []int{65, 209, 600} {
		for _, apart := range []bool{true, false} {
			b.Run(fmt.Sprintf("bytes=%d/apart=%t", n, apart), func(b *testing.B) {
				h := Hasher{apart: apart}
				message := make([]byte, n)
				var out [sha256.Size]byte
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(h.Space(&out, n), message)
				}
				h.Flush()
			})
		}
	}
}
