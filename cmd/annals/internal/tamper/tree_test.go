package tamper_test

import (
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

func nodeHash(left, right chain.Hash) chain.Hash {
	return chain.Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
}

// hashes are a tree's stored hashes in tlog's order.
type hashes []tlog.Hash

func (h hashes) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		out[i] = h[n]
	}
	return out, nil
}

// stored gives the stored hashes of a tree over leaves.
func stored(leaves []chain.Hash) hashes {
	out := make(hashes, 0, 2*len(leaves))
	for i, h := range leaves {
		added, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(h), out)
		if err != nil {
			panic(err)
		}
		out = append(out, added...)
	}
	return out
}

// rootOf is the root of the tree over leaves.
func rootOf(leaves []chain.Hash) chain.Hash {
	root, err := tlog.TreeHash(int64(len(leaves)), stored(leaves))
	if err != nil {
		panic(err)
	}
	return chain.Hash(root)
}
