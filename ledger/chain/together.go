package chain

import "annals/internal/multibuffer"

// What stands here is for whoever hashes many entries at once: what it gives is what
// [LeafHash] and [Payload.Commitment] give, once h is flushed.

// LeafHashTo is [LeafHash] among others: the hash is in out once h is flushed.
func LeafHashTo(h *multibuffer.Hasher, out *Hash, entry []byte) {
	b := h.Space((*[32]byte)(out), 1+len(entry))
	b[0] = 0
	copy(b[1:], entry)
}

// NodeHashTo is the hash of an inner node of the tree (RFC 6962, 2.1), among others.
func NodeHashTo(h *multibuffer.Hasher, out, left, right *[32]byte) {
	b := h.Space(out, 1+2*len(left))
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
}

// CommitmentTo is [Payload.Commitment] of a payload that is kept whole, among others.
func (p *Payload) CommitmentTo(h *multibuffer.Hasher, out, ledger *Hash, e *Entry) {
	b := h.Space((*[32]byte)(out), commitHead+len(p.Envelope)+4+len(p.Body))
	b = appendCommitHead(b[:0], &p.Salt, ledger, e.Epoch, e.Sequence, e.Place, p.Envelope)
	b = be32(b, len(p.Body))
	_ = append(b, p.Body...)
}
