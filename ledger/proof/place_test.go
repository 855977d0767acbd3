package proof_test

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// TestReceiptOfAnotherPlace puts an entry into a tree where it doesn't belong: the
// proof holds for that place, and is no proof of the entry.
func TestReceiptOfAnotherPlace(t *testing.T) {
	l := prooftest.New("place")
	l.Record("ws_7", "1", `{}`)
	l.Record("ws_7", "2", `{}`)
	l.Fold()
	const right, wrong = 3, 2 // the entry's own index, and where it was put
	leaves := []chain.Hash{}
	for i := range l.Leaves {
		leaves = append(leaves, chain.LeafHash(l.Leaves[i].Raw))
	}
	leaves[wrong] = leaves[right]
	// A tree of four, by hand: the node over each half, and the root over both.
	node := func(a, b chain.Hash) chain.Hash { return chain.Hash(tlog.NodeHash(tlog.Hash(a), tlog.Hash(b))) }
	left := node(leaves[0], leaves[1])
	c := proof.Checkpoint{Origin: l.Settled.Origin, Size: 4, Root: node(left, node(leaves[wrong], leaves[right]))}
	ring, err := proof.NewKeyring(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for index, want := range map[uint64]error{right: nil, wrong: proof.ErrProof} {
		r := proof.NewReceipt(l.ID, &l.Leaves[right], false)
		r.Index, r.Hashes, r.Checkpoint = index, []chain.Hash{leaves[right], left}, l.Sign(c.Text(), "checkpoint")
		if _, err := r.Verify(ring); !errors.Is(err, want) {
			t.Errorf("as entry %d: %v, want %v", index, err, want)
		}
	}
}
