package chain_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// worked holds the examples that docs/format/control.md works through by hand to
// what the code makes of them.
func worked(t *testing.T, values map[string][]byte) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "control.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), "") // values stand there in lines
	for name, b := range values {
		if !strings.Contains(text, hex.EncodeToString(b)) {
			t.Errorf("docs/format/control.md lacks the %s: %x", name, b)
		}
	}
}

// statementIn returns what the control entry at an index says.
func statementIn(t *testing.T, l *chaintest.Log, index int) chain.Statement {
	t.Helper()
	c, err := l.Entries[index].Entry.Control()
	if err != nil {
		t.Fatal(err)
	}
	return c.Statement
}

// TestKeyVectors is docs/format/vectors/keys.json: changes of keys, and what is
// rejected before and after them.
func TestKeyVectors(t *testing.T) {
	s, l := keyed(t, "key vectors")
	root, old, operator := s.Root, s.Keeper, s.Operator
	fresh, second, secondRoot := chaintest.Signer("fresh"), chaintest.Signer("second operator"), chaintest.Signer("second root")
	id := func(signers ...chain.Signer) (ids []chain.Hash) {
		for _, signer := range signers {
			ids = append(ids, signer.Public(0).ID())
		}
		return ids
	}
	step := func(want string, publish func()) {
		t.Helper()
		publish()
		if got := next(t, l, s); got != want {
			t.Fatalf("entry %d is %q, want %q", len(l.Entries)-1, got, want)
		}
	}
	change := func(want string, c chain.KeyChange, signers ...chain.Signer) {
		t.Helper()
		step(want, func() { s.ChangeKeys(c, "", signers...) })
	}
	rotation := chain.KeyChange{Removed: id(old), Added: []chain.Key{fresh.Public(chain.RoleLedger)}}
	change(badSigned, rotation, root) // the old key did not sign
	change(accepted, rotation, root, old)
	rotated := len(l.Entries) - 1
	step(badSigned, s.Seed) // by the removed key
	s.Keeper, s.Seeds = fresh, 1
	step("control 0/1 seed", s.Seed)
	change(badBody, chain.KeyChange{Added: []chain.Key{old.Public(chain.RoleLedger)}}, root)                                                        // was named before
	change(badBody, chain.KeyChange{Reason: chain.Revocation, Removed: id(operator)}, root)                                                         // the last of its role
	change(accepted, chain.KeyChange{Reason: chain.Revocation, Removed: id(operator), Added: []chain.Key{second.Public(chain.RoleOperator)}}, root) // that key says nothing
	change(accepted, chain.KeyChange{Added: []chain.Key{chaintest.MLDSA("key vectors")}}, root)
	change(accepted, chain.KeyChange{
		Added: []chain.Key{secondRoot.Public(chain.RoleRoot)}, Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 2}},
	}, root)
	change(badSigned, chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 1}}}, root)
	change(accepted, chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 1}}}, secondRoot, root)
	step("record 0/1 asserted", func() { s.Record("ws_7", "last", "1") })

	weak := chaintest.Weak()
	for _, name := range []string{"order 1", "another order 8, sign", "y = p + 3, of a great order", "off the curve"} {
		change(badBody, chain.KeyChange{Added: []chain.Key{{Algorithm: chain.AlgorithmEd25519, Public: weak[name], Roles: chain.RoleLedger}}}, root)
	}
	mixed := chaintest.NewMixed(7)
	change(accepted, chain.KeyChange{Added: []chain.Key{mixed.Public(chain.RoleLedger)}}, root)
	by := func(want string, key chain.Hash, sign func([]byte) []byte) {
		t.Helper()
		step(want, func() { seedBy(s, key, sign) })
	}
	by(badSigned, fresh.Public(0).ID(), func(b []byte) []byte { return lifted(fresh.Sign(b)) }) // S not below L
	by(badSigned, mixed.Public(0).ID(), func(b []byte) []byte { return mixed.Sign(b, false) })  // with the cofactor alone
	by("control 0/1 seed", mixed.Public(0).ID(), func(b []byte) []byte { return mixed.Sign(b, true) })
	published(t, "keys.json", vectorsOf(t, s, l, "ws_7"))

	statement := statementIn(t, l, rotated)
	was, now := old.Public(chain.RoleLedger), fresh.Public(chain.RoleLedger)
	removed := was.ID()
	worked(t, map[string][]byte{
		"change's body": statement.Body, "changed ledger": s.ID[:], "removed key": removed[:], "added key": now.Public,
		"change's statement": statement.Append(nil),
	})
}

// TestEpochVectors is docs/format/vectors/epoch.json: a stream that was made anew.
func TestEpochVectors(t *testing.T) {
	s, l := keyed(t, "epoch vectors")
	s.Record("ws_7", "2", "1")
	next(t, l, s)
	root, _ := l.At(4)
	s.Begin(4, root, 1)
	if got := next(t, l, s); got != "control 0/1 epoch" {
		t.Fatal(got)
	}
	s.Record("ws_7", "2", "1") // a duplicate of what the old stream brought
	next(t, l, s)
	s.Record("ws_7", "3", "1")
	next(t, l, s)
	s.Begin(4, root, s.Next) // signed for a state that is past
	if got := next(t, l, s); got != "rejection 0/1 control_condition" {
		t.Fatal(got)
	}
	published(t, "epoch.json", vectorsOf(t, s, l, "ws_7"))
	statement := statementIn(t, l, 4)
	worked(t, map[string][]byte{
		"epoch's body": statement.Body, "ledger": s.ID[:], "epoch's root": root[:], "epoch's statement": statement.Append(nil),
	})
}

// TestGapVectors is docs/format/vectors/gap.json: messages that are lost.
func TestGapVectors(t *testing.T) {
	s, l := keyed(t, "gap vectors")
	root, _ := l.At(3)
	s.Next = 6
	s.Record("ws_7", "2", "1")
	s.Gap(3, root, 4, 5)
	s.Gap(3, root, 4, 5) // once more
	s.Control--
	s.Record("ws_7", "3", "1")
	if err := l.Follow(s.Messages[3:], oneByOne); err != nil {
		t.Fatal(err)
	}
	published(t, "gap.json", vectorsOf(t, s, l, "ws_7"))
	statement := statementIn(t, l, 5)
	worked(t, map[string][]byte{
		"gap's body": statement.Body, "ledger": s.ID[:], "gap's root": root[:], "gap's statement": statement.Append(nil),
		"gap entry's tail": l.Entries[3].Entry.Tail,
	})
}
