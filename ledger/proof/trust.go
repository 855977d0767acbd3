package proof

import (
	"fmt"
	"slices"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// keyWalk follows a ledger's keys from its genesis through the changes.
type keyWalk struct {
	roster  *chain.Roster
	changes []keyChange
}

type keyChange struct {
	index uint64
	chain.KeyChange
}

// change judges a change of keys and takes it.
func (w *keyWalk) change(index uint64, c *chain.Control) error {
	if err := w.roster.Judge(c); err != nil {
		return err
	}
	change, err := chain.ParseKeyChange(c.Statement.Body)
	if err != nil {
		return err
	}
	next, err := w.roster.Apply(index, &change)
	if err != nil {
		return &Fault{Finding: UnauthorisedControl, Err: err}
	}
	w.roster = next
	w.changes = append(w.changes, keyChange{index, change})
	return nil
}

// newRing makes the ring of a roster's note keys.
func newRing(origin string, ledger chain.Hash, roster *chain.Roster) *Keyring {
	ring := &Keyring{origin: origin, ledger: ledger}
	for _, span := range roster.Spans() {
		if span.Roles&(chain.RoleCheckpoint|chain.RoleHeads) == 0 {
			continue
		}
		vkey := VKey(origin, noteType(span.Algorithm), span.Public)
		ring.keys = append(ring.keys, ringKey{
			verifier: verifierOf(vkey), vkey: vkey, kind: noteType(span.Algorithm), roles: span.Roles, from: span.From, to: span.To,
		})
	}
	return ring
}

// verifierOf is the verifier of a key that a ledger names. Of one that nobody may
// rely on no signature is valid.
func verifierOf(vkey string) note.Verifier {
	k, err := ParseKey(vkey)
	if err == nil {
		return k.verifier
	}
	name, hash := nameOf(vkey)
	return refused{name, hash}
}

// nameOf is the name and the key hash of a verifier key of our own printing.
func nameOf(vkey string) (name string, hash uint32) {
	for i := range len(vkey) {
		if vkey[i] == '+' {
			_, _ = fmt.Sscanf(vkey[i+1:i+9], "%08x", &hash)
			return vkey[:i], hash
		}
	}
	return vkey, 0
}

// refused is the verifier of a key that makes no valid signature.
type refused struct {
	name string
	hash uint32
}

func (r refused) Name() string          { return r.name }
func (r refused) KeyHash() uint32       { return r.hash }
func (refused) Verify(_, _ []byte) bool { return false }

// What the library makes for ML-DSA-44 is a verifier of notes; its type has changed
// between versions.
var _ = func(vkey string) (note.Verifier, error) { return notes.NewMLDSAVerifier(vkey) }

// trust checks that vkey, which the reader knows from elsewhere, speaks for a
// checkpoint that the ring opened: it signed it, or a key did that it gave way to
// in rotations of its own signing, or it was revoked and one of the retired
// checkpoints, which are of the same tree, is its own.
func (w *keyWalk) trust(ring *Keyring, vkey string, checkpoint Checkpoint, retired []Checkpoint) error {
	k, err := ParseKey(vkey)
	if err != nil {
		return err
	}
	if k.Origin != ring.origin {
		return fmt.Errorf("%w: the key is of %q, the ledger is %q", ErrOrigin, k.Origin, ring.origin)
	}
	own := slices.IndexFunc(ring.keys, func(r ringKey) bool {
		return r.vkey == vkey && r.kind == noteEd25519 && r.roles&chain.RoleCheckpoint != 0
	})
	if own < 0 {
		return fmt.Errorf("%w: neither genesis nor a change of keys names %s as an Ed25519 key for checkpoints", chain.ErrUnknownKey, brief(vkey))
	}
	heirs := w.heirs(k, checkpoint.Size)
	for _, heir := range heirs {
		vkey := VKey(ring.origin, noteEd25519, heir.Public)
		for i := range ring.keys {
			if ring.keys[i].vkey == vkey && ring.keys[i].signed(checkpoint.Note) {
				return nil
			}
		}
	}
	if len(heirs) > 0 {
		return fmt.Errorf("%w: neither %s nor a key that it was rotated to signed the checkpoint of %d entries", chain.ErrUnknownKey, brief(vkey), checkpoint.Size)
	}
	key := &ring.keys[own]
	for _, c := range retired {
		if c.Size >= key.from && c.Size < key.to && c.Size <= checkpoint.Size && key.signed(c.Note) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is in force for sizes %s only, did not sign its own replacement, and no checkpoint of its own shows that this is the ledger that it signed for",
		chain.ErrUnknownKey, brief(vkey), key.sizes())
}

// heirs are the Ed25519 checkpoint keys that a key stands behind at a size: itself
// until it is removed; then those of the rotations, which it signed.
func (w *keyWalk) heirs(k Key, size uint64) []chain.Key {
	heirs := []chain.Key{{Algorithm: chain.AlgorithmEd25519, Public: k.Public}}
	for _, c := range w.changes {
		if c.index >= size {
			break
		}
		before := len(heirs)
		heirs = slices.DeleteFunc(heirs, func(k chain.Key) bool { return slices.Contains(c.Removed, k.ID()) })
		if len(heirs) == before || c.Reason != chain.Rotation {
			continue
		}
		for _, added := range c.Added {
			if added.Roles&chain.RoleCheckpoint != 0 && added.Algorithm == chain.AlgorithmEd25519 {
				heirs = append(heirs, added)
			}
		}
	}
	return heirs
}
