package proof

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// Keyring is the public keys by which a ledger's checkpoints and workspace heads
// are judged, each with the sizes that it is in force for. It is never changed
// after it was made.
type Keyring struct {
	origin string
	ledger chain.Hash // zeros when the keys alone are known
	keys   []ringKey
}

// ringKey is a key of a ring: in force for sizes from ≤ size < to.
type ringKey struct {
	verifier note.Verifier
	vkey     string
	kind     byte // signature type
	roles    chain.Role
	from, to uint64
}

// NewKeyring makes a ring of note verifier keys (C2SP signed-note) of one origin,
// each good for checkpoints of every size; one of them is an Ed25519 key. The ring of a [KeyHistory] knows more:
// which key speaks for which sizes, and whose workspace heads are.
func NewKeyring(vkeys ...string) (*Keyring, error) {
	if len(vkeys) == 0 {
		return nil, errors.New("proof: a ring of no keys opens nothing: give the ledger's verifier key, as `annals keys public` prints it")
	}
	ring, ed25519 := &Keyring{}, false
	for _, vkey := range vkeys {
		k, err := ParseKey(vkey)
		if err != nil {
			return nil, err
		}
		if ring.origin != "" && k.Origin != ring.origin {
			return nil, fmt.Errorf("proof: keys of %q and of %q are no keys of one ledger", ring.origin, k.Origin)
		}
		ring.origin, ed25519 = k.Origin, ed25519 || k.Type == noteEd25519
		ring.keys = append(ring.keys, ringKey{verifier: k.verifier, vkey: k.VKey, kind: k.Type, roles: chain.RoleCheckpoint, to: math.MaxUint64})
	}
	if !ed25519 {
		return nil, errors.New("proof: an ML-DSA-44 key alone opens nothing: give the ledger's Ed25519 verifier key too")
	}
	return ring, nil
}

// Origin is the name of the ledger whose keys these are.
func (k *Keyring) Origin() string { return k.origin }

// Ledger is the id of the ledger whose keys these are; zeros when the ring was
// made of verifier keys alone.
func (k *Keyring) Ledger() chain.Hash { return k.ledger }

// Open checks a checkpoint, in this order: that it is a note, that it names the
// ring's origin, that its text is a checkpoint's, that each line by a key in force
// at its size is valid, and that there is such a line by an Ed25519 key. Lines by
// other keys are passed over, as C2SP signed-note says. Errors wrap [ErrNote],
// [ErrOrigin], [chain.ErrSignature] or [chain.ErrUnknownKey].
func (k *Keyring) Open(n []byte) (Checkpoint, error) {
	text, err := noteText(n)
	if err != nil {
		return Checkpoint{}, err
	}
	if origin, _, _ := strings.Cut(text, "\n"); origin != k.origin {
		return Checkpoint{}, fmt.Errorf("%w: it is of %q, not of %q", ErrOrigin, origin, k.origin)
	}
	c, err := parseText(text)
	if err != nil {
		return Checkpoint{}, err
	}
	c.Note = n
	if err := k.open(n, c.Size, chain.RoleCheckpoint); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// OpenStatement checks another note of the ledger: that keys which hold a role at
// a size signed it. It returns the note's text, for the caller to parse; that the
// text names the size and the ring's origin is the caller's to check. Errors wrap
// [ErrNote], [chain.ErrSignature] or [chain.ErrUnknownKey].
func (k *Keyring) OpenStatement(n []byte, role chain.Role, size uint64) (text string, err error) {
	if text, err = noteText(n); err != nil {
		return "", err
	}
	return text, k.open(n, size, role)
}

// open checks a note's lines by the keys that hold a role at a size.
func (k *Keyring) open(n []byte, size uint64, role chain.Role) error {
	known := &inForce{ring: k, size: size, role: role}
	opened, err := note.Open(n, known)
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		opened = unverified.Note
	case errors.As(err, &invalid):
		return fmt.Errorf("%w: that by %s+%08x", chain.ErrSignature, invalid.Name, invalid.Hash)
	case err != nil:
		return fmt.Errorf("%w: %v", ErrNote, err)
	}
	by := []string{}
	for _, s := range opened.Sigs {
		if known.ed25519(s.Name, s.Hash) {
			return nil
		}
		by = append(by, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	if known.out != nil {
		return fmt.Errorf("%w: key %s signed it, which is in force for sizes %s; its size is %d",
			chain.ErrUnknownKey, brief(known.out.vkey), known.out.sizes(), size)
	}
	for _, s := range opened.UnverifiedSigs {
		by = append(by, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return fmt.Errorf("%w: it is signed by %s, and by no Ed25519 key that may speak for this ledger at size %d", chain.ErrUnknownKey, strings.Join(by, ", "), size)
}

// signed reports whether a key of the ring, in force or not, signed a note.
func (k *ringKey) signed(n []byte) bool {
	_, err := note.Open(n, note.VerifierList(k.verifier))
	return err == nil
}

func (k *ringKey) sizes() string {
	if k.to == math.MaxUint64 {
		return fmt.Sprintf("from %d on", k.from)
	}
	return fmt.Sprintf("%d to %d", k.from, k.to-1)
}

// ed25519 reports whether a line is by an Ed25519 key in force: an ML-DSA-44 line
// is a second one, never the only one.
func (f *inForce) ed25519(name string, hash uint32) bool {
	for i := range f.ring.keys {
		k := &f.ring.keys[i]
		if k.roles&f.role != 0 && k.kind == noteEd25519 && k.verifier.Name() == name && k.verifier.KeyHash() == hash {
			return f.size >= k.from && f.size < k.to
		}
	}
	return false
}

// inForce finds the ring's keys for one note.
type inForce struct {
	ring *Keyring
	size uint64
	role chain.Role
	out  *ringKey // signed, and holds the role at other sizes
}

// Verifier implements [note.Verifiers].
func (f *inForce) Verifier(name string, hash uint32) (note.Verifier, error) {
	for i := range f.ring.keys {
		k := &f.ring.keys[i]
		switch {
		case k.roles&f.role == 0 || k.verifier.Name() != name || k.verifier.KeyHash() != hash:
		case f.size < k.from || f.size >= k.to:
			f.out = k
		default:
			return k.verifier, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}
