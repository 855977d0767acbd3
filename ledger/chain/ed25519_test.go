package chain_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// order is that of Ed25519's group, L of RFC 8032.
func order() *big.Int {
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	return l
}

// lifted is a signature with S + L in the place of S: the equation still holds.
func lifted(signature []byte) []byte {
	s := slices.Clone(signature[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), order()).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return append(slices.Clone(signature[:32]), s...)
}

// TestCheckEd25519 takes what the tests of RFC 8032 (7.1) use, keys with a small
// part, and refuses each key under which somebody else can sign.
func TestCheckEd25519(t *testing.T) {
	good := [][]byte{chaintest.Signer("root").Public(0).Public, chaintest.NewMixed(7).Public(0).Public}
	for _, key := range []string{
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	} {
		b, _ := hex.DecodeString(key)
		good = append(good, b)
	}
	for _, key := range good {
		if err := chain.CheckEd25519(key); err != nil {
			t.Errorf("%x: %v", key, err)
		}
	}
	bad := chaintest.Weak()
	bad["31 bytes"], bad["33 bytes"], bad["nothing"] = good[0][:31], append(good[0][:32:32], 0), nil
	for name, key := range bad {
		if err := chain.CheckEd25519(key); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the rule is for: the library holds a signature good that nobody made.
	if !ed25519.Verify(bad["order 1"], []byte("a text"), chaintest.Forged()) {
		t.Error("the signature of nobody's no longer holds without the rule: what do the tests below show?")
	}
}

// TestWeakKeysInGenesis: no ledger begins with a key that anybody can sign for.
func TestWeakKeysInGenesis(t *testing.T) {
	key := chaintest.WorkspaceKey()
	for name, public := range chaintest.Weak() {
		weak := chain.Key{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: chain.RoleRoot}
		g := chaintest.New("weak").Settled
		g.Keys = []chain.Key{weak, chaintest.Signer("keeper").Public(chain.RoleLedger)}
		m := chain.Message{
			Sequence: 1, Time: chaintest.Start, Subject: chain.ControlGenesis.Subject(),
			Body: chaintest.Sealed(&chain.Statement{Type: chain.ControlGenesis, Body: g.Append(nil)}, key[:], weak.ID(), chaintest.Forged()),
		}
		if _, _, err := chain.OpenGenesis(&m); !errors.Is(err, chain.ErrNotGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWeakKeysAdded: no change of keys brings one in, whatever its role.
func TestWeakKeysAdded(t *testing.T) {
	for name, public := range chaintest.Weak() {
		for _, role := range []chain.Role{chain.RoleRoot, chain.RoleCheckpoint, 1 << 14} {
			s, l := keyed(t, "weak")
			s.ChangeKeys(chain.KeyChange{Added: []chain.Key{{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: role}}}, "", s.Root)
			if got := next(t, l, s); got != badBody {
				t.Errorf("%s as %s: %s", name, role, got)
			}
		}
	}
}

// seedBy adds a seed that the key of an id signed as sign does.
func seedBy(s *chaintest.Stream, key chain.Hash, sign func(statement []byte) []byte) {
	secret := chaintest.Secret("a seed")
	commitment := chain.SeedCommitment(s.Seeds, secret)
	st := chain.Statement{Ledger: s.ID, Number: s.Control, Type: chain.ControlSeed, Body: append([]byte{0, 0, 0, byte(s.Seeds)}, commitment[:]...)}
	s.Publish(chain.ControlSeed.Subject(), string(chaintest.Sealed(&st, secret[:], key, sign(st.Append(nil)))))
}

// TestStrictSignatures pins what the rule leaves to the library: each signature
// here is one that some verifiers take and others refuse.
func TestStrictSignatures(t *testing.T) {
	mixed := chaintest.NewMixed(7)
	keeper := chaintest.Signer("keeper")
	for _, c := range []struct {
		name string
		key  chain.Hash
		sign func(statement []byte) []byte
		want string
	}{
		{"as it must be", keeper.Public(0).ID(), keeper.Sign, "control 0/1 seed"},
		{"S + L", keeper.Public(0).ID(), func(b []byte) []byte { return lifted(keeper.Sign(b)) }, badSigned},
		{"65 bytes", keeper.Public(0).ID(), func(b []byte) []byte { return append(keeper.Sign(b), 0) }, badSigned},
		{"63 bytes", keeper.Public(0).ID(), func(b []byte) []byte { return keeper.Sign(b)[:63] }, badSigned},
		{"a key of mixed order", mixed.Public(0).ID(), func(b []byte) []byte { return mixed.Sign(b, true) }, "control 0/1 seed"},
		{"only with the cofactor", mixed.Public(0).ID(), func(b []byte) []byte { return mixed.Sign(b, false) }, badSigned},
	} {
		s, l := keyed(t, "strict")
		s.ChangeKeys(chain.KeyChange{Added: []chain.Key{mixed.Public(chain.RoleLedger)}}, "", s.Root)
		if got := next(t, l, s); got != accepted {
			t.Fatal(got)
		}
		seedBy(s, c.key, c.sign)
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
