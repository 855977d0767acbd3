package ledger

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// filter says of most dedupe keys that no record stands under them, without a
// look into the store: nearly every record is new, and looking up what isn't
// there was a fifth of the processor time that recording one takes.
//
// It is a Bloom filter in blocks of one cache line. Keys are HMACs, so their own
// bits choose the block and the bits in it. Its size is fixed: at 26 million keys
// about one answer in fifty is a needless look-up, and far beyond that it degrades
// into looking up everything, which is slower and still right.
type filter struct {
	blocks []block
	ready  atomic.Bool // it holds every stored key; before, it knows nothing
	stop   chan struct{}
	loaded sync.WaitGroup
}

type block [8]atomic.Uint64

const (
	filterBytes = 32 << 20
	filterBits  = 6 // bits of a block that a key sets
)

func newFilter() *filter {
	return &filter{blocks: make([]block, filterBytes/64), stop: make(chan struct{})}
}

// mayHold reports whether a record may stand under the key. False is certain.
func (f *filter) mayHold(key *chain.Hash) bool {
	if !f.ready.Load() {
		return true
	}
	b, bits := f.place(key)
	for range filterBits {
		if b[bits>>6&7].Load()&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// add puts a key in.
func (f *filter) add(key *chain.Hash) {
	b, bits := f.place(key)
	for range filterBits {
		b[bits>>6&7].Or(1 << (bits & 63))
		bits >>= 9
	}
}

// place returns a key's block, and 9 bits for each bit that it sets there.
func (f *filter) place(key *chain.Hash) (*block, uint64) {
	at := binary.BigEndian.Uint64(key[:8]) % uint64(len(f.blocks))
	return &f.blocks[at], binary.BigEndian.Uint64(key[8:16])
}

// load puts every stored key in, beside the recording that goes on. What is
// recorded meanwhile is added by the fold.
func (f *filter) load(db *pebble.DB) error {
	it, err := db.NewIter(bounds(prefixDedupe))
	if err != nil {
		return err
	}
	f.loaded.Go(func() {
		defer func() { _ = it.Close() }()
		n := 0
		for it.First(); it.Valid(); it.Next() {
			if key := it.Key(); len(key) == 1+len(chain.Hash{}) {
				f.add((*chain.Hash)(key[1:]))
			}
			if n++; n%4096 == 0 && f.stopped() {
				return
			}
		}
		// After an error it stays as it is: everything is looked up.
		f.ready.Store(it.Error() == nil)
	})
	return nil
}

func (f *filter) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// close ends the loading, so that the store can be closed.
func (f *filter) close() {
	close(f.stop)
	f.loaded.Wait()
}
