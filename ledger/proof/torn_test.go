package proof

import (
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// memoryOf is a folded stream as a [Source].
func memoryOf(s *chaintest.Stream) *memory {
	l, err := chaintest.NewLog(s.Messages[0])
	if err == nil {
		err = l.Follow(s.Messages, func(n int) int { return n })
	}
	if err != nil {
		panic(err)
	}
	m := &memory{}
	for i := range l.Entries {
		f := &l.Entries[i]
		r := row{raw: f.Raw}
		if f.Entry.Kind != chain.KindGap {
			r.payload = f.Payload.Clone()
		}
		m.rows = append(m.rows, r)
	}
	m.seal()
	return m
}

// torn is a ledger with changes of keys, gaps and epochs.
func torn() *memory { return memoryOf(chaintest.Torn()) }

// Where torn has what.
const (
	tornKey        = 5  // the ledger's key is rotated
	tornSeed       = 8  // signed by the new one
	tornGap        = 11 // admitted by the control entry at 14
	tornNotice     = 14
	tornEpoch      = 16
	tornSecondGap  = 20 // its notice is rejected at 22, and admitted at 23
	tornRevocation = 21 // of the operator's key
	tornSecond     = 23
	tornTrim       = 24
	tornSecondly   = 25 // epoch 2
)

// TestTornIsClean: lost messages that the operator admits, new streams and new keys
// are clean, and the gaps are told; at every size of the ledger.
func TestTornIsClean(t *testing.T) {
	m := torn()
	for size := 1; size <= len(m.rows); size++ {
		part := m.clone()
		part.rows = part.rows[:size]
		part.seal()
		for _, chunk := range []int{2, 8, 64} {
			if size == tornSecond {
				// The notice is rejected, and no other has come yet.
				verdictAt(t, audit(t, part, Options{Chunk: chunk}), UnauthorisedControl, tornSecondGap)
				continue
			}
			r := mustBeClean(t, part, Options{Chunk: chunk, EntriesOnly: size%2 == 0})
			var gaps []uint64
			for _, n := range r.Notices {
				if n.Notice == SignedGap {
					gaps = append(gaps, *n.Index)
				}
			}
			want := 0
			for _, at := range []int{tornGap, tornSecondGap} {
				if size > at {
					want++
				}
			}
			if len(gaps) != want {
				t.Fatalf("size %d: gaps at %v, want %d", size, gaps, want)
			}
		}
	}
}

// TestForgedKeys breaks the rules of keys by those who hold them.
func TestForgedKeys(t *testing.T) {
	m := torn()
	root, old, fresh := chaintest.Signer("root"), chaintest.Signer("keeper"), chaintest.Signer("fresh")
	operator, second := chaintest.Signer("operator"), chaintest.Signer("second operator")
	body := func(change func(*chain.KeyChange)) func(*chain.Statement) {
		return func(s *chain.Statement) {
			k, err := chain.ParseKeyChange(s.Body)
			if err != nil {
				panic(err)
			}
			change(&k)
			s.Body = k.Append(nil)
		}
	}
	same := func(*chain.Statement) {}
	why := []byte("the old one was on a lost machine")
	secret := chaintest.Secret("seed 1")
	for _, c := range []struct {
		name string
		bad  *memory
		at   int
		want Finding
	}{
		{"the same", m.restate(tornKey, same, why, root, old), -1, Clean},
		{"other words why", m.restate(tornKey, same, []byte("x"), root, old), -1, Clean},
		{"a rotation that the old key did not sign", m.restate(tornKey, same, why, root), tornKey, UnauthorisedControl},
		{"a rotation that the root did not sign", m.restate(tornKey, same, why, old), tornKey, UnauthorisedControl},
		{"a change that nobody signed", m.restate(tornKey, same, why), tornKey, UnauthorisedControl},
		{"signed by a stranger", m.restate(tornKey, same, why, root, old, fresh), tornKey, UnknownKey},
		{"a key that is known", m.restate(tornKey, body(func(k *chain.KeyChange) {
			k.Added = append(k.Added, operator.Public(chain.RoleLedger))
		}), why, root, old), tornKey, UnauthorisedControl},
		{"a removal of what is not there", m.restate(tornKey, body(func(k *chain.KeyChange) {
			k.Removed = append([]chain.Hash{{}}, k.Removed...)
		}), why, root, old), tornKey, UnauthorisedControl},
		{"a role is left without a key", m.restate(tornRevocation, body(func(k *chain.KeyChange) {
			k.Added[0].Roles = chain.RoleHeads
		}), nil, root), tornRevocation, UnauthorisedControl},
		{"nothing changes", m.restate(tornKey, body(func(k *chain.KeyChange) { *k = chain.KeyChange{} }), why, root, old), tornKey, MalformedEntry},
		{"an algorithm to come", m.restate(tornKey, body(func(k *chain.KeyChange) { k.Added[1].Algorithm = 7 }), why, root, old), tornKey, Unsupported},
		{"signed for another state", m.restate(tornKey, func(s *chain.Statement) { s.Size = 3 }, why, root, old), tornKey, UnauthorisedControl},

		{"a seed by the key that is gone", m.restate(tornSeed, same, secret[:], old), tornSeed, UnknownKey},
		{"a notice by the key that is gone", m.restate(tornSecond, same, nil, operator), tornSecond, UnknownKey},
		{"a notice by the key in force", m.restate(tornSecond, same, nil, second), -1, Clean},
		{"a notice by a key to come", m.restate(tornNotice, same, nil, second), tornNotice, UnknownKey},
		{"a seed by the root", m.restate(tornSeed, same, secret[:], root), tornSeed, UnauthorisedControl},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{2, 64} {
				r := audit(t, m.resign(c.bad), Options{Chunk: chunk})
				if r.FirstBad != nil && c.want == UnauthorisedControl && *r.FirstBad < uint64(len(m.rows)) && r.Verdict == UnknownKey {
					// The change did not come into force: what its keys sign is unknown too.
					r.Verdict = c.want
				}
				verdictAt(t, r, c.want, c.at)
			}
		})
	}
}

// resign signs the conditions that follow from a forgery anew, as whoever holds the
// keys would: nothing but the forgery itself is to be found.
func (m *memory) resign(bad *memory) *memory {
	for i := range bad.rows {
		e := bad.rows[i].entry()
		if e.Kind != chain.KindControl {
			continue
		}
		c, err := e.Control()
		if err != nil {
			panic(err)
		}
		s := c.Statement
		if s.Root.IsZero() || s.Size > uint64(i) || string(bad.rows[i].raw[chain.HeaderSize:]) != string(m.rows[i].raw[chain.HeaderSize:]) {
			continue // unconditional, or forged itself
		}
		var leaves []chain.Hash
		for k := range s.Size {
			leaves = append(leaves, chain.LeafHash(bad.rows[k].raw))
		}
		if root := rootOf(leaves); root != s.Root {
			bad = bad.restate(i, func(s *chain.Statement) { s.Root = root }, nil, signerAt(chain.ControlType(e.Code), i))
		}
	}
	return bad
}

// signerAt is whoever signs torn's statements of a type at an index.
func signerAt(typ chain.ControlType, index int) chain.Signer {
	switch {
	case typ == chain.ControlTrim:
		return chaintest.Signer("fresh")
	case index > tornRevocation:
		return chaintest.Signer("second operator")
	}
	return chaintest.Signer("operator")
}

func leavesOf(m *memory, size int) (leaves []chain.Hash) {
	for i := range m.rows[:size] {
		leaves = append(leaves, chain.LeafHash(m.rows[i].raw))
	}
	return leaves
}

// TestRandomStreamsAreClean: whatever the rules let into a ledger, an audit finds
// nothing wrong with it, and tells each gap.
func TestRandomStreamsAreClean(t *testing.T) {
	for seed := range uint64(30) {
		m := memoryOf(chaintest.Random(100+seed, 50))
		gaps := 0
		for i := range m.rows {
			if m.rows[i].entry().Kind == chain.KindGap {
				gaps++
			}
		}
		for _, chunk := range []int{2, 64} {
			told := 0
			for _, n := range mustBeClean(t, m, Options{Chunk: chunk}).Notices {
				if n.Notice == SignedGap {
					told++
				}
			}
			if told != gaps {
				t.Fatalf("seed %d: %d gaps are told of %d", seed, told, gaps)
			}
		}
	}
}
