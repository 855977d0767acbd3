package control

import (
	"annals/ledger/chain"
)

// SealGap signs that the messages of a hole are lost. why is kept beside the entry
// and may be erased.
func SealGap(at *Standing, hole *Hole, why string, signers ...chain.Signer) []byte {
	notice := chain.GapNotice{Epoch: hole.Epoch, First: hole.First, Last: hole.Last}
	return chain.SealGap(at.Ledger, at.Control, hole.Size, hole.Root, notice, why, signers...)
}

// Part returns one of a selection's statements; part counts from 0.
func (s *Selection) Part(part int, reason chain.EraseReason) (chain.Erase, error) {
	e := chain.Erase{
		Reason: reason, Rule: chain.NoRef, Workspace: s.Tag, Part: uint16(part), Parts: uint16(len(s.Parts)),
		Selection: s.Selection, Leaves: s.Parts[part].Leaves,
		Ranges: s.Parts[part].Ranges(),
	}
	var err error
	e.Role, err = chain.ParseRole(s.Role)
	return e, err
}

// SealErase signs one part of a selection, whose state the statement names. words say
// who asked and why; they are kept beside the entry and may be erased.
func SealErase(at *Standing, s *Selection, e chain.Erase, words string, signers ...chain.Signer) []byte {
	return chain.SealErase(at.Ledger, at.Control, s.Size, s.Root, e, words, signers...)
}
