package proof

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
)

// KeyHistory is every key that was ever named for a ledger, with the entries that
// named and removed them and the proofs that they are in its tree: what /keys
// serves and a pack holds (docs/format/keys.md). Whoever was away follows it from
// the key that they have. Nothing in it is true before [KeyHistory.Verify].
type KeyHistory struct {
	Origin  string     `json:"origin"`
	Ledger  chain.Hash `json:"ledger"`
	Keys    []NamedKey `json:"keys"`
	Genesis KeyEntry   `json:"genesis"`
	Changes []KeyEntry `json:"changes"` // by ascending index
	// Retired are notes: the last checkpoint by each Ed25519 checkpoint key that no
	// longer signs, by ascending size. Consistency holds for each the RFC 6962
	// proof from its size to Checkpoint's, hashes of 32 bytes.
	Retired     []string   `json:"retired"`
	Consistency [][][]byte `json:"consistency"`
	Checkpoint  string     `json:"checkpoint"`
}

// NamedKey is one key of a history, with the sizes that it is in force for.
type NamedKey struct {
	VKey      string     `json:"vkey,omitzero"` // of keys that sign notes
	ID        chain.Hash `json:"id"`
	Algorithm uint8      `json:"algorithm"`
	Public    []byte     `json:"public"`
	Roles     []string   `json:"roles"`
	From      uint64     `json:"from"`
	To        *uint64    `json:"to,omitzero"` // nil while the key stands
}

// KeyEntry is an entry that says something about keys, with its inclusion proof.
type KeyEntry struct {
	Index uint64   `json:"index"`
	Entry []byte   `json:"entry"`
	Proof [][]byte `json:"proof"` // hashes of 32 bytes, the leaf's sibling first
}

// ErrHistory marks bytes that are no key history.
var ErrHistory = errors.New("no key history")

// maxHistory bounds a key history's bytes: some thousands of changes.
const maxHistory = 64 << 20

// ParseKeyHistory parses what /keys serves. Errors wrap [ErrHistory].
func ParseKeyHistory(b []byte) (*KeyHistory, error) {
	if len(b) > maxHistory {
		return nil, fmt.Errorf("%w: %d bytes", ErrHistory, len(b))
	}
	h := new(KeyHistory)
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrHistory, err)
	}
	return h, nil
}

// NamedKeys lists a roster as a history does, for whoever writes one.
func NamedKeys(origin string, roster *chain.Roster) []NamedKey {
	out := []NamedKey{}
	for _, span := range roster.Spans() {
		n := NamedKey{
			ID: span.ID(), Algorithm: span.Algorithm, Public: span.Public, Roles: span.Roles.Names(), From: span.From,
		}
		if span.Roles&(chain.RoleCheckpoint|chain.RoleHeads) != 0 {
			n.VKey = VKey(origin, noteType(span.Algorithm), span.Public)
		}
		if span.To != math.MaxUint64 {
			to := span.To
			n.To = &to
		}
		out = append(out, n)
	}
	return out
}

// List fills in what the entries of genesis and changes say: origin, ledger and
// keys.
func (h *KeyHistory) List() error {
	e, c, err := controlEntry(&h.Genesis, chain.ControlGenesis)
	if err != nil {
		return err
	}
	g, err := chain.ParseGenesis(c.Statement.Body)
	if err != nil {
		return fmt.Errorf("entry %d: %w", e.Index, err)
	}
	h.Origin, h.Ledger = g.Origin, g.LedgerID()
	walk, err := h.walk()
	if err != nil {
		return err
	}
	h.Keys = NamedKeys(h.Origin, walk.roster)
	return nil
}

// Roster returns the keys, and how many of each role have to sign, as the entries of
// genesis and changes make them. Each of these is signed as the rules ask; that they
// stand in a ledger's tree, and that there are no others, [KeyHistory.Verify] and an
// audit say.
func (h *KeyHistory) Roster() (*chain.Roster, error) {
	w, err := h.walk()
	if err != nil {
		return nil, err
	}
	return w.roster, nil
}

// noteType is the signature type of notes by keys of an algorithm.
func noteType(algorithm uint8) byte {
	if algorithm == chain.AlgorithmMLDSA44 {
		return noteMLDSA44
	}
	return noteEd25519
}

// Verify walks the history and returns the keys that it proves, for checkpoints and
// workspace heads: genesis and changes are signed as the rules ask, and stand in
// the tree of its own checkpoint, which a key in force signed; and vkey, which the
// caller knows from elsewhere, speaks for it, itself or through the rotations that
// it signed (docs/format/keys.md has the order of the checks). An empty vkey is no
// trust: the history is then only shown to agree with itself.
//
// What a history leaves out it can't show: only an audit of all entries knows that
// there was no other change. [FindingOf] names what an error means.
func (h *KeyHistory) Verify(vkey string) (*Keyring, error) {
	walk, err := h.walk()
	if err != nil {
		return nil, err
	}
	ring := newRing(h.Origin, h.Ledger, walk.roster)
	checkpoint, err := ring.Open([]byte(h.Checkpoint))
	if err != nil {
		return nil, fmt.Errorf("the history's checkpoint: %w", err)
	}
	for i, e := range slices.Concat([]KeyEntry{h.Genesis}, h.Changes) {
		hashes, err := toHashes(e.Proof)
		if err == nil {
			err = CheckInclusion(checkpoint.Size, checkpoint.Root, e.Index, chain.LeafHash(e.Entry), hashes)
		}
		if err != nil {
			return nil, fmt.Errorf("the history's entry %d, of index %d: %w", i, e.Index, err)
		}
	}
	retired, err := h.retired(ring, checkpoint)
	if err != nil {
		return nil, err
	}
	if vkey != "" {
		if err := walk.trust(ring, vkey, checkpoint, retired); err != nil {
			return nil, err
		}
	}
	if err := h.listed(walk); err != nil {
		return nil, err // the least that can be wrong, and so the last
	}
	return ring, nil
}

// listed compares the list of keys, which nobody signed, with what genesis and changes
// make. Another list says nothing about the ledger: the error stands for
// [Inconclusive].
func (h *KeyHistory) listed(w *keyWalk) error {
	named := NamedKeys(h.Origin, w.roster)
	for i := range max(len(h.Keys), len(named)) {
		switch {
		case i >= len(named):
			return fmt.Errorf("%w: it lists %d keys, its genesis and changes name %d: nothing names %s", ErrHistory, len(h.Keys), len(named), h.Keys[i].ID)
		case i >= len(h.Keys):
			return fmt.Errorf("%w: it lists %d keys, its genesis and changes name %d: %s is left out", ErrHistory, len(h.Keys), len(named), named[i].ID)
		case !sameKey(h.Keys[i], named[i]):
			return fmt.Errorf("%w: what it lists as key %d is not what its genesis and changes say of key %s", ErrHistory, i, named[i].ID)
		}
	}
	return nil
}

func sameKey(a, b NamedKey) bool {
	to := a.To == b.To || a.To != nil && b.To != nil && *a.To == *b.To
	return to && a.VKey == b.VKey && a.ID == b.ID && a.Algorithm == b.Algorithm && bytes.Equal(a.Public, b.Public) &&
		slices.Equal(a.Roles, b.Roles) && a.From == b.From
}

// retired opens the retired notes, and checks that the checkpoint's tree begins
// with theirs.
func (h *KeyHistory) retired(ring *Keyring, checkpoint Checkpoint) ([]Checkpoint, error) {
	if len(h.Consistency) != len(h.Retired) {
		return nil, fmt.Errorf("%w: %d retired checkpoints and %d consistency proofs", ErrHistory, len(h.Retired), len(h.Consistency))
	}
	var out []Checkpoint
	for i, n := range h.Retired {
		c, err := ring.Open([]byte(n))
		if err != nil {
			return nil, fmt.Errorf("the history's retired checkpoint %d: %w", i, err)
		}
		hashes, err := toHashes(h.Consistency[i])
		if err == nil {
			err = CheckConsistency(c.Size, c.Root, checkpoint.Size, checkpoint.Root, hashes)
		}
		if err != nil {
			return nil, &Fault{Finding: Forked, Err: fmt.Errorf("the history's retired checkpoint %d, of %d entries, and its checkpoint of %d are not shown to be of one tree: %w", i, c.Size, checkpoint.Size, err)}
		}
		out = append(out, c)
	}
	return out, nil
}

// Listed are the hashes of an inclusion or consistency proof as JSON lists them.
func Listed(hashes []chain.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

func toHashes(list [][]byte) ([]chain.Hash, error) {
	out := make([]chain.Hash, len(list))
	for i, b := range list {
		if len(b) != len(out[i]) {
			return nil, fmt.Errorf("%w: a hash of %d bytes", ErrProof, len(b))
		}
		out[i] = chain.Hash(b)
	}
	return out, nil
}

// walk checks genesis and changes by themselves.
func (h *KeyHistory) walk() (*keyWalk, error) {
	e, c, err := controlEntry(&h.Genesis, chain.ControlGenesis)
	if err != nil {
		return nil, fmt.Errorf("the history's genesis: %w", err)
	}
	s := &c.Statement
	if e.Index != 0 || !s.Ledger.IsZero() || s.Number != 0 || s.Size != 0 || !s.Root.IsZero() {
		return nil, fmt.Errorf("the history's genesis: %w: it is not at index 0 and unconditional", chain.ErrMalformed)
	}
	g, err := chain.ParseGenesis(s.Body)
	if err != nil {
		return nil, fmt.Errorf("the history's genesis: %w", err)
	}
	w := &keyWalk{roster: g.Roster()}
	if err := w.roster.Judge(&c); err != nil {
		return nil, fmt.Errorf("the history's genesis: %w", err)
	}
	id := g.LedgerID()
	if id != h.Ledger || g.Origin != h.Origin || e.Previous != chain.FirstPrevious(id) || e.PreviousInWorkspace != chain.FirstInWorkspace(id, e.Workspace) {
		return nil, fmt.Errorf("%w: its genesis is of ledger %s, %q, and the history says %s, %q", ErrOrigin, id, g.Origin, h.Ledger, h.Origin)
	}
	last, number := uint64(0), uint64(0)
	for _, entry := range h.Changes {
		e, c, err := controlEntry(&entry, chain.ControlKey)
		s := &c.Statement
		switch {
		case err != nil:
		case e.Index != entry.Index || e.Index <= last || s.Number <= number:
			err = fmt.Errorf("%w: it stands out of order, or a second time", chain.ErrMalformed)
		case s.Ledger != id:
			err = fmt.Errorf("%w: it was signed for ledger %s", ErrOrigin, s.Ledger)
		default:
			last, number = e.Index, s.Number
			err = w.change(e.Index, &c)
		}
		if err != nil {
			return nil, fmt.Errorf("the history's change at index %d: %w", entry.Index, err)
		}
	}
	return w, nil
}

// controlEntry reads an entry of a history as a control entry of a type.
func controlEntry(k *KeyEntry, want chain.ControlType) (e chain.Entry, c chain.Control, err error) {
	if e, err = chain.ParseEntry(bytes.Clone(k.Entry)); err != nil {
		return e, c, err
	}
	if e.Kind != chain.KindControl || e.Code != uint16(want) || e.Index != k.Index {
		return e, c, fmt.Errorf("%w: the entry is %s %d of code %d, not the control entry of a %s at %d", chain.ErrMalformed, e.Kind, e.Index, e.Code, want, k.Index)
	}
	if c, err = e.Control(); err != nil {
		return e, c, err
	}
	if c.Statement.Type != want {
		return e, c, fmt.Errorf("%w: its statement is of type %s", chain.ErrMalformed, c.Statement.Type)
	}
	return e, c, nil
}
