package chain_test

import (
	"bytes"
	"errors"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestRefusedStatements breaks each check of docs/format/control.md on its own, in
// a message that is as it must be otherwise.
func TestRefusedStatements(t *testing.T) {
	keeper, root := chaintest.Signer("keeper"), chaintest.Signer("root")
	other := chaintest.New("another ledger").ID
	for _, c := range []struct {
		name    string
		change  func(s *chain.Statement)
		signers []chain.Signer
		want    string
	}{
		{"as it must be", func(*chain.Statement) {}, []chain.Signer{keeper}, "control 0/1 seed"},
		{"another ledger's", func(s *chain.Statement) { s.Ledger = other }, []chain.Signer{keeper}, "rejection 0/1 control_ledger"},
		{"no ledger's", func(s *chain.Statement) { s.Ledger = chain.Hash{} }, []chain.Signer{keeper}, "rejection 0/1 control_ledger"},
		{"a number that was used", func(s *chain.Statement) { s.Number-- }, []chain.Signer{keeper}, "rejection 0/1 control_number"},
		{"a number left out", func(s *chain.Statement) { s.Number++ }, []chain.Signer{keeper}, "rejection 0/1 control_number"},
		{"no signature", func(*chain.Statement) {}, nil, badSigned},
		{"a key without the role", func(*chain.Statement) {}, []chain.Signer{root}, badSigned},
		{"a stranger's key besides", func(*chain.Statement) {}, []chain.Signer{keeper, chaintest.Signer("stranger")}, badSigned},
		{"a size to come", func(s *chain.Statement) { s.Size = 1000 }, []chain.Signer{keeper}, "rejection 0/1 control_condition"},
		{"a seed left out", func(s *chain.Statement) { s.Body[3]++ }, []chain.Signer{keeper}, badBody},
		{"a body cut short", func(s *chain.Statement) { s.Body = s.Body[1:] }, []chain.Signer{keeper}, badBody},
	} {
		s, l := keyed(t, "refused")
		secret := chaintest.Secret("seed 1")
		commitment := chain.SeedCommitment(1, secret)
		statement := chain.Statement{
			Ledger: s.ID, Number: s.Control, Type: chain.ControlSeed, Body: append([]byte{0, 0, 0, 1}, commitment[:]...),
		}
		c.change(&statement)
		s.Publish(chain.ControlSeed.Subject(), string(chain.SealControl(statement, secret[:], c.signers...)))
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestEntriesEndWhereTheySay parses each entry of the golden stream with a byte more
// and a byte less.
func TestEntriesEndWhereTheySay(t *testing.T) {
	for i, f := range foldGolden(t, oneByOne).Entries {
		raw := f.Raw
		for _, bad := range [][]byte{append(bytes.Clone(raw), 0), raw[:len(raw)-1]} {
			if _, err := chain.ParseEntry(bad); !errors.Is(err, chain.ErrMalformed) {
				t.Fatalf("entry %d, %d bytes for %d: %v", i, len(bad), len(raw), err)
			}
		}
	}
}
