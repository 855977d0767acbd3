package chain

import (
	"bytes"
	"crypto/ed25519"

	"filippo.io/edwards25519"
)

// CheckEd25519 holds a public key to docs/format/checkpoint.md: 32 bytes that are
// the one encoding of a point of the curve (RFC 8032, 5.1.3), and not of small
// order, under which a signature that nobody made fits every text. The standard
// library takes all of them, and doesn't say that it always will. Errors wrap
// [ErrMalformed].
func CheckEd25519(public []byte) error {
	if len(public) != ed25519.PublicKeySize {
		return malformed("an Ed25519 key of %d bytes, not %d", len(public), ed25519.PublicKeySize)
	}
	p, err := new(edwards25519.Point).SetBytes(public)
	switch {
	case err != nil:
		return malformed("Ed25519 key %x is no point of the curve", public)
	case !bytes.Equal(p.Bytes(), public):
		return malformed("Ed25519 key %x is not the one encoding of its point", public)
	case p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1:
		return malformed("Ed25519 key %x is a point of small order, for which anybody can sign", public)
	}
	return nil
}

// verifyEd25519 checks a signature by a key that [CheckEd25519] allows. What is
// left to the standard library is the equation without the cofactor, S below the
// group's order and R byte for byte, which vectors/keys.json and the tests pin.
func verifyEd25519(public, message, signature []byte) bool {
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(public, message, signature)
}
