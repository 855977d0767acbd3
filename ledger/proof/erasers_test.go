package proof

import (
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// erasedByTwo is a ledger of whose erasers two of three have to sign, and the entry of
// an erasure that two signed.
func erasedByTwo(t testing.TB) (s *chaintest.Stream, l *chaintest.Log, by int) {
	t.Helper()
	s = chaintest.NewKeyed("erased by two")
	s.Record("ws_7", "1", "1")
	s.Record("ws_7", "2", "2")
	s.ChangeKeys(chain.KeyChange{
		Added: []chain.Key{
			chaintest.Signer("a").Public(chain.RoleEraser), chaintest.Signer("b").Public(chain.RoleEraser), chaintest.Signer("c").Public(chain.RoleEraser),
		},
		Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
	}, "", s.Root)
	l, err := chaintest.NewLog(s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	one := func(int) int { return 1 }
	if err := l.Fold(s.Messages, one); err != nil {
		t.Fatal(err)
	}
	size := l.State.Size
	root, _ := l.At(size)
	by = int(size)
	s.Erase(size, root, chaintest.Select(l, "ws_7", 2), "by Erin", chaintest.Signer("a"), chaintest.Signer("c"))
	s.Record("ws_7", "3", "3")
	if err := l.Fold(s.Messages[by:], one); err != nil {
		t.Fatal(err)
	}
	if _, gone := l.Gone(2); !gone {
		t.Fatal("the erasure was rejected")
	}
	return s, l, by
}

// TestErasers: an audit counts signatures as the fold does. What two of three erasers
// signed is a lawful erasure, and what lacks one of the two is none.
func TestErasers(t *testing.T) {
	s, l, by := erasedByTwo(t)
	a, b, c := chaintest.Signer("a"), chaintest.Signer("b"), chaintest.Signer("c")
	type signers = []chain.Signer
	for _, tried := range []struct {
		name    string
		signers signers
		want    Finding
	}{
		{"two", signers{a, c}, Clean},
		{"two others, turned round", signers{c, b}, Clean},
		{"all three", signers{a, b, c}, Clean},
		{"two, and the operator", signers{a, b, s.Operator}, Clean},
		{"one", signers{a}, UnauthorisedControl},
		{"one, twice", signers{a, a}, UnauthorisedControl},
		{"nobody", nil, UnauthorisedControl},
		{"one, and the operator", signers{a, s.Operator}, UnauthorisedControl},
		{"one, and the root key", signers{a, s.Root}, UnauthorisedControl},
		{"the operator", signers{s.Operator}, UnauthorisedControl},
		{"two, and a stranger", signers{a, b, chaintest.Signer("stranger")}, UnknownKey},
	} {
		m := ofLog(l).restate(by, func(*chain.Statement) {}, []byte("by Erin"), tried.signers...)
		r := audit(t, m, Options{})
		found := tried.want == Clean && r.Verdict == Clean
		for _, f := range r.Findings {
			found = found || f.Finding == tried.want && f.Index != nil && *f.Index == uint64(by)
		}
		if !found {
			t.Errorf("%s: %s, want %s\n%v", tried.name, r.Sentence, tried.want, details(r))
		}
		said := slices.ContainsFunc(r.Notices, func(n Notice) bool { return n.Notice == Erased })
		if said != (tried.want == Clean) {
			t.Errorf("%s: it says that something was erased: %v", tried.name, said)
		}
	}
}
