package main

import (
	"slices"

	"annals/cmd/annals/internal/keys"
	"annals/ledger/chain"
)

// erasersOf reads the public keys of a new ledger's erasers.
func erasersOf(texts []string, needed int) (erasers []chain.Key, n uint8, err error) {
	for _, text := range texts {
		public, _, err := keys.ReadPublic(text)
		if err != nil {
			return nil, 0, usagef("--eraser: %w", err)
		}
		if slices.ContainsFunc(erasers, func(k chain.Key) bool { return string(k.Public) == string(public) }) {
			return nil, 0, usagef("--eraser names the key %s twice; a key counts once", text)
		}
		erasers = append(erasers, chain.Key{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: chain.RoleEraser})
	}
	if needed < 1 || needed > max(1, len(erasers)) {
		return nil, 0, usagef("--erasers-needed is 1 to as many as there are --eraser, not %d", needed)
	}
	return erasers, uint8(needed), nil
}
