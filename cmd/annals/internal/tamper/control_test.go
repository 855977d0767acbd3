package tamper_test

import (
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// controlTamperings put control statements into the ledger that the rules don't
// let in; every hash follows, and the checkpoint is signed.
func controlTamperings() []tampering {
	root, keeper := signerOf(rootKey), signerOf(ledgerKey)
	stranger, operator := signerOf(strangerKey), signerOf(chaintest.Secret("operator 2"))
	removed, checkpoint := signerOf(operatorKey), signerOf(checkpointKey)
	rotation := func(b *book) int { return b.control(chain.ControlKey, 0) }
	epoch := func(b *book) int { return b.control(chain.ControlEpoch, 0) }
	lost := func(b *book) int { return b.kind(chain.KindGap, 0) }
	notice := func(b *book) int { return b.control(chain.ControlGap, 0) }
	seed := func(b *book) int { return b.control(chain.ControlSeed, 120) }
	mark := func(b *book) int { return b.control(chain.ControlMark, 120) }
	byTwo := func(b *book) int { return b.control(chain.ControlErase, b.control(chain.ControlErase, 0)+1) }
	trim := func(b *book) int { return b.control(chain.ControlTrim, 0) }
	restate := func(name string, where func(*book) int, change func(s *chain.Statement), want proof.Finding, signers ...chain.Signer) tampering {
		t := changing(name, where, func(b *book, i int) { b.restate(i, change, signers...) }, want)
		t.insider, t.unseen = true, map[medium]string{byLog: noRules}
		return t
	}
	same := func(*chain.Statement) {}
	out := []tampering{
		signed("a control signature flipped", seed, func(b *book, i int) {
			b.edit(i, func(e *chain.Entry) { e.Tail[len(e.Tail)-1] ^= 1 })
		}, proof.BadSignature),
		signed("a control statement changed under its signature", seed, func(b *book, i int) {
			b.edit(i, func(e *chain.Entry) { e.Tail[60] ^= 1 })
		}, proof.BadSignature),
		restate("a control statement signed by a stranger", seed, same, proof.UnknownKey, stranger),
		restate("a control statement signed by a key without the role", seed, same, proof.UnauthorisedControl, root),
		restate("a control statement signed by nobody", seed, same, proof.UnauthorisedControl),
		restate("a seed signed by the operator", seed, same, proof.UnauthorisedControl, operator),
		restate("a control statement signed by a key that was removed", seed, same, proof.UnknownKey, removed),
		restate("a rotation that the old key did not sign", rotation, same, proof.UnauthorisedControl, root),
		restate("a change of keys that the root did not sign", rotation, same, proof.UnauthorisedControl, checkpoint),
		restate("a change of keys that names an old key again", rotation, func(s *chain.Statement) {
			change, _ := chain.ParseKeyChange(s.Body)
			change.Added = []chain.Key{checkpoint.Public(chain.RoleCheckpoint)}
			s.Body = change.Append(nil)
		}, proof.UnknownKey, root, checkpoint), // so its successor, which signs checkpoints, was never named

		restate("an epoch after another message than the last", epoch, func(s *chain.Statement) { s.Body[11]-- }, proof.UnauthorisedControl, removed),
		restate("an epoch that is not the next one", epoch, func(s *chain.Statement) { s.Body[3]++ }, proof.MalformedEntry, removed),
		restate("an epoch of another history", epoch, func(s *chain.Statement) { s.Root[0] ^= 1 }, proof.UnauthorisedControl, removed),
		{
			name: "a gap's notice of other messages", insider: true, unseen: map[medium]string{byLog: noRules}, want: proof.UnauthorisedControl, at: lost,
			do: func(b *book) { b.restate(notice(b), func(s *chain.Statement) { s.Body[19]++ }, removed) },
		},
		signed("a gap wider than its notice", lost, func(b *book, i int) {
			b.edit(i, func(e *chain.Entry) { e.Tail[4+19]++ })
		}, proof.Reordered),
		signed("a record called a gap that nobody admits", middle, func(b *book, i int) {
			e := b.rows[i].entry()
			g := chain.Gap{Epoch: e.Epoch, First: e.Sequence, Last: e.Sequence, Message: e.Sequence + 5}
			gap := chain.Entry{
				Kind: chain.KindGap, Count: 1, Index: e.Index, Sequence: e.Sequence, ULID: e.ULID, Timestamp: e.Timestamp, Epoch: e.Epoch,
				Seed: e.Seed, Ref: chain.NoRef, Tail: appendTLV(nil, chain.TagGap, g.Append(nil)),
			}
			b.rows[i] = row{raw: gap.Append(nil)}
			b.relink(i, true)
		}, proof.UnauthorisedControl),
		restate("a control statement of another ledger", seed, func(s *chain.Statement) { s.Ledger[0] ^= 1 }, proof.WrongLedger, keeper),
		restate("a control statement replayed", seed, func(s *chain.Statement) { s.Number-- }, proof.UnauthorisedControl, keeper),
		restate("a control number left out", seed, func(s *chain.Statement) { s.Number++ }, proof.UnauthorisedControl, keeper),
		restate("a seed out of order", seed, func(s *chain.Statement) { s.Body[3]++ }, proof.UnauthorisedControl, keeper),
		restate("a second genesis", seed, func(s *chain.Statement) { s.Type = chain.ControlGenesis }, proof.UnauthorisedControl, root),
		restate("a control type to come", mark, func(s *chain.Statement) { s.Type = 99 }, proof.Unsupported, keeper),
		restate("a control body that doesn't parse", mark, func(s *chain.Statement) { s.Body = s.Body[1:] }, proof.MalformedEntry, keeper),
		restate("a mark of another root", mark, func(s *chain.Statement) { s.Root[0] ^= 1 }, proof.Forked, keeper),
		restate("a mark of a size to come", mark, func(s *chain.Statement) { s.Size = 10_000 }, proof.Forked, keeper),
		restate("a mark of other workspaces' heads", mark, func(s *chain.Statement) { s.Body[9] ^= 1 }, proof.WorkspaceChainBroken, keeper),
		restate("an erasure of other entries than its signer saw", func(b *book) int { return b.control(chain.ControlErase, 0) }, func(s *chain.Statement) {
			e, _ := chain.ParseErase(s.Body)
			e.Leaves[0] ^= 1
			e.Selection = e.Leaves
			s.Body = e.Append(nil)
		}, proof.UnauthorisedControl, removed),
		tenant(erased, restate("an erasure that one of two erasers signed", byTwo, same, proof.UnauthorisedControl, erasers()[0])),
		tenant(erased, restate("an erasure that one eraser signed twice", byTwo, same, proof.UnauthorisedControl, erasers()[0], erasers()[0])),
		tenant(erased, restate("an erasure that an eraser and the operator signed", byTwo, same, proof.UnauthorisedControl, erasers()[0], removed)),
		restate("a trim of another history", trim, func(s *chain.Statement) { s.Root[0] ^= 1 }, proof.UnauthorisedControl, keeper),
		restate("a genesis signed by no root key", fixed(0), same, proof.UnauthorisedControl, keeper),
	}
	return out
}
