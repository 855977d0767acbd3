package succession

import (
	"context"
	"slices"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Amend has a change of keys published that makes no key: it names keys that others
// hold, takes some out of force, or says how many of a role have to sign. The root keys
// sign it.
func Amend(ctx context.Context, o Options, change chain.KeyChange) (*Change, error) {
	s, err := look(ctx, o)
	if err != nil {
		return nil, err
	}
	checkpoints := len(s.inForce(func(k proof.NamedKey) bool {
		return slices.Contains(change.Removed, k.ID) && slices.Contains(k.Roles, chain.RoleCheckpoint.String())
	})) > 0
	for _, k := range change.Added {
		checkpoints = checkpoints || k.Roles&chain.RoleCheckpoint != 0
	}
	out := &Change{Removed: change.Removed, Origin: s.history.Origin}
	for _, k := range change.Added {
		out.Named = append(out.Named, k.ID())
	}
	return s.publish(ctx, out, change, checkpoints)
}
