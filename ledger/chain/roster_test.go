package chain_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestThresholds: enough different keys must sign, of those in force.
func TestThresholds(t *testing.T) {
	second, third := chaintest.Signer("second"), chaintest.Signer("third")
	s := chaintest.NewWith("thresholds", []chain.Key{second.Public(chain.RoleRoot)}, chain.Threshold{Role: chain.RoleRoot, Keys: 2})
	// The genesis is signed by its root's threshold.
	var first chain.Message
	first.Subject, first.Sequence, first.Time = s.Messages[0].Subject, 1, s.Messages[0].Time
	first.Body = s.Settled.Seal(chaintest.WorkspaceKey(), s.Root, second)
	s.Messages[0] = first
	l := newLog(t, first)
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	add := chain.KeyChange{Added: []chain.Key{third.Public(chain.RoleRoot)}}
	for _, c := range []struct {
		name    string
		signers []chain.Signer
		change  chain.KeyChange
		want    string
	}{
		{"one of two", []chain.Signer{s.Root}, add, badSigned},
		{"one of two, twice", []chain.Signer{s.Root, s.Root}, add, badSigned},
		{"one, and one of another role", []chain.Signer{s.Root, s.Keeper}, add, badSigned},
		{"two", []chain.Signer{second, s.Root}, add, accepted},
		{"fewer than two are left", []chain.Signer{second, s.Root}, chain.KeyChange{
			Removed: []chain.Hash{s.Root.Public(0).ID(), second.Public(0).ID()},
		}, badBody},
		{"three are asked for", []chain.Signer{second, s.Root}, chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 3}}}, accepted},
		{"two of three", []chain.Signer{second, s.Root}, chain.KeyChange{Added: []chain.Key{chaintest.Signer("fourth").Public(chain.RoleRoot)}}, badSigned},
		{"three of three", []chain.Signer{second, third, s.Root}, chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 1}}}, accepted},
		{"one of one", []chain.Signer{third}, chain.KeyChange{
			Reason: chain.Revocation, Removed: []chain.Hash{s.Root.Public(0).ID(), second.Public(0).ID()},
		}, accepted},
	} {
		s.ChangeKeys(c.change, "", c.signers...)
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestMLDSAKeysSignNoControl: a key that stands beside another is no key of the
// statement's.
func TestMLDSAKeysSignNoControl(t *testing.T) {
	s, l := keyed(t, "mldsa")
	beside := chaintest.MLDSA("beside")
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{beside}}, "", s.Root)
	if got := next(t, l, s); got != accepted {
		t.Fatal(got)
	}
	// It leaves by a rotation that it can't sign.
	s.ChangeKeys(chain.KeyChange{Removed: []chain.Hash{beside.ID()}}, "", s.Root)
	if got := next(t, l, s); got != accepted {
		t.Errorf("a rotation without it: %s", got)
	}
	another := chaintest.MLDSA("another")
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{another}}, "", s.Root)
	if got := next(t, l, s); got != accepted {
		t.Errorf("another: %s", got)
	}
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{chaintest.MLDSA("third")}}, "", s.Root)
	body := bytes.Clone(s.Messages[len(s.Messages)-1].Body)
	at := bytes.Index(body, idOf(s.Root))
	copy(body[at:], idOfKey(another)) // the signature is said to be the ML-DSA key's
	s.Messages[len(s.Messages)-1].Body = body
	if got := next(t, l, s); got != badSigned {
		t.Errorf("signed in its name: %s", got)
	}
	if got := chaintest.MLDSA("m").Roles.Names(); !slices.Equal(got, []string{"checkpoint"}) {
		t.Errorf("roles %v", got)
	}
}

func idOf(s chain.Signer) []byte { return idOfKey(s.Public(0)) }

func idOfKey(k chain.Key) []byte {
	id := k.ID()
	return id[:]
}

// TestWrongSignatures: one signature that isn't its key's spoils a message, though
// the others suffice.
func TestWrongSignatures(t *testing.T) {
	add := chain.KeyChange{Added: []chain.Key{chaintest.Signer("fresh").Public(chain.RoleLedger)}}
	for _, signers := range [][]chain.Signer{{chaintest.Signer("root")}, {chaintest.Signer("root"), chaintest.Signer("keeper")}, {chaintest.Signer("keeper"), chaintest.Signer("root")}} {
		s, l := keyed(t, "wrong")
		body := chain.SealKeyChange(s.ID, s.Control, add, "", signers...)
		for offset := 1; offset <= 100; offset += 33 { // before the private part's length, within the last signature or its head
			bad := bytes.Clone(body)
			bad[len(bad)-4-offset] ^= 1
			s.Publish("annals.control.key", string(bad))
			if got := next(t, l, s); got != badSigned && got != "rejection 0/1 control_frame" || offset <= 64 && got != badSigned {
				t.Errorf("%d signatures, byte %d from the end: %s", len(signers), offset, got)
			}
		}
		s.Publish("annals.control.key", string(body))
		if got := next(t, l, s); got != accepted {
			t.Errorf("%d signatures: %s", len(signers), got)
		}
	}
}

// TestRosterIsNeverChangedInPlace: states share it.
func TestRosterIsNeverChangedInPlace(t *testing.T) {
	genesis := chaintest.NewWith("shared", []chain.Key{chaintest.Signer("second").Public(chain.RoleRoot)}, chain.Threshold{Role: chain.RoleRoot, Keys: 1}).Settled
	roster, same := genesis.Roster(), genesis.Roster()
	for _, c := range []chain.KeyChange{
		{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 2}}},
		{Removed: []chain.Hash{chaintest.Signer("second").Public(0).ID()}},
		{Added: []chain.Key{chaintest.MLDSA("m")}},
	} {
		changed, err := roster.Apply(5, &c)
		if err != nil || reflect.DeepEqual(changed, roster) {
			t.Errorf("%+v: %v", c, err)
		}
		if !reflect.DeepEqual(roster, same) {
			t.Fatalf("%+v changed the keys before it", c)
		}
	}
}

// TestGenesisWithMLDSA: a genesis may name such a key from the start.
func TestGenesisWithMLDSA(t *testing.T) {
	s := chaintest.NewWith("born with it", []chain.Key{chaintest.Signer("checkpoint").Public(chain.RoleCheckpoint), chaintest.MLDSA("m")})
	parsed, err := chain.ParseGenesis(s.Settled.Append(nil))
	if err != nil || !reflect.DeepEqual(parsed, s.Settled) {
		t.Fatalf("parses to another genesis: %v", err)
	}
	for name, key := range map[string]chain.Key{
		"of another role": {Algorithm: 2, Public: chaintest.MLDSA("m").Public, Roles: chain.RoleRoot},
		"short":           {Algorithm: 2, Public: chaintest.MLDSA("m").Public[1:], Roles: chain.RoleCheckpoint},
		"long Ed25519":    {Algorithm: 1, Public: make([]byte, 33), Roles: chain.RoleHeads},
	} {
		g := s.Settled
		g.Keys = append(slices.Clone(g.Keys), key)
		if _, err := chain.ParseGenesis(g.Append(nil)); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := s.Settled
	g.Keys = append(slices.Clone(g.Keys), chain.Key{Algorithm: 9, Public: []byte{1}, Roles: 1})
	if _, err := chain.ParseGenesis(g.Append(nil)); !errors.Is(err, chain.ErrUnsupported) {
		t.Errorf("an algorithm to come: %v", err)
	}
}
