package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// Remote audits what a place shows: its checkpoint, which must be signed by the
// auditor's key or one that followed it, and every entry and tile that the
// checkpoint requires. Payloads are not among them. An error means that the audit
// could not be made or finished, and comes with an inconclusive report.
func Remote(ctx context.Context, place *tiles.Place, o Options) (Result, error) {
	r := remote{place: place, o: o}
	if err := r.open(ctx); err != nil {
		return r.refused(err)
	}
	po := o.options()
	po.Tiles, po.EntriesOnly = true, true
	po.Checkpoint = r.checkpoint.Note
	po.History, po.Retired = r.history, r.retired()
	var err error
	if po.Found, err = r.before(ctx, &po); err != nil {
		return r.refused(err)
	}
	tree := place.At(r.checkpoint)
	head, err := tree.Head(ctx)
	if err != nil {
		return r.refused(err)
	}
	report, err := proof.Audit(ctx, counted(tree, head.Size, o.Progress), po)
	return Result{Report: report, Head: head, Note: string(r.checkpoint.Note)}, err
}

// Open fetches a place's checkpoint and judges it by the auditor's key. It returns
// the retired checkpoints of the key history besides, where there is one.
func Open(ctx context.Context, place *tiles.Place, key string) (proof.Checkpoint, [][]byte, error) {
	r := remote{place: place, o: Options{Key: key}}
	err := r.open(ctx)
	return r.checkpoint, r.retired(), err
}

// retired are the retired checkpoints that the key history shows.
func (r *remote) retired() (out [][]byte) {
	if r.history != nil {
		for _, n := range r.history.Retired {
			out = append(out, []byte(n))
		}
	}
	return out
}

// remote is one audit from elsewhere.
type remote struct {
	place      *tiles.Place
	o          Options
	checkpoint proof.Checkpoint  // what is audited
	newest     uint64            // entries of the newest one, which may be more
	history    *proof.KeyHistory // nil when the place shows none, or one that proves nothing
	wrong      error             // why
	found      []proof.Found     // in what is signed, before all else
}

// refused is the result where a verdict was reached, or made impossible, before
// the audit.
func (r *remote) refused(err error) (Result, error) {
	report := proof.Refused(err)
	if report.Verdict == proof.Inconclusive {
		return Result{Report: report}, err
	}
	return Result{Report: report}, nil
}

// open fetches the checkpoint and the keys, and judges them by the auditor's key.
func (r *remote) open(ctx context.Context) error {
	ring, err := proof.NewKeyring(r.o.Key)
	if err != nil {
		return err
	}
	note, err := r.place.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := r.readHistory(ctx, ring.Origin()); err != nil {
		return err
	}
	c, err := ring.Open(note)
	if errors.Is(err, chain.ErrUnknownKey) && r.history != nil {
		// The key may have given way to another since the auditor got it.
		if ring, err = r.history.Verify(r.o.Key); err == nil {
			c, err = ring.Open(note)
		}
	} else if errors.Is(err, chain.ErrUnknownKey) && r.wrong != nil {
		// Whether it did, the history would say.
		return &proof.Fault{Finding: proof.FindingOf(r.wrong), Err: fmt.Errorf("the checkpoint of %s is not by the key that was given, and whether by one that followed it can't be told: %w", r.place, r.wrong)}
	}
	if err != nil {
		return fmt.Errorf("the checkpoint of %s: %w", r.place, err)
	}
	r.checkpoint, r.newest = c, c.Size
	return r.preferWitnessed(ctx, ring)
}

// readHistory reads the key history, if there is one. What is wrong with it is a
// finding of its own, for it is how others follow the ledger's keys.
func (r *remote) readHistory(ctx context.Context, origin string) error {
	b, err := r.place.Keys(ctx)
	if errors.Is(err, tiles.ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	h, err := proof.ParseKeyHistory(b)
	if err == nil && h.Origin != origin {
		err = fmt.Errorf("%w: it is of %q", proof.ErrOrigin, h.Origin)
	}
	if err == nil {
		_, err = h.Verify("")
	}
	if err != nil {
		r.wrong = fmt.Errorf("the key history of %s: %w", r.place, err)
		return nil
	}
	r.history = h
	return nil
}

// before is what is found before the audit: a key history that proves nothing,
// entries that no checkpoint covers, and a head that is older than the remembered
// one.
func (r *remote) before(ctx context.Context, po *proof.Options) ([]proof.Found, error) {
	found := r.found
	if f := proof.FindingOf(r.wrong); f != proof.Clean {
		found = append(found, proof.Found{Finding: f, Detail: r.wrong.Error()})
	}
	signed, size := r.newest, r.checkpoint.Size
	beyond, err := r.place.Beyond(ctx, signed)
	if err != nil {
		return nil, err
	}
	if beyond > signed {
		found = append(found, proof.Found{
			Finding: proof.TailUnproven, Index: &signed,
			Detail: fmt.Sprintf("%s holds %d entries, but its checkpoint covers %d: nobody signed for the rest", r.place, beyond, signed),
		})
	}
	if known := r.o.Remembered; known != nil && known.Size > size {
		f, err := r.behind(ctx, known)
		if err != nil {
			return nil, err
		}
		found = append(found, f)
		po.Remembered = &proof.Head{} // compared
	}
	return found, nil
}

// behind says what it means that the checkpoint is older than the remembered head.
func (r *remote) behind(ctx context.Context, known *Remembered) (proof.Found, error) {
	size := r.checkpoint.Size
	larger := proof.Checkpoint{Origin: r.checkpoint.Origin, Size: known.Size, Root: known.Root}
	evidence := []string{string(r.checkpoint.Note)}
	if known.Note != "" {
		evidence = slices.Insert(evidence, 0, known.Note)
	}
	found := proof.Found{Index: &size, Evidence: evidence}
	switch err := r.place.At(larger).Begins(ctx, r.checkpoint); {
	case err == nil:
		found.Finding = proof.StaleHead
		found.Detail = fmt.Sprintf("the checkpoint has %d entries, but a head with %d is remembered, whose tiles are there and begin with the checkpoint's", size, known.Size)
	case errors.Is(err, proof.ErrProof):
		found.Finding = proof.Forked
		found.Detail = fmt.Sprintf("the checkpoint has %d entries and is not the beginning of the remembered head's %d: %v", size, known.Size, err)
	case errors.Is(err, tiles.ErrAbsent), errors.Is(err, tiles.ErrOther):
		found.Finding = proof.Truncated
		found.Detail = fmt.Sprintf("the checkpoint has %d entries, but a head with %d is remembered, and the tree of that many is not shown: %v", size, known.Size, err)
	default:
		return found, err
	}
	return found, nil
}
