package projections

import (
	"encoding/binary"
	"errors"
	"fmt"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// schema is the version of the rows. Any change of them is a new one: a folder
// of another version is emptied and folded again.
const schema = 4

// headKey is the key of the one row that says how far the fold has come.
var headKey = []byte{rowHead, 'h', 'e', 'a', 'd'}

// head is that row: the schema and the ledger that the rows are of, how many
// entries are folded, and the leaf hash of the last (chain.FirstPrevious where
// there is none).
type head struct {
	schema  uint32
	lineage chain.Hash
	size    uint64
	last    chain.Hash
}

const headSize = 4 + 32 + 8 + 32

func (h *head) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, h.schema)
	dst = append(dst, h.lineage[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.size)
	return append(dst, h.last[:]...)
}

func parseHead(b []byte) (head, error) {
	if len(b) != headSize {
		return head{}, fmt.Errorf("a head of %d bytes, this version writes %d", len(b), headSize)
	}
	return head{
		schema:  binary.BigEndian.Uint32(b),
		lineage: chain.Hash(b[4:]),
		size:    binary.BigEndian.Uint64(b[36:]),
		last:    chain.Hash(b[44:]),
	}, nil
}

// readHead reads the head row; ok is false in an empty store.
func readHead(r pebble.Reader) (h head, ok bool, err error) {
	value, closer, err := r.Get(headKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return head{}, false, nil
	}
	if err != nil {
		return head{}, false, err
	}
	defer closer.Close()
	h, err = parseHead(value)
	return h, err == nil, err
}
