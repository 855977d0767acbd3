package tamper_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// The keys of every house here, and one that no house has. They are derived from
// their names, so that runs are alike.
var (
	rootKey       = chaintest.Secret("root")
	ledgerKey     = chaintest.Secret("keeper")
	operatorKey   = chaintest.Secret("operator")
	checkpointKey = chaintest.Secret("checkpoint")
	headsKey      = chaintest.Secret("heads")
	strangerKey   = chaintest.Secret("stranger")
)

func signerOf(secret [sha256.Size]byte) chain.Signer {
	s, err := chain.NewSigner(secret[:])
	if err != nil {
		panic(err)
	}
	return s
}

// vkey is the note verifier key of a secret (C2SP signed-note, "Verifier keys").
func vkey(origin string, secret [sha256.Size]byte) string {
	public := signerOf(secret).Public(0).Public
	v, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		panic(err)
	}
	return v
}

// noteSigner signs notes with a secret.
func noteSigner(origin string, secret [sha256.Size]byte) note.Signer {
	v := vkey(origin, secret)
	hash := v[len(origin)+1 : len(origin)+9]
	s, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, secret[:]...)))
	if err != nil {
		panic(err)
	}
	return s
}

// sign makes a note of a text.
func sign(origin, text string, secrets ...[sha256.Size]byte) []byte {
	var signers []note.Signer
	for _, s := range secrets {
		signers = append(signers, noteSigner(origin, s))
	}
	b, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		panic(err)
	}
	return b
}

// checkpointText is the text of a checkpoint (C2SP tlog-checkpoint).
func checkpointText(origin string, h proof.Head) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// checkpoint signs the book's own head by the key in force.
func (b *book) checkpoint() []byte { return b.signed(b.head) }

// signed signs a head by the key that was in force at it.
func (b *book) signed(h proof.Head) []byte {
	return sign(b.origin, checkpointText(b.origin, h), keyAt(b.reigns, h.Size))
}

// vkey is the key that the book's last checkpoint is signed by.
func (b *book) vkey() string { return vkey(b.origin, keyAt(b.reigns, math.MaxUint64)) }
