package chain_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

const catalogued = "control 0/1 catalogue"

// TestCatalogues is docs/format/control.md's section on catalogues, a line each. A
// document that nobody can read is let in: the fold doesn't ask what it says.
func TestCatalogues(t *testing.T) {
	operator := chaintest.Signer("operator")
	salt, document := chaintest.Secret("salt"), []byte(`{"strict":true}`)
	whole := append(salt[:], document...)
	_, folded := keyed(t, "catalogues")
	root, _ := folded.At(2)
	for _, c := range []struct {
		name    string
		change  func(c *chain.Catalogue, s *chain.Statement)
		private []byte
		signers []chain.Signer
		want    string
	}{
		{"as it must be", nil, whole, []chain.Signer{operator}, catalogued},
		{"of the system", func(c *chain.Catalogue, _ *chain.Statement) { c.Workspace = chain.Hash{} }, whole, []chain.Signer{operator}, catalogued},
		{"a format to come", func(c *chain.Catalogue, _ *chain.Statement) { c.Format = 7 }, whole, []chain.Signer{operator}, catalogued},
		{"no format", func(c *chain.Catalogue, _ *chain.Statement) { c.Format = 0 }, whole, []chain.Signer{operator}, badBody},
		{"another document", nil, append(whole, ' '), []chain.Signer{operator}, badBody},
		{"another salt", nil, append([]byte{salt[0] ^ 1}, whole[1:]...), []chain.Signer{operator}, badBody},
		{"no private part", nil, nil, []chain.Signer{operator}, badBody},
		{"a byte behind the body", func(_ *chain.Catalogue, s *chain.Statement) { s.Body = append(s.Body, 0) }, whole, []chain.Signer{operator}, badBody},
		{"a condition that holds", func(_ *chain.Catalogue, s *chain.Statement) { s.Size, s.Root = 2, root }, whole, []chain.Signer{operator}, catalogued},
		{"a size to come", func(_ *chain.Catalogue, s *chain.Statement) { s.Size = 1000 }, whole, []chain.Signer{operator}, "rejection 0/1 control_condition"},
		{"another root", func(_ *chain.Catalogue, s *chain.Statement) { s.Size, s.Root = 2, chain.Hash{1} }, whole, []chain.Signer{operator}, "rejection 0/1 control_condition"},
		{"the ledger's key", nil, whole, []chain.Signer{chaintest.Signer("keeper")}, badSigned},
		{"the root's key", nil, whole, []chain.Signer{chaintest.Signer("root")}, badSigned},
		{"nobody's", nil, whole, nil, badSigned},
	} {
		s, l := keyed(t, "catalogues")
		body := chain.Catalogue{Format: chain.CatalogueJSON, Workspace: l.State.Tag("ws_7"), Document: chain.CatalogueCommitment(salt, document)}
		st := chain.Statement{Ledger: s.ID, Number: s.Control, Type: chain.ControlCatalogue}
		if c.change != nil {
			c.change(&body, &st)
		}
		st.Body = append(body.Append(nil), st.Body...)
		before := l.State.Append(nil)
		s.Publish(chain.ControlCatalogue.Subject(), string(chain.SealControl(st, c.private, c.signers...)))
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
			continue
		}
		if len(l.State.Append(nil)) != len(before) {
			t.Errorf("%s: the stored state grew from %d to %d bytes", c.name, len(before), len(l.State.Append(nil)))
		}
		last := &l.Entries[len(l.Entries)-1]
		leaf := chain.Leaf{Entry: last.Entry, Payload: &last.Payload}
		settled, said, ok := leaf.Catalogue()
		if ok != (c.want == catalogued) || ok && (settled != body || !bytes.Equal(said, document)) {
			t.Errorf("%s: the entry settles %+v, %q, %v", c.name, settled, said, ok)
		}
		if _, said, ok := chain.CatalogueIn(s.Messages[len(s.Messages)-1].Body); c.want == catalogued && (!ok || !bytes.Equal(said, document)) {
			t.Errorf("%s: the message settles %q, %v", c.name, said, ok)
		}
	}
}

// TestMostOfACatalogue: the largest document is let in, and one of a byte more is not.
func TestMostOfACatalogue(t *testing.T) {
	s, l := keyed(t, "large catalogue")
	for more, want := range []string{catalogued, badBody} {
		s.Catalogue(l.State.Tag("ws_7"), string(make([]byte, chain.MaxCatalogue+more)))
		if got := next(t, l, s); got != want {
			t.Errorf("%d bytes: %s", chain.MaxCatalogue+more, got)
		}
	}
}

// TestNoRecordHangsOnACatalogue folds the same records with and without catalogues
// before them, one that can't be read and one that is strict: every verdict is the same.
func TestNoRecordHangsOnACatalogue(t *testing.T) {
	outcomes := func(documents ...string) (out []string) {
		s, l := keyed(t, "unmoved")
		for _, document := range documents {
			s.Catalogue(l.State.Tag("ws_7"), document)
			if got := next(t, l, s); got != catalogued {
				t.Fatal(got)
			}
		}
		for _, typ := range []string{"app.renamed", "contract.signed", "no_such_type"} {
			s.Publish("activity.ws_7."+typ, `{"actor":{"id":"u1"}}`)
			out = append(out, next(t, l, s))
		}
		return out
	}
	want := outcomes()
	for _, documents := range [][]string{{`{"strict":true}`}, {"no JSON \xff"}, {""}, {`{"strict":true}`, `{}`}} {
		if got := outcomes(documents...); !slices.Equal(got, want) {
			t.Errorf("after %q: %q, want %q", documents, got, want)
		}
	}
}

// TestCatalogueVectors is docs/format/vectors/catalogue.json: a workspace's catalogue,
// one that its document doesn't fit, another workspace's, and one that takes it back.
func TestCatalogueVectors(t *testing.T) {
	s, l := keyed(t, "catalogue vectors")
	step := func(want string, publish func()) int {
		t.Helper()
		publish()
		if got := next(t, l, s); got != want {
			t.Fatalf("entry %d is %q, want %q", len(l.Entries)-1, got, want)
		}
		return len(l.Entries) - 1
	}
	document := `{"types":[{"slug":"contract.signed","label":"Contract Signed","object":"contract","sentence":"{actor} signed {object}"}]}`
	first := step(catalogued, func() { s.Catalogue(l.State.Tag("ws_7"), document) })
	step("record 0/1 asserted", func() {
		s.Publish("activity.ws_7.contract.signed", `{"id":"c1","actor":{"id":"usr_dana","name":"Dana Reyes"},"object":{"type":"contract","id":"7","name":"Acme 2026"}}`)
	})
	step(badBody, func() {
		c := chain.Catalogue{Format: chain.CatalogueJSON, Workspace: l.State.Tag("ws_7"), Document: chain.CatalogueCommitment(chaintest.Secret("salt"), []byte("{}"))}
		salt := chaintest.Secret("salt")
		s.Publish(chain.ControlCatalogue.Subject(), string(chain.SealControl(chain.Statement{
			Ledger: s.ID, Number: s.Control, Type: chain.ControlCatalogue, Body: c.Append(nil),
		}, append(salt[:], "{ }"...), s.Operator)))
	})
	step(catalogued, func() { s.Catalogue(l.State.Tag("ws_8"), `{"strict":true}`) })
	step(catalogued, func() { s.Catalogue(l.State.Tag("ws_7"), `{}`) })
	step("record 0/1 asserted", func() { s.Publish("activity.ws_7.contract.signed", `{"id":"c2","actor":{"id":"usr_dana"}}`) })
	published(t, "catalogue.json", vectorsOf(t, s, l, "ws_7", "ws_8"))
	st := statementIn(t, l, first)
	salt := chaintest.Secret("catalogue 2")
	tag := l.State.Tag("ws_7")
	digest := chain.CatalogueCommitment(salt, []byte(document))
	worked(t, map[string][]byte{
		"catalogue's ledger id": s.ID[:], "catalogue's tag": tag[:], "catalogue's salt": salt[:], "catalogue's commitment": digest[:],
		"catalogue's number": binary.BigEndian.AppendUint64(nil, st.Number), "catalogue's statement": st.Append(nil),
	})
}

func FuzzParseCatalogue(f *testing.F) {
	c := chain.Catalogue{Format: chain.CatalogueJSON, Workspace: chain.Hash{7}, Document: chain.Hash{8}}
	f.Add(c.Append(nil))
	s, l := keyed(f, "fuzzed")
	s.Catalogue(l.State.Tag("ws_7"), `{}`)
	f.Add(s.Messages[len(s.Messages)-1].Body)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := chain.ParseCatalogue(b)
		switch {
		case err != nil && !errors.Is(err, chain.ErrMalformed):
			t.Errorf("%x: %v", b, err)
		case err == nil && !bytes.Equal(c.Append(nil), b):
			t.Errorf("%x parses and prints as %x", b, c.Append(nil))
		}
		if c, document, ok := chain.CatalogueIn(b); ok && c.Document.IsZero() {
			t.Errorf("%x settles %q", b, document)
		}
	})
}
