package ingest_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"annals/ingest"
)

// TestSlabsKeepWhatIsNotSettled: whatever the order in which records settle, those
// that have not are untouched by what comes after.
func TestSlabsKeepWhatIsNotSettled(t *testing.T) {
	type kept struct {
		r    *ingest.Pending
		want []byte
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var s ingest.Slabs
	var all []kept
	for i := range 20_000 {
		size := 1 + rng.IntN(4<<10)
		if i%1000 == 0 {
			size = 300 << 10 // more than a slab
		}
		want := bytes.Repeat([]byte{byte(i)}, size)
		all = append(all, kept{s.Keep(want), want})
		for len(all) > 300 || len(all) > 0 && rng.IntN(2) == 0 {
			n := rng.IntN(len(all))
			if rng.IntN(10) > 0 {
				n = 0 // the oldest, mostly
			}
			if !bytes.Equal(ingest.Kept(all[n].r), all[n].want) {
				t.Fatalf("record %d of %d is not what it was", n, len(all))
			}
			s.Drop(all[n].r)
			all = append(all[:n], all[n+1:]...)
		}
	}
}
