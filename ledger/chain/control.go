package chain

import (
	"bytes"
	"fmt"
)

// ControlType says what a control entry does; it stands in the entry's code.
type ControlType uint16

// The control types of fold version 1. A signed statement of any other type
// stops the fold: a program that doesn't know it must not guess.
const (
	ControlGenesis   ControlType = 1
	ControlSeed      ControlType = 2
	ControlMark      ControlType = 3
	ControlKey       ControlType = 4
	ControlEpoch     ControlType = 5
	ControlGap       ControlType = 6
	ControlErase     ControlType = 7
	ControlExpire    ControlType = 8
	ControlRetention ControlType = 9
	ControlHold      ControlType = 10
	ControlRelease   ControlType = 11
	ControlCatalogue ControlType = 12
	ControlFold      ControlType = 13
	ControlTrim      ControlType = 14
	ControlTimestamp ControlType = 17
)

// String returns the type's name, which is also the last token of the subject
// that such messages are published on.
func (t ControlType) String() string {
	switch t {
	case ControlGenesis:
		return "genesis"
	case ControlSeed:
		return "seed"
	case ControlMark:
		return "mark"
	case ControlKey:
		return "key"
	case ControlEpoch:
		return "epoch"
	case ControlGap:
		return "gap"
	case ControlErase:
		return "erase"
	case ControlExpire:
		return "expire"
	case ControlRetention:
		return "retention"
	case ControlHold:
		return "hold"
	case ControlRelease:
		return "release"
	case ControlCatalogue:
		return "catalogue"
	case ControlFold:
		return "fold-version"
	case ControlTrim:
		return "trim"
	case ControlTimestamp:
		return "timestamp"
	}
	return fmt.Sprintf("control type %d", uint16(t))
}

// Subject is where a control message of the type is published.
func (t ControlType) Subject() string { return "annals.control." + t.String() }

// role is the role whose keys sign statements of the type; 0 for a type that
// this version doesn't know.
func (t ControlType) role() Role {
	switch t {
	case ControlGenesis, ControlKey:
		return RoleRoot
	case ControlSeed, ControlMark, ControlExpire, ControlTrim, ControlTimestamp:
		return RoleLedger
	case ControlEpoch, ControlGap, ControlHold, ControlRelease, ControlCatalogue, ControlFold:
		return RoleOperator
	case ControlErase, ControlRetention:
		return RoleEraser // or who stands in for it: see [Roster.Due]
	}
	return 0
}

const (
	statementFamily = "annals/control/"
	statementDomain = "annals/control/v1\x00"
)

// Statement is what a control message's keys sign, exactly so. It stands in the
// entry and is never erased, so it holds no personal data.
type Statement struct {
	Ledger Hash   // zeros in the genesis
	Number uint64 // last accepted number + 1
	Type   ControlType
	Size   uint64 // size and root that it speaks of; zeros: unconditional
	Root   Hash
	Body   []byte
}

// Append appends the statement's bytes to dst.
func (s *Statement) Append(dst []byte) []byte {
	dst = append(dst, statementDomain...)
	dst = append(dst, s.Ledger[:]...)
	dst = be64(dst, s.Number)
	dst = be16(dst, s.Type)
	dst = be64(dst, s.Size)
	dst = append(dst, s.Root[:]...)
	dst = be32(dst, len(s.Body))
	return append(dst, s.Body...)
}

// ParseStatement parses a statement of version 1, as TLV 0x8001 holds it.
func ParseStatement(b []byte) (Statement, error) {
	var s Statement
	rest, ok := bytes.CutPrefix(b, []byte(statementDomain))
	if !ok {
		return s, unsupported("control statement that begins with %q", b[:min(len(b), len(statementDomain))])
	}
	c := cursor{b: rest}
	s.Ledger = c.hash()
	s.Number = c.u64()
	s.Type = ControlType(c.u16())
	s.Size = c.u64()
	s.Root = c.hash()
	s.Body = c.bytes32()
	if !c.done() {
		return s, malformed("control statement of %d bytes", len(b))
	}
	return s, nil
}

type signature struct {
	key   Hash
	bytes []byte
}

// frame is a control message taken apart.
type frame struct {
	statement  []byte
	block      []byte // the signature block, from its count on: TLV 0x8002
	signatures []signature
	private    []byte // secret (seed, workspace key) or personal part
}

// SealControl signs a statement and frames it as the message's body. private is
// the part that stays out of the entry: a seed, the workspace key.
func SealControl(s Statement, private []byte, signers ...Signer) []byte {
	statement := s.Append(nil)
	signatures := make([]Signature, len(signers))
	for i, signer := range signers {
		sig := signer.sign(statement)
		signatures[i] = Signature{Key: sig.key, Bytes: sig.bytes}
	}
	return Assemble(s, private, signatures...)
}

// parseFrame takes a control message's body apart; its slices alias b.
func parseFrame(b []byte) (frame, bool) {
	var f frame
	c := cursor{b: b}
	if c.u8() != 1 {
		return f, false
	}
	f.statement = c.bytes32()
	block := c.b
	for range c.u8() {
		f.signatures = append(f.signatures, signature{key: c.hash(), bytes: c.bytes16()})
		if c.bad {
			return f, false
		}
	}
	f.block = block[:len(block)-len(c.b)]
	f.private = c.bytes32()
	// Statement and signatures stand in the entry's tail, whose length is 16 bits.
	fits := 8+len(f.statement)+len(f.block) <= MaxEntrySize-HeaderSize
	return f, c.done() && fits
}

// tail encodes what a control entry holds of its message.
func (f *frame) tail() []byte {
	return appendTLV(appendTLV(nil, TagStatement, f.statement), TagSignatures, f.block)
}

// HaltError stops the fold at a message that a newer program understands: to
// skip it would fork old and new replicas. Reads go on.
type HaltError struct {
	Sequence uint64
	What     string
}

func (e *HaltError) Error() string {
	return fmt.Sprintf("chain: message %d holds %s, which this version does not know: "+
		"recording stops here so that replicas cannot disagree; start a newer version of annals on this folder", e.Sequence, e.What)
}
