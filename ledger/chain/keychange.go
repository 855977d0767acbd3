package chain

import (
	"bytes"
	"errors"
	"math"
	"slices"
)

// Reasons of a change of keys.
const (
	Rotation   uint8 = 0 // in good order: signed by the keys too that it removes
	Revocation uint8 = 1 // a key is lost, or somebody else's: the root role alone speaks
)

// KeyChange is a control statement, signed by the root role, that says which keys
// are in force from its own entry on.
type KeyChange struct {
	Reason     uint8
	Removed    []Hash      // key ids, ascending, none twice
	Added      []Key       // no key that was ever named
	Thresholds []Threshold // those that change, ascending by role
}

// maxChanged is how many rows their count, of one byte, allows.
const maxChanged = math.MaxUint8

// Append appends the change's body to dst.
func (k *KeyChange) Append(dst []byte) []byte {
	dst = append(dst, k.Reason, byte(len(k.Removed)))
	for _, id := range k.Removed {
		dst = append(dst, id[:]...)
	}
	return appendKeys(dst, k.Added, k.Thresholds)
}

// ParseKeyChange parses exactly what [KeyChange.Append] prints of a change that
// keeps its own rules: rows in order, one role a threshold, and something that
// changes. Errors wrap [ErrMalformed], or [ErrUnsupported] for a reason or an
// algorithm that only a newer version knows.
func ParseKeyChange(body []byte) (KeyChange, error) {
	c := cursor{b: bytes.Clone(body)} // keys are views of it, and outlive the message
	k := KeyChange{Reason: c.u8()}
	for range c.u8() {
		k.Removed = append(k.Removed, c.hash())
	}
	for range c.u8() {
		k.Added = append(k.Added, c.key())
	}
	for range c.u8() {
		k.Thresholds = append(k.Thresholds, Threshold{Role: Role(c.u16()), Keys: c.u8()})
	}
	if !c.done() {
		return k, malformed("change of keys of %d bytes", len(body))
	}
	for i := 1; i < len(k.Removed); i++ {
		if bytes.Compare(k.Removed[i-1][:], k.Removed[i][:]) >= 0 {
			return k, malformed("change of keys: removed key %s is out of order", k.Removed[i])
		}
	}
	for i, t := range k.Thresholds {
		switch {
		case t.Role == 0 || t.Role&(t.Role-1) != 0 || t.Keys == 0:
			return k, malformed("change of keys: threshold %d of role %#x", t.Keys, uint16(t.Role))
		case i > 0 && k.Thresholds[i-1].Role >= t.Role:
			return k, malformed("change of keys: the threshold of role %s is out of order", t.Role)
		}
	}
	switch {
	case len(k.Removed)+len(k.Added)+len(k.Thresholds) == 0:
		return k, malformed("change of keys: nothing changes")
	case k.Reason == Revocation && len(k.Removed) == 0:
		return k, malformed("change of keys: a revocation removes no key")
	}
	err := k.checkAdded()
	if err == nil && k.Reason > Revocation {
		err = unsupported("change of keys for reason %d", k.Reason)
	}
	return k, err
}

// checkAdded holds the added keys to their algorithms' rules. What no version
// allows is told before what this version doesn't know.
func (k *KeyChange) checkAdded() error {
	var newer error
	for i := range k.Added {
		key := &k.Added[i]
		switch err := key.check(); {
		case err == nil:
		case errors.Is(err, ErrUnsupported):
			newer = err
		default:
			return err
		}
		if key.Roles == 0 {
			return malformed("change of keys: an added key has no role")
		}
	}
	return newer
}

// SealKeyChange frames and signs a change of keys as the body of a control message.
// why is kept beside the entry and may be erased. Removed keys and thresholds may
// come in any order. It panics on more than 255 of a kind.
func SealKeyChange(ledger Hash, control uint64, k KeyChange, why string, signers ...Signer) []byte {
	if max(len(k.Removed), len(k.Added), len(k.Thresholds)) > maxChanged {
		panic("chain: a change of keys has at most 255 rows of a kind")
	}
	k.Removed, k.Thresholds = slices.Clone(k.Removed), slices.Clone(k.Thresholds)
	slices.SortFunc(k.Removed, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(k.Thresholds, func(a, b Threshold) int { return int(a.Role) - int(b.Role) })
	return SealControl(Statement{Ledger: ledger, Number: control, Type: ControlKey, Body: k.Append(nil)}, []byte(why), signers...)
}

// changeKeys puts other keys in force.
func (s *State) changeKeys(fr *frame, st *Statement) error {
	change, err := ParseKeyChange(st.Body)
	if err != nil {
		return err
	}
	keys, err := s.keys.Apply(s.Size, &change)
	if err != nil {
		return err
	}
	if err := s.keys.judgeRotation(&change, fr.signatures); err != nil {
		return &ControlError{Code: CodeControlSignature, Why: err}
	}
	s.keys = keys
	return nil
}
