package service

import (
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// checkErasers refuses to go on where others were to erase than the ledger says: a
// genesis is not changed any more, and a change of keys is signed by the root key.
func (s *Service) checkErasers(g *chain.Genesis) error {
	for _, wanted := range s.o.Erasers {
		if !slices.ContainsFunc(g.Keys, func(k chain.Key) bool { return k.ID() == wanted.ID() && k.Roles&chain.RoleEraser != 0 }) {
			return fmt.Errorf("--eraser: the ledger in %s was begun without the eraser's key %s; leave --eraser out, and have the key named with `annals keys add`", s.dir.Root, wanted.ID())
		}
	}
	if len(s.o.Erasers) > 0 && !slices.Contains(g.Thresholds, chain.Threshold{Role: chain.RoleEraser, Keys: max(1, s.o.ErasersNeeded)}) {
		return fmt.Errorf("--erasers-needed: the ledger in %s was begun with another number than %d; leave it and --eraser out, and have the number changed with `annals keys threshold`", s.dir.Root, s.o.ErasersNeeded)
	}
	return nil
}
