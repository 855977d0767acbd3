package chain

import (
	"bytes"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Mark is a control statement that brackets what stands before it between
// witnessed times, and commits to every workspace's head. It speaks of the size
// and root in its statement, its publisher's durable head.
type Mark struct {
	Wall         int64 // the publisher's wall clock, ns since 1970
	Heads        Hash  // root of the heads map at the statement's size
	CosignedSize uint64
	CosignedHash Hash // of the last cosigned checkpoint; zeros while there is none
}

// Append appends the mark's body to dst.
func (m *Mark) Append(dst []byte) []byte {
	dst = be64(dst, uint64(m.Wall))
	dst = append(dst, m.Heads[:]...)
	dst = be64(dst, m.CosignedSize)
	return append(dst, m.CosignedHash[:]...)
}

// ParseMark parses exactly what [Mark.Append] prints.
func ParseMark(body []byte) (Mark, error) {
	c := cursor{b: body}
	m := Mark{Wall: int64(c.u64()), Heads: c.hash(), CosignedSize: c.u64(), CosignedHash: c.hash()}
	if !c.done() || m.Wall < 0 {
		return m, malformed("mark of %d bytes", len(body))
	}
	return m, nil
}

// SealMark frames and signs a mark as the body of a control message. size and
// root are the publisher's durable head.
func SealMark(ledger Hash, control uint64, size uint64, root Hash, m Mark, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlMark,
		Size: size, Root: root, Body: m.Append(nil),
	}, nil, signers...)
}

// mark takes a mark's time.
func (s *State) mark(st *Statement) error {
	m, err := ParseMark(st.Body)
	if err == nil {
		s.Wall = FloorMillis(m.Wall)
	}
	return err
}

// Head is the end of one workspace's chain.
type Head struct {
	Count uint64 // entries in the chain
	Index uint64 // of its last entry
	Leaf  Hash   // of its last entry
}

// HeadsRoot is the root of the map from workspace tag to head: an RFC 6962 tree
// over its rows, sorted by tag.
func HeadsRoot(heads map[Hash]Head) Hash {
	tags := make([]Hash, 0, len(heads))
	for tag := range heads {
		tags = append(tags, tag)
	}
	slices.SortFunc(tags, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	var stored nodes
	row := make([]byte, 0, 128)
	for n, tag := range tags {
		row = AppendHeadsRow(row[:0], tag, heads[tag])
		// Reading back from a slice that just grew can't fail.
		added, _ := tlog.StoredHashesForRecordHash(int64(n), tlog.RecordHash(row), stored)
		stored = append(stored, added...)
	}
	root, _ := tlog.TreeHash(int64(len(tags)), stored)
	return Hash(root)
}

// AppendHeadsRow appends the data of one leaf of the map of heads: what its RFC
// 6962 leaf hash is of.
func AppendHeadsRow(dst []byte, tag Hash, h Head) []byte {
	dst = append(dst, "annals/heads/v1\x00"...)
	dst = append(dst, tag[:]...)
	dst = be64(dst, h.Count)
	dst = be64(dst, h.Index)
	return append(dst, h.Leaf[:]...)
}

// nodes is a tree's stored hashes, in tlog's order.
type nodes []tlog.Hash

func (n nodes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = n[at]
	}
	return out, nil
}
