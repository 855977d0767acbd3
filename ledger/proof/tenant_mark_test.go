package proof_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// TestForgedMarks puts marks into the tree that the fold would not have let in: the
// operator of a ledger can, and a tenant sees it.
func TestForgedMarks(t *testing.T) {
	for name, c := range map[string]struct {
		signer string
		change func(s *chain.Statement, block []byte)
		want   proof.Finding
	}{
		"as it was":          {"keeper", func(*chain.Statement, []byte) {}, proof.Clean},
		"by another role":    {"operator", func(*chain.Statement, []byte) {}, proof.UnauthorisedControl},
		"by a stranger":      {"nobody", func(*chain.Statement, []byte) {}, proof.UnknownKey},
		"with no signature":  {"", func(*chain.Statement, []byte) {}, proof.UnauthorisedControl},
		"signature spoilt":   {"keeper", func(_ *chain.Statement, block []byte) { block[len(block)-1] ^= 1 }, proof.BadSignature},
		"of another ledger":  {"keeper", func(s *chain.Statement, _ []byte) { s.Ledger[0]++ }, proof.UnauthorisedControl},
		"of entries to come": {"keeper", func(s *chain.Statement, _ []byte) { s.Size += 99 }, proof.UnauthorisedControl},
		"of another type":    {"keeper", func(s *chain.Statement, _ []byte) { s.Type = chain.ControlSeed }, proof.UnauthorisedControl},
		"of no body":         {"keeper", func(s *chain.Statement, _ []byte) { s.Body = nil }, proof.UnauthorisedControl},
	} {
		t.Run(name, func(t *testing.T) {
			l := prooftest.Random(4, 40, 2)
			honest := l.Answer("ws_1", l.Size())
			r, err := proof.ParseReceipt([]byte(honest.Mark.Receipt))
			if err != nil {
				t.Fatal(err)
			}
			control, err := r.Entry.Control()
			if err != nil {
				t.Fatal(err)
			}
			forged := r.Entry
			forged.Index = l.Size()
			forged.Tail = sealed(&control.Statement, c.signer, c.change)
			index := l.Forge(forged.Append(nil))
			// The workspace as it was; all that is signed, of the tree with the forgery.
			tn := tenantOf(l, "ws_1", l.Size())
			tn.Answer.Mark = honest.Mark
			tn.Answer.Mark.Receipt = string(l.Receipt(index, l.Size(), false).Text())
			if r := tn.verify(t); r.Verdict != c.want {
				t.Errorf("verdict %s, want %s: %+v", r.Verdict, c.want, r.Findings)
			}
		})
	}
}

// sealed is the tail of a control entry with a statement that was changed before, or
// signatures that were changed after, it was signed.
func sealed(s *chain.Statement, signer string, change func(s *chain.Statement, block []byte)) []byte {
	own := *s
	change(&own, make([]byte, 100))
	var signers []chain.Signer
	if signer != "" {
		signers = append(signers, chaintest.Signer(signer))
	}
	frame := chain.SealControl(own, nil, signers...)
	n := binary.BigEndian.Uint32(frame[1:])
	statement, block := frame[5:5+n], slices.Clone(frame[5+n:len(frame)-4])
	change(&chain.Statement{}, block)
	tail := append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, chain.TagStatement), uint16(len(statement))), statement...)
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(tail, chain.TagSignatures), uint16(len(block))), block...)
}

// TestKeysInForce rotates the keys of heads and marks: each speaks for the sizes, and
// the entries, that it was in force for, and no other.
func TestKeysInForce(t *testing.T) {
	l := prooftest.Random(4, 30, 2)
	before := l.Size()
	l.ChangeKeys(chain.KeyChange{
		Reason:  chain.Rotation,
		Removed: sorted(l.Keeper.Public(chain.RoleLedger).ID(), chaintest.Signer("heads").Public(chain.RoleHeads).ID()),
		Added:   []chain.Key{chaintest.Signer("next keeper").Public(chain.RoleLedger), chaintest.Signer("next heads").Public(chain.RoleHeads)},
	}, "", chaintest.Signer("root"), l.Keeper, chaintest.Signer("heads"))
	l.Fold()
	if l.Size() != before+1 || l.Leaves[before].Entry.Kind != chain.KindControl {
		t.Fatal("the keys were not changed")
	}
	l.Keeper = chaintest.Signer("next keeper")
	l.Record("ws_1", "later", "{}")
	l.MarkNow()
	l.Record("ws_1", "last", "{}")
	l.Fold()
	size := l.Size()
	for name, c := range map[string]struct {
		size uint64 // that the head speaks of
		key  string
		want proof.Finding
	}{
		"an old head by the old key": {before, "heads", proof.Clean},
		"the change's own size":      {before + 1, "next heads", proof.Clean},
		"a new head by the new key":  {size, "next heads", proof.Clean},
		"a new head by the old key":  {size, "heads", proof.UnknownKey},
		"an old head by the new key": {before, "next heads", proof.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			h := l.Head("ws_1", c.size)
			tn := tenantOf(l, "ws_1", size)
			tn.lines = tn.lines[:h.Count]
			tn.Answer.Head = string(l.Sign(h.Text(), c.key))
			if tn.Answer.Mark = l.Answer("ws_1", size).Mark; c.size < size {
				tn.Answer.Mark = nil
			}
			if r := tn.verify(t); r.Verdict != c.want {
				t.Errorf("verdict %s, want %s: %+v", r.Verdict, c.want, r.Findings)
			}
		})
	}
}

func sorted(ids ...chain.Hash) []chain.Hash {
	slices.SortFunc(ids, func(a, b chain.Hash) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
