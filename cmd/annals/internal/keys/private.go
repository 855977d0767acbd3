package keys

import (
	"encoding/base64"
	"fmt"

	"annals/ledger/chain"
	"annals/ledger/proof"

	"filippo.io/mldsa"
	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const seedSize = 32

// The signature types of C2SP signed-note.
const (
	noteEd25519 = 0x01
	noteMLDSA44 = 0x06
)

// Private is one private key. It prints as its public half.
type Private struct {
	File      string // its name in the folder
	Role      chain.Role
	Algorithm uint8

	signer chain.Signer      // of Ed25519
	mldsa  *mldsa.PrivateKey // of ML-DSA-44
}

func newPrivate(file string, k kind, seed []byte) (p Private, err error) {
	p = Private{File: file, Role: k.role, Algorithm: k.algorithm}
	switch {
	case len(seed) != seedSize:
		err = fmt.Errorf("it has %d bytes, not %d", len(seed), seedSize)
	case k.algorithm == chain.AlgorithmMLDSA44:
		p.mldsa, err = mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	default:
		p.signer, err = chain.NewSigner(seed)
	}
	return p, err
}

// Key returns the public half, with its role.
func (p Private) Key() chain.Key {
	if p.Algorithm == chain.AlgorithmMLDSA44 {
		return chain.Key{Algorithm: p.Algorithm, Public: p.mldsa.PublicKey().Bytes(), Roles: p.Role}
	}
	return p.signer.Public(p.Role)
}

// Signer returns what signs control statements; ok is false for a key that can't.
func (p Private) Signer() (s chain.Signer, ok bool) {
	return p.signer, p.Algorithm == chain.AlgorithmEd25519
}

// VKey returns the note verifier key (C2SP signed-note) under a name.
func (p Private) VKey(name string) string { return VKey(name, p.Key()) }

// VKey prints a ledger's public key as a note verifier key (C2SP signed-note).
func VKey(name string, k chain.Key) string {
	if k.Algorithm == chain.AlgorithmMLDSA44 {
		return proof.VKey(name, noteMLDSA44, k.Public)
	}
	return proof.VKey(name, noteEd25519, k.Public)
}

// Note returns what signs notes under a name: texts of any kind with Ed25519,
// checkpoints alone with ML-DSA-44 (C2SP tlog-cosignature).
func (p Private) Note(name string) (note.Signer, error) {
	if p.Algorithm == chain.AlgorithmMLDSA44 {
		// The library takes a key as text only, and works the hash out again.
		seed := append([]byte{noteMLDSA44}, p.mldsa.Bytes()...)
		return notes.NewMLDSASigner("PRIVATE+KEY+" + name + "+00000000+" + base64.StdEncoding.EncodeToString(seed))
	}
	public, err := note.NewVerifier(p.VKey(name))
	if err != nil {
		return nil, err
	}
	return noteSigner{public, p.signer}, nil
}

// Signed reports whether a note (C2SP signed-note) is signed by the key under a
// name.
func (p Private) Signed(name string, n []byte) bool {
	var v note.Verifier
	var err error
	if p.Algorithm == chain.AlgorithmMLDSA44 {
		v, err = notes.NewMLDSAVerifier(p.VKey(name))
	} else {
		v, err = note.NewVerifier(p.VKey(name))
	}
	if err != nil {
		return false
	}
	_, err = note.Open(n, note.VerifierList(v))
	return err == nil
}

// noteSigner is an Ed25519 key under a name.
type noteSigner struct {
	note.Verifier
	signer chain.Signer
}

// Sign implements [note.Signer].
func (s noteSigner) Sign(text []byte) ([]byte, error) { return s.signer.Sign(text), nil }

// String is the public half's id: whatever prints a key prints no secret.
func (p Private) String() string { return p.File + " " + p.Key().ID().String() }

// GoString is [Private.String]: %#v prints no secret either.
func (p Private) GoString() string { return p.String() }
