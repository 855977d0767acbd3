package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
)

// Role is a set of things that a key may sign.
type Role uint16

// The roles. A key may hold several.
const (
	RoleRoot       Role = 1 << 0 // genesis and changes of keys
	RoleLedger     Role = 1 << 1 // seeds, marks, trims and expiries
	RoleOperator   Role = 1 << 2 // epochs, gaps, holds and releases; what the eraser signs while none is named
	RoleEraser     Role = 1 << 3 // erasures and retention rules
	RoleCheckpoint Role = 1 << 4 // checkpoints; no control statement
	RoleHeads      Role = 1 << 5 // workspace heads; no control statement
)

var roleNames = [...]string{"root", "ledger", "operator", "eraser", "checkpoint", "heads"}

// Names returns the names of the roles in the set, lowest bit first, as the API
// and the docs spell them.
func (r Role) Names() []string {
	names := []string{}
	for bit := range 16 {
		switch {
		case r&(1<<bit) == 0:
		case bit < len(roleNames):
			names = append(names, roleNames[bit])
		default:
			names = append(names, fmt.Sprintf("role %d", 1<<bit))
		}
	}
	return names
}

// String returns the names of the roles in the set, with commas between them.
func (r Role) String() string { return strings.Join(r.Names(), ", ") }

// ParseRole is the reverse of [Role.String] for one role.
func ParseRole(name string) (Role, error) {
	for bit, known := range roleNames {
		if known == name {
			return 1 << bit, nil
		}
	}
	return 0, fmt.Errorf("chain: no role %q: use one of %s", name, strings.Join(roleNames[:], ", "))
}

// Algorithms of keys.
const (
	AlgorithmEd25519 uint8 = 1 // RFC 8032; a public key of 32 bytes
	// AlgorithmMLDSA44 is FIPS 204's, with public keys of 1,312 bytes. Such a key
	// signs checkpoints beside an Ed25519 key, and nothing else.
	AlgorithmMLDSA44 uint8 = 2
)

const mldsa44PublicSize = 1312

// Key is a public key that the genesis or a change of keys names.
type Key struct {
	Algorithm uint8
	Public    []byte
	Roles     Role
}

// ID is the key's name in signatures: SHA-256 over its algorithm and bytes.
func (k Key) ID() Hash {
	return sum("annals/key/v1\x00", []byte{k.Algorithm}, k.Public)
}

// signsControl reports whether the key can sign control statements.
func (k *Key) signsControl() bool { return k.Algorithm == AlgorithmEd25519 }

// Verify reports whether a signature is the key's, an Ed25519 key that [CheckEd25519]
// allows, over a message.
func (k *Key) Verify(message, signature []byte) bool {
	return k.signsControl() && verifyEd25519(k.Public, message, signature)
}

// Append appends the key's bytes to dst, as the genesis and changes of keys hold
// them: algorithm (8) || len16 public key || roles (16).
func (k Key) Append(dst []byte) []byte {
	dst = append(dst, k.Algorithm)
	dst = be16(dst, len(k.Public))
	dst = append(dst, k.Public...)
	return be16(dst, k.Roles)
}

// appendKeys appends keys and thresholds, each behind their count (8).
func appendKeys(dst []byte, keys []Key, thresholds []Threshold) []byte {
	dst = append(dst, byte(len(keys)))
	for _, k := range keys {
		dst = k.Append(dst)
	}
	dst = append(dst, byte(len(thresholds)))
	for _, t := range thresholds {
		dst = be16(dst, t.Role)
		dst = append(dst, t.Keys)
	}
	return dst
}

// key reads what [Key.Append] printed. The key's bytes alias the cursor's.
func (c *cursor) key() Key {
	return Key{Algorithm: c.u8(), Public: c.bytes16(), Roles: Role(c.u16())}
}

// check holds a key to its algorithm's rules. Errors wrap [ErrMalformed] or, for an
// algorithm that this version doesn't know, [ErrUnsupported].
func (k *Key) check() error {
	switch k.Algorithm {
	case AlgorithmEd25519:
		return CheckEd25519(k.Public)
	case AlgorithmMLDSA44:
		if k.Roles != RoleCheckpoint {
			return malformed("an ML-DSA-44 key with the roles %s: it may sign checkpoints alone", k.Roles)
		}
		if len(k.Public) != mldsa44PublicSize {
			return malformed("an ML-DSA-44 key of %d bytes, not %d", len(k.Public), mldsa44PublicSize)
		}
		return nil
	}
	return unsupported("key algorithm %d", k.Algorithm)
}

// Threshold says how many keys must sign what a role signs.
type Threshold struct {
	Role Role
	Keys uint8
}

// Signer is an Ed25519 private key, which signs control statements and notes. Its
// signatures are deterministic, so signing needs no randomness.
type Signer struct{ private ed25519.PrivateKey }

// NewSigner makes a signer of a 32-byte Ed25519 seed (RFC 8032, 5.1.5).
func NewSigner(seed []byte) (Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return Signer{}, fmt.Errorf("chain: an Ed25519 seed has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the signer's public key with the roles it is to have.
func (s Signer) Public(roles Role) Key {
	return Key{Algorithm: AlgorithmEd25519, Public: s.private.Public().(ed25519.PublicKey), Roles: roles}
}

// Sign returns the Ed25519 signature over b, 64 bytes. What b is must be told by
// its beginning, so that a signature over one thing is none over another.
func (s Signer) Sign(b []byte) []byte { return ed25519.Sign(s.private, b) }

func (s Signer) sign(statement []byte) signature {
	return signature{key: s.Public(0).ID(), bytes: s.Sign(statement)}
}

// KeyCommitment commits to a workspace key, which the genesis names and its
// secret part holds.
func KeyCommitment(workspaceKey [sha256.Size]byte) Hash {
	return sum("annals/wskey/v1\x00", workspaceKey[:])
}
