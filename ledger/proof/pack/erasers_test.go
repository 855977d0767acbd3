package pack_test

import (
	"bytes"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// TestErasersInPack: the code that reads packs and the verify.py in them count an
// erasure's signatures as the fold does.
func TestErasersInPack(t *testing.T) {
	a, b, c := chaintest.Signer("a"), chaintest.Signer("b"), chaintest.Signer("c")
	var packs []brought
	var names []string
	for _, tried := range []struct {
		name    string
		signers []chain.Signer
		want    proof.Finding
	}{
		{"two of three", []chain.Signer{a, c}, proof.Clean},
		{"all three", []chain.Signer{c, b, a}, proof.Clean},
		{"one", []chain.Signer{b}, proof.UnauthorisedControl},
		{"one, twice", []chain.Signer{b, b}, proof.UnauthorisedControl},
		{"one, and the operator", []chain.Signer{b, prooftest.New("operator").Operator}, proof.UnauthorisedControl},
		{"the operator", []chain.Signer{prooftest.New("operator").Operator}, proof.UnauthorisedControl},
		{"two, and a stranger", []chain.Signer{a, b, chaintest.Signer("stranger")}, proof.UnknownKey},
	} {
		l := prooftest.Random(401, 30, 3)
		l.ChangeKeys(chain.KeyChange{
			Added:      []chain.Key{a.Public(chain.RoleEraser), b.Public(chain.RoleEraser), c.Public(chain.RoleEraser)},
			Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
		}, "", l.Stream.Root)
		l.Fold()
		mine := l.Of("ws_1", l.Size())
		target := mine[slices.IndexFunc(mine, func(index uint64) bool { return l.Leaves[index].Entry.Kind == chain.KindRecord })]
		by := l.ForgeErase("ws_1", target, func(*chain.Statement, *chain.Erase) {}, tried.signers...)
		var out bytes.Buffer
		if err := pack.Write(&out, contents(t, l, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, kept), new(proof.TenantReport)); err != nil {
			t.Fatal(err)
		}
		r := verdict(t, out.Bytes(), l.VKey())
		if r.Verdict != tried.want || tried.want != proof.Clean && *r.Findings[0].Index != by {
			t.Errorf("%s: verdict %s, want %s at %d: %+v", tried.name, r.Verdict, tried.want, by, r.Findings)
		}
		packs, names = append(packs, brought{unzipped(t, out.Bytes()), l.VKey()}), append(names, tried.name)
	}
	agree(t, packs, names)
}
