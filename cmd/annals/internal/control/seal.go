package control

import (
	"annals/ledger/chain"
)

// SealGap signs that the messages of a hole are lost. why is kept beside the entry
// and may be erased.
func SealGap(at *Standing, hole *Hole, why string, signers ...chain.Signer) []byte {
	notice := chain.GapNotice{Epoch: hole.Epoch, First: hole.First, Last: hole.Last}
	return chain.SealControl(chain.Statement{
		Ledger: at.Ledger, Number: at.Control, Type: chain.ControlGap,
		Size: hole.Size, Root: hole.Root, Body: notice.Append(nil),
	}, []byte(why), signers...)
}
