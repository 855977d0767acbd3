package proof

import (
	"errors"
	"fmt"

	"annals/ledger/chain"
)

// ErrCommitment marks a payload that isn't what the entry commits to.
var ErrCommitment = errors.New("the payload is not what the entry commits to")

// Proven is what a receipt was found to prove. What it doesn't name isn't proven:
// without the payload, the salt isn't, and the ledger's id only by a ring that
// knows it.
type Proven struct {
	Grade      Grade      // [Recorded] or [Witnessed]
	Checkpoint Checkpoint // the tree that the entry is in
	Payload    bool       // the payload, its salt and the ledger's id are the entry's
}

// Verify checks a receipt against the keys of the ledger, offline: that one of
// them signed the checkpoint and was in force at its size, that the bytes of the
// entry are a leaf of its tree at the entry's index, and, where the payload is
// there, that it is what the entry commits to.
//
// Errors wrap those of [Keyring.Open], [ErrOrigin], [ErrProof] or [ErrCommitment].
func (r *Receipt) Verify(keys *Keyring) (Proven, error) {
	checkpoint, err := keys.Open(r.Checkpoint)
	if err != nil {
		return Proven{}, fmt.Errorf("proof: the receipt's checkpoint: %w", err)
	}
	if id := keys.Ledger(); !id.IsZero() && id != r.Ledger {
		return Proven{}, fmt.Errorf("proof: %w: the receipt says that it is of ledger %s, the keys are of %s", ErrOrigin, r.Ledger, id)
	}
	return r.check(checkpoint, Recorded)
}

// VerifyWitnessed is [Receipt.Verify], and holds the checkpoint to a policy besides
// (C2SP tlog-policy): the grade is [Witnessed] where the policy's quorum of
// witnesses cosigned it. Where it did not, the receipt is proven as far as
// [Recorded], and the error is a [Fault] of [WitnessQuorumNotMet]. A policy that
// asks for no witness makes none of it.
func (r *Receipt) VerifyWitnessed(keys *Keyring, policy *Policy) (Proven, error) {
	proven, err := r.Verify(keys)
	if err != nil {
		return proven, err
	}
	_, met, err := policy.Judge(r.Checkpoint)
	switch {
	case err != nil:
		return Proven{}, fmt.Errorf("proof: the receipt's checkpoint, by the policy: %w", err)
	case !met:
		return proven, &Fault{Finding: WitnessQuorumNotMet, Err: fmt.Errorf("proof: the checkpoint of %d entries lacks cosignatures: the policy asks for %s", proven.Checkpoint.Size, policy.Need())}
	case policy.quorum != nil:
		proven.Grade = Witnessed
	}
	return proven, nil
}

// check holds the receipt to a checkpoint that was opened.
func (r *Receipt) check(checkpoint Checkpoint, grade Grade) (Proven, error) {
	if r.Index != r.Entry.Index {
		return Proven{}, fmt.Errorf("proof: %w: it is of entry %d, and the entry is entry %d", ErrProof, r.Index, r.Entry.Index)
	}
	if err := CheckInclusion(checkpoint.Size, checkpoint.Root, r.Index, chain.LeafHash(r.Raw), r.Hashes); err != nil {
		return Proven{}, err
	}
	proven := Proven{Grade: grade, Checkpoint: checkpoint}
	if r.Payload == nil {
		return proven, nil
	}
	if r.Salt == nil || *r.Salt != r.Payload.Salt || !r.commits(r.Payload) {
		return Proven{}, r.notCommitted()
	}
	proven.Payload = true
	return proven, nil
}

// commits reports whether a whole payload is what the entry commits to.
func (r *Receipt) commits(p *chain.Payload) bool {
	if r.Entry.Kind == chain.KindGap {
		return false // it commits to nothing, and its zeros must not match anything
	}
	h, ok := p.Commitment(r.Ledger, &r.Entry, nil)
	return ok && h == r.Entry.Commitment
}

func (r *Receipt) notCommitted() error {
	return fmt.Errorf("proof: %w: %s entry %d: its salt, subject, headers, body or ledger are others", ErrCommitment, r.Entry.Kind, r.Index)
}

// WithPayload puts a payload into a receipt that came without: what was published,
// which its producer has. The envelope is subject and headers as docs/format
// encodes them ([chain.Envelope]). The error wraps [ErrCommitment] when the
// entry is of something else.
func (r *Receipt) WithPayload(envelope, body []byte) (*Receipt, error) {
	if r.Salt == nil {
		return nil, fmt.Errorf("proof: the receipt of entry %d has no salt, so no payload can be compared with it", r.Index)
	}
	p := &chain.Payload{Salt: *r.Salt, Envelope: envelope, Body: body}
	if !r.commits(p) {
		return nil, r.notCommitted()
	}
	out := *r
	out.Payload = p
	return &out, nil
}

// Leaf is the entry with its payload, for what reads both.
func (r *Receipt) Leaf() chain.Leaf {
	return chain.Leaf{Entry: r.Entry, Raw: r.Raw, Payload: r.Payload}
}
