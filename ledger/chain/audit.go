package chain

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// What stands here is for whoever checks a ledger that another program wrote:
// it takes apart and judges what the fold has put together.

// Control is what a control entry's tail holds.
type Control struct {
	Statement  Statement
	statement  []byte // as signed
	block      []byte // the signature block, from its count on
	signatures []signature
}

// Control takes apart what a control entry's tail says. Errors wrap
// [ErrMalformed], or [ErrUnsupported] for a statement of another version.
func (e *Entry) Control() (Control, error) {
	var c Control
	c.statement, _ = e.TLV(TagStatement)
	c.block, _ = e.TLV(TagSignatures)
	var err error
	if c.Statement, err = ParseStatement(c.statement); err != nil {
		return c, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	r := cursor{b: c.block}
	for range r.u8() {
		c.signatures = append(c.signatures, signature{key: r.hash(), bytes: r.bytes16()})
		if r.bad {
			break
		}
	}
	if !r.done() {
		return c, malformed("entry %d: signature block of %d bytes", e.Index, len(c.block))
	}
	return c, nil
}

// Secret returns the secret or personal part of the message that the control
// entry was made of. ok is false when body is no message with this very
// statement and these signatures.
func (c *Control) Secret(body []byte) (secret []byte, ok bool) {
	f, ok := parseFrame(body)
	if !ok || string(f.statement) != string(c.statement) || string(f.block) != string(c.block) {
		return nil, false
	}
	return f.private, true
}

// ParseSeed reads a seed's statement body: its number, and the commitment to
// what its secret part holds.
func ParseSeed(body []byte) (number uint32, commitment Hash, err error) {
	c := cursor{b: body}
	number, commitment = c.u32(), c.hash()
	if !c.done() {
		return 0, Hash{}, malformed("seed of %d bytes", len(body))
	}
	return number, commitment, nil
}

// SubjectBytes is [Payload.Subject] without a copy: a view of the envelope.
func (p *Payload) SubjectBytes() []byte {
	if len(p.Envelope) < 3 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(p.Envelope[1:]))
	if 3+n > len(p.Envelope) {
		return nil
	}
	return p.Envelope[3 : 3+n]
}

// CommitmentIn is [Payload.Commitment] with scratch space of the caller's, which
// spares an allocation when it has room.
func (p *Payload) CommitmentIn(scratch []byte, ledger *Hash, e *Entry, original []byte) (h Hash, ok bool) {
	switch {
	case p.Kept == KeptWhole:
		return commit(scratch, &p.Salt, ledger, e.Epoch, e.Sequence, e.Place, p.Envelope, p.Body), true
	case p.Kept == KeptAround && original != nil:
		return commit(scratch, &p.Salt, ledger, e.Epoch, e.Sequence, e.Place, p.Envelope, p.Before, original, p.After), true
	}
	return Hash{}, false
}

// Clone returns a payload that shares no bytes with p.
func (p *Payload) Clone() *Payload {
	c := *p
	c.Envelope, c.Body = slices.Clone(p.Envelope), slices.Clone(p.Body)
	c.Before, c.After = slices.Clone(p.Before), slices.Clone(p.After)
	return &c
}
