package proof

import (
	"bytes"

	"annals/ledger/chain"
)

// NewReceipt makes the receipt of a stored entry, as yet without the proof: Hashes
// and Checkpoint are the caller's to fill in. With payload it shows what was
// published, where that is still there. A duplicate's body is made whole with the
// original's record bytes; where those are gone, so is the body.
//
// Of a control message neither salt nor payload is shown: its private part may be
// a seed, or the key of all workspaces. What it says is in the entry itself.
func NewReceipt(ledger chain.Hash, leaf *chain.Leaf, payload bool) *Receipt {
	r := &Receipt{Ledger: ledger, Entry: leaf.Entry, Raw: bytes.Clone(leaf.Raw), Index: leaf.Entry.Index}
	r.Entry.Tail = nil
	if len(r.Raw) > chain.HeaderSize {
		r.Entry.Tail = r.Raw[chain.HeaderSize:]
	}
	p := leaf.Payload
	if p == nil || leaf.Entry.Kind == chain.KindControl || leaf.Subject().Root == chain.RootControl {
		return r
	}
	salt := p.Salt
	r.Salt = &salt
	if !payload {
		return r
	}
	whole := &chain.Payload{Salt: salt, Envelope: bytes.Clone(p.Envelope)}
	switch {
	case p.Kept == chain.KeptWhole:
		whole.Body = bytes.Clone(p.Body)
	case p.Kept == chain.KeptAround && leaf.Original != nil:
		whole.Body = bytes.Join([][]byte{p.Before, leaf.Original, p.After}, nil)
	default:
		return r
	}
	r.Payload = whole
	return r
}

// WithoutPayload returns the receipt with no more than the salt beside the entry:
// what to keep where payloads must not be. Whoever has it and the bytes that were
// published can still put them in, with [Receipt.WithPayload].
//
// The salt stays personal data for as long as the payload can be guessed: a receipt
// is deleted with what it is of.
func (r *Receipt) WithoutPayload() *Receipt {
	out := *r
	out.Payload = nil
	return &out
}
