package chain_test

import (
	"math/rand/v2"
	"testing"

	"annals/internal/multibuffer"
	"annals/ledger/chain"

	"golang.org/x/mod/sumdb/tlog"
)

// TestTogether hashes leaves, nodes and commitments of all sizes among each other, and
// gets what they have one by one.
func TestTogether(t *testing.T) {
	const n = 500
	dice := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(dice.Uint32())
		}
		return b
	}
	hash := func() chain.Hash { return chain.Hash(random(32)) }
	var h multibuffer.Hasher
	var leaves, nodes, commitments, wantLeaves, wantNodes, wantCommitments [n]chain.Hash
	for i := range n {
		entry := random(chain.HeaderSize + max(0, dice.IntN(600)-300))
		wantLeaves[i] = chain.LeafHash(entry)
		chain.LeafHashTo(&h, &leaves[i], entry)

		left, right := hash(), hash()
		wantNodes[i] = chain.Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
		chain.NodeHashTo(&h, (*[32]byte)(&nodes[i]), (*[32]byte)(&left), (*[32]byte)(&right))

		ledger := hash()
		e := chain.Entry{Epoch: dice.Uint32(), Sequence: dice.Uint64(), Place: uint16(dice.Uint32())}
		p := chain.Payload{Salt: hash(), Envelope: random(dice.IntN(100)), Body: random(dice.IntN(1 << dice.IntN(14)))}
		wantCommitments[i], _ = p.Commitment(ledger, &e, nil)
		p.CommitmentTo(&h, &commitments[i], &ledger, &e)
	}
	h.Flush()
	if leaves != wantLeaves {
		t.Error("leaf hashes differ")
	}
	if nodes != wantNodes {
		t.Error("node hashes differ")
	}
	if commitments != wantCommitments {
		t.Error("commitments differ")
	}
}
