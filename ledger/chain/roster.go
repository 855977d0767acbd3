package chain

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// KeySpan is a key with the sizes that it is in force at: a checkpoint of a size
// from From up to, not including, To may carry its signature, and so may a control
// statement in an entry from index From up to, not including, To.
type KeySpan struct {
	Key
	From, To uint64 // To is 2^64-1 while the key stands
}

// InForce reports whether the key is in force at a size of the ledger.
func (k *KeySpan) InForce(size uint64) bool { return k.From <= size && size < k.To }

// standing is a span's end while its key is not removed.
const standing = math.MaxUint64

// Roster is every key that a ledger's genesis and its accepted changes of keys
// have named, since when and until when. It is never changed in place: states
// share it.
type Roster struct {
	spans      []KeySpan
	thresholds []Threshold
	changes    []uint64 // the entries that changed it, ascending
	changed    []byte   // the stored form, once it is no longer the genesis's own
}

// Roster returns the keys as the genesis names them: those in force until the
// first change of keys.
func (g *Genesis) Roster() *Roster {
	r := &Roster{thresholds: g.Thresholds}
	for _, key := range g.Keys {
		r.spans = append(r.spans, KeySpan{Key: key, From: 1, To: standing})
	}
	return r
}

// Changes returns the indexes of the entries that changed the keys, ascending.
func (r *Roster) Changes() []uint64 { return slices.Clone(r.changes) }

// Spans returns every key that was ever named, in the order of their naming.
func (r *Roster) Spans() []KeySpan { return slices.Clone(r.spans) }

// find returns the key of an id that is in force.
func (r *Roster) find(id Hash) (*Key, bool) {
	for i := range r.spans {
		if span := &r.spans[i]; span.To == standing && span.ID() == id {
			return &span.Key, true
		}
	}
	return nil, false
}

// named reports whether a key was ever named.
func (r *Roster) named(id Hash) bool {
	return slices.ContainsFunc(r.spans, func(span KeySpan) bool { return span.ID() == id })
}

// Need returns how many keys have to sign what a role signs: 1 where nothing is said.
func (r *Roster) Need(role Role) int {
	for _, t := range r.thresholds {
		if t.Role == role {
			return max(1, int(t.Keys))
		}
	}
	return 1
}

// Why a control statement's signatures don't carry it.
var (
	ErrSignature  = errors.New("a signature does not verify")
	ErrUnknownKey = errors.New("signed by an unknown key")
	ErrRole       = errors.New("too few keys in role signed")
)

// Judge checks a control statement's signatures against the keys that are in
// force, in the role that the statement's type needs; a rotation needs those of
// the keys besides that it removes. Errors wrap [ErrSignature], [ErrUnknownKey] or
// [ErrRole].
func (r *Roster) Judge(c *Control) error {
	if err := r.judgeType(c.statement, c.signatures, c.Statement.Type); err != nil {
		return fmt.Errorf("%s: %w", c.Statement.Type, err)
	}
	if c.Statement.Type != ControlKey {
		return nil
	}
	change, err := ParseKeyChange(c.Statement.Body)
	if err != nil {
		return nil // of its body, whoever applies the change says what is wrong
	}
	return r.judgeRotation(&change, c.signatures)
}

// Due returns the role whose keys sign statements of a type, and how many of them have
// to. The role is 0 for a type that this version doesn't know.
func (r *Roster) Due(t ControlType) (role Role, keys int) {
	if role = t.role(); role == RoleEraser {
		role = r.Eraser()
	}
	return role, r.Need(role)
}

// judgeType is judge, for the role that signs statements of a type.
func (r *Roster) judgeType(statement []byte, signatures []signature, t ControlType) error {
	role, _ := r.Due(t)
	return r.judge(statement, signatures, role)
}

// judge checks that every signature is a known key's and valid, and that enough
// different keys hold the role. A role of 0 stands for any: the statement's type is
// one that this version doesn't know.
func (r *Roster) judge(statement []byte, signatures []signature, role Role) error {
	signed := map[Hash]bool{}
	for _, s := range signatures {
		key, known := r.find(s.key)
		if !known {
			return fmt.Errorf("%w: %s", ErrUnknownKey, s.key)
		}
		if !key.Verify(statement, s.bytes) {
			return fmt.Errorf("%w: that of key %s", ErrSignature, s.key)
		}
		if role == 0 || key.Roles&role != 0 {
			signed[s.key] = true
		}
	}
	if need := r.Need(role); len(signed) < need {
		return fmt.Errorf("%w: %d of %d", ErrRole, len(signed), need)
	}
	return nil
}

// judgeRotation checks that a rotation is signed by each key that it removes and
// that can sign: whoever takes over from a key in good order holds it.
func (r *Roster) judgeRotation(c *KeyChange, signatures []signature) error {
	if c.Reason != Rotation {
		return nil
	}
	for _, id := range c.Removed {
		key, known := r.find(id)
		if !known || !key.signsControl() {
			continue
		}
		if !slices.ContainsFunc(signatures, func(s signature) bool { return s.key == id }) {
			return fmt.Errorf("%w: a rotation is signed by each key that it removes, not by %s; if that key is lost, revoke it", ErrRole, id)
		}
	}
	return nil
}

// Apply returns the keys after an accepted change in the entry at index. An error
// wraps [ErrMalformed] and says what the change breaks.
func (r *Roster) Apply(index uint64, c *KeyChange) (*Roster, error) {
	next := &Roster{spans: slices.Clone(r.spans), thresholds: slices.Clone(r.thresholds), changes: append(slices.Clip(r.changes), index)}
	had := r.holders()
	for _, id := range c.Removed {
		at := slices.IndexFunc(next.spans, func(span KeySpan) bool { return span.To == standing && span.ID() == id })
		if at < 0 {
			return nil, malformed("change of keys: %s is removed, but it is not in force", id)
		}
		next.spans[at].To = index + 1
	}
	for _, key := range c.Added {
		if id := key.ID(); next.named(id) {
			return nil, malformed("change of keys: %s is added, but it was named before", id)
		}
		next.spans = append(next.spans, KeySpan{Key: key, From: index + 1, To: standing})
	}
	for _, t := range c.Thresholds {
		at := slices.IndexFunc(next.thresholds, func(old Threshold) bool { return old.Role == t.Role })
		if at < 0 {
			next.thresholds = append(next.thresholds, t)
			continue
		}
		next.thresholds[at] = t
	}
	for bit, holders := range next.holders() {
		role := Role(1) << bit
		if need := next.Need(role); max(holders, had[bit]) > 0 && holders < need {
			return nil, malformed("change of keys: it leaves %d keys in role %s, which needs %d", holders, role, need)
		}
	}
	next.changed = next.append(nil)
	return next, nil
}

// holders counts the keys in force in each role. An ML-DSA key stands beside
// another, never for it, and does not count.
func (r *Roster) holders() (count [16]int) {
	for i := range r.spans {
		span := &r.spans[i]
		for bit := range count {
			if span.To == standing && span.signsControl() && span.Roles&(1<<bit) != 0 {
				count[bit]++
			}
		}
	}
	return count
}

// append appends the stored form to dst.
func (r *Roster) append(dst []byte) []byte {
	dst = be32(dst, len(r.spans))
	for i := range r.spans {
		dst = r.spans[i].Append(dst)
		dst = be64(dst, r.spans[i].From)
		dst = be64(dst, r.spans[i].To)
	}
	dst = be32(dst, len(r.thresholds))
	for _, t := range r.thresholds {
		dst = be16(dst, t.Role)
		dst = append(dst, t.Keys)
	}
	dst = be32(dst, len(r.changes))
	for _, index := range r.changes {
		dst = be64(dst, index)
	}
	return dst
}

// parseRoster reads what append wrote.
func parseRoster(b []byte) (*Roster, bool) {
	b = slices.Clone(b) // the keys are views of it
	r := &Roster{changed: b}
	c := cursor{b: b}
	for range c.u32() {
		span := KeySpan{Key: c.key(), From: c.u64(), To: c.u64()}
		if c.bad || span.check() != nil {
			return nil, false
		}
		r.spans = append(r.spans, span)
	}
	for range c.u32() {
		r.thresholds = append(r.thresholds, Threshold{Role: Role(c.u16()), Keys: c.u8()})
		if c.bad {
			return nil, false
		}
	}
	for range c.u32() {
		r.changes = append(r.changes, c.u64())
		if c.bad {
			return nil, false
		}
	}
	return r, c.done()
}
