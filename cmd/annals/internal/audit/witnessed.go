package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// A ledger signs faster than witnesses cosign. Whoever asks for witnesses gets the last
// checkpoint that they cosigned in the place of the last one that was signed: what the
// verdict speaks of is then all witnessed. The later one has to go on from it.

// lacks reports whether a checkpoint is sound by the auditor's policy, but for
// cosignatures.
func (o *Options) lacks(note []byte) bool {
	if o.Policy == nil {
		return false
	}
	f := o.Policy.Judgement(note)
	return f != nil && f.Finding == proof.WitnessQuorumNotMet
}

// preferWitnessed audits a folder by its witnessed checkpoint, where the auditor's
// policy asks for one and the last checkpoint is not. That one is compared too.
func (o *Options) preferWitnessed(po *proof.Options, size uint64) {
	newest, err := proof.ParseCheckpoint(po.Checkpoint)
	if err != nil || newest.Size > size || !o.lacks(po.Checkpoint) || o.Policy.Judgement(o.Signed.Witnessed) != nil {
		return
	}
	po.Retired = append(slices.Clip(po.Retired), po.Checkpoint)
	po.Checkpoint = o.Signed.Witnessed
}

// preferWitnessed takes a place's witnessed checkpoint for the one to audit, where the
// auditor's policy asks for one and the last checkpoint is not.
func (r *remote) preferWitnessed(ctx context.Context, ring *proof.Keyring) error {
	if !r.o.lacks(r.checkpoint.Note) {
		return nil
	}
	note, err := r.place.Witnessed(ctx)
	if errors.Is(err, tiles.ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := ring.Open(note)
	known := r.o.Remembered
	if err != nil || c.Size > r.checkpoint.Size || known != nil && c.Size < known.Size || r.o.Policy.Judgement(note) != nil {
		return nil // it is of no use: the last one is judged, which lacks cosignatures
	}
	err = r.place.At(r.checkpoint).Begins(ctx, c)
	switch {
	case errors.Is(err, proof.ErrProof):
		r.found = append(r.found, proof.Found{
			Finding: proof.Forked, Evidence: []string{string(c.Note), string(r.checkpoint.Note)},
			Detail: fmt.Sprintf("witnesses cosigned %d entries, and the checkpoint of %d does not begin with them: %v", c.Size, r.checkpoint.Size, err),
		})
	case err != nil:
		return err
	}
	r.checkpoint = c
	return nil
}
