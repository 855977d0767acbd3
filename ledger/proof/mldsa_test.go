package proof_test

import (
	"bytes"
	"errors"
	"testing"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// TestMLDSA has a checkpoint signed by an ML-DSA-44 key beside the Ed25519 one, or
// alone: a second line, never the only one.
func TestMLDSA(t *testing.T) {
	l := newKeyed("mldsa")
	origin := l.Settled.Origin
	skey, vkey, err := notes.GenerateMLDSAKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	k, err := proof.ParseKey(vkey)
	if err != nil || k.Type != 6 || len(k.Public) != 1312 || proof.VKey(origin, 6, k.Public) != vkey {
		t.Fatalf("%+v, %v", k, err)
	}
	before := l.Size()
	l.ChangeKeys(chain.KeyChange{Added: []chain.Key{{Algorithm: chain.AlgorithmMLDSA44, Public: k.Public, Roles: chain.RoleCheckpoint}}}, "", l.Stream.Root)
	l.Record("ws_1", "more", `{}`)
	l.Fold()
	signer, err := notes.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	line := func(c proof.Checkpoint) []byte {
		n, err := note.Sign(&note.Note{Text: c.Text()}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return n[len(c.Text())+1:]
	}
	ring, err := l.history(t).Verify(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	given, err := proof.NewKeyring(l.VKey(), vkey)
	if err != nil {
		t.Fatal(err)
	}
	now, then := l.at(l.Size()), l.at(before)
	both := append(bytes.Clone(now.Note), line(now)...)
	alone := append([]byte(now.Text()+"\n"), line(now)...)
	broken := append(bytes.Clone(now.Note), line(then)...)
	early := append(bytes.Clone(then.Note), line(then)...)
	stranger := append(bytes.Clone(then.Note), line(now)...)
	for _, c := range []struct {
		name  string
		ring  *proof.Keyring
		note  []byte
		wrong error
	}{
		{"both", ring, both, nil},
		{"both, given", given, both, nil},
		{"Ed25519 alone", ring, now.Note, nil},
		{"ML-DSA-44 alone", ring, alone, chain.ErrUnknownKey},
		{"ML-DSA-44 alone, given", given, alone, chain.ErrUnknownKey},
		{"a line over another text", ring, broken, chain.ErrSignature},
		{"before the key was named, it is a stranger's", ring, early, nil},
		{"and its broken line is passed over", ring, stranger, nil},
	} {
		if _, err := c.ring.Open(c.note); !errors.Is(err, c.wrong) || (err == nil) != (c.wrong == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.wrong)
		}
	}
	if _, err := proof.NewKeyring(vkey); err == nil {
		t.Error("a ring of an ML-DSA-44 key alone")
	}
	if _, err := l.history(t).Verify(vkey); proof.FindingOf(err) != proof.UnknownKey {
		t.Errorf("trust by the ML-DSA-44 key: %v", err)
	}
	if _, err := proof.ParsePolicy([]byte("log " + vkey + "\nwitness w " + vkey + "\nquorum w\n")); err != nil {
		t.Errorf("as log and witness in a policy: %v", err)
	}
}
