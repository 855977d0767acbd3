package proof

import (
	"fmt"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestCatalogues audits a ledger with catalogues, and what a forger makes of one: a
// statement that no fold would have let in, a document that is not the signed one, and
// a document that is missing.
func TestCatalogues(t *testing.T) {
	b := &builder{Stream: chaintest.NewKeyed("catalogues"), heads: map[chain.Hash]chain.Head{}, keys: map[chain.Hash]uint64{}}
	var err error
	if b.state, _, err = chain.OpenGenesis(&b.Messages[0]); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		b.Record("w", fmt.Sprint(i), `{}`)
	}
	b.fold()
	at := len(b.leaves)
	salt, document := chaintest.Secret(fmt.Sprint("catalogue ", b.Control)), `{"strict":true}`
	b.Catalogue(b.state.Tag("w"), document)
	b.Catalogue(chain.Hash{}, "no JSON")
	b.Record("w", "last", `{}`)
	m := b.done()
	if e := m.rows[at].entry(); e.Kind != chain.KindControl || e.Code != uint16(chain.ControlCatalogue) {
		t.Fatalf("entry %d is a %s", at, e.Kind)
	}
	mustBeClean(t, m, Options{})
	mustBeClean(t, m, Options{EntriesOnly: true})
	private := append(salt[:], document...)
	mustBeClean(t, m.restate(at, func(*chain.Statement) {}, private, b.Operator), Options{})
	for name, c := range map[string]struct {
		change func(s *chain.Statement)
		want   Finding
	}{
		"no format":         {func(s *chain.Statement) { s.Body[0], s.Body[1] = 0, 0 }, MalformedEntry},
		"cut short":         {func(s *chain.Statement) { s.Body = s.Body[1:] }, MalformedEntry},
		"another root":      {func(s *chain.Statement) { s.Size, s.Root = 3, chain.Hash{1} }, UnauthorisedControl},
		"a later state":     {func(s *chain.Statement) { s.Size, s.Root = 1000, chain.Hash{1} }, UnauthorisedControl},
		"a number left out": {func(s *chain.Statement) { s.Number++ }, UnauthorisedControl},
	} {
		r := audit(t, m.restate(at, c.change, private, b.Operator), Options{})
		if r.Verdict != c.want || *r.Findings[0].Index != uint64(at) {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}
	}
	// Signed by a key without the role.
	verdictAt(t, audit(t, m.restate(at, func(*chain.Statement) {}, private, b.Keeper), Options{}), UnauthorisedControl, at)
	// A message with another document, under the statement that was signed.
	forged := m.restate(at, func(*chain.Statement) {}, append(salt[:], "{}"...), b.Operator)
	verdictAt(t, audit(t, forged, Options{}), UnauthorisedControl, at)
	gone := m.clone()
	gone.rows[at].payload = nil
	verdictAt(t, audit(t, gone, Options{}), PayloadMissing, at)
}
