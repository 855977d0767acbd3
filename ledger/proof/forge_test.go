package proof

import (
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// A forger rebuilds every hash: what is left to find are the rules.

// forge changes an entry and rebuilds what is hashed from there on.
func (m *memory) forge(i int, change func(e *chain.Entry)) *memory {
	bad := m.clone()
	bad.edit(i, change)
	bad.relink(i+1, false)
	bad.seal()
	return bad
}

// restate replaces a control entry's statement and signatures, payload included.
func (m *memory) restate(i int, change func(s *chain.Statement), secret []byte, signers ...chain.Signer) *memory {
	bad := m.clone()
	e := bad.rows[i].entry()
	c, err := e.Control()
	if err != nil {
		panic(err)
	}
	s := c.Statement
	change(&s)
	body := chain.SealControl(s, secret, signers...)
	bad.payload(i, func(p *chain.Payload) { p.Body = body })
	bad.edit(i, func(e *chain.Entry) {
		statement := s.Append(nil)
		block := body[5+len(statement) : len(body)-4-len(secret)]
		e.Tail = append(append([]byte{0x80, 1, byte(len(statement) >> 8), byte(len(statement))}, statement...), 0x80, 2, byte(len(block)>>8), byte(len(block)))
		e.Tail = append(e.Tail, block...)
		e.Code = uint16(s.Type)
		e.Commitment, _ = bad.rows[i].payload.Commitment(bad.id(), e, nil)
	})
	bad.relink(i+1, false)
	bad.seal()
	return bad
}

func TestForgedEntries(t *testing.T) {
	m := sample()
	record := m.first(chain.KindRecord, 20)
	lines := -1
	for i := range m.rows {
		if e := m.rows[i].entry(); e.Count > 2 && e.Place == 1 {
			lines = i
		}
	}
	cases := []struct {
		name   string
		at     int
		change func(e *chain.Entry)
		want   Finding
	}{
		{"time in the id", record, func(e *chain.Entry) { e.ULID = chain.MakeULID(int64(e.ULID.Time())+1, 0, e.Index) }, Clock},
		{"time, flagged", record, func(e *chain.Entry) {
			e.ULID = chain.MakeULID(int64(e.ULID.Time())+1, 0, e.Index)
			e.Flags ^= chain.FlagClamped
		}, Clock},
		{"clamped flag", record, func(e *chain.Entry) { e.Flags ^= chain.FlagClamped }, Clock},
		{"partition", record, func(e *chain.Entry) { e.ULID = chain.MakeULID(int64(e.ULID.Time()), 7, e.Index) }, MalformedEntry},
		{"index in the id", record, func(e *chain.Entry) { e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, e.Index+1) }, MalformedEntry},
		{"seed", record, func(e *chain.Entry) { e.Seed++ }, MalformedEntry},
		{"epoch", record, func(e *chain.Entry) { e.Epoch++ }, MalformedEntry},
		{"index", record, func(e *chain.Entry) { e.Index-- }, MalformedEntry},
		{"count", lines, func(e *chain.Entry) { e.Count++ }, MalformedEntry},
		{"timestamp of a line", lines, func(e *chain.Entry) { e.Timestamp++ }, MalformedEntry},
		{"position", record, func(e *chain.Entry) { e.Position++ }, WorkspaceChainBroken},
		{"previous in workspace", record, func(e *chain.Entry) { e.PreviousInWorkspace[0] ^= 1 }, WorkspaceChainBroken},
		{"form", record, func(e *chain.Entry) { e.Code = 3 }, MalformedEntry},
		{"flags", record, func(e *chain.Entry) { e.Flags |= 1 << 9 }, Unsupported},
		{"critical TLV", record, func(e *chain.Entry) { e.Tail = []byte{0xf0, 0, 0, 0} }, Unsupported},
		{"other TLV", record, func(e *chain.Entry) { e.Tail = []byte{0x0f, 0, 0, 0} }, Forked}, // a sound ledger, but another
		{"commitment", record, func(e *chain.Entry) { e.Commitment[4] ^= 1 }, Forked},          // the marks still speak of what was there
		{"kind", m.first(chain.KindConflict, 0), func(e *chain.Entry) { e.Ref = m.rows[record].entry().Ref - 1 }, MalformedEntry},
		{"code of a control", m.first(chain.KindControl, 5), func(e *chain.Entry) { e.Code++ }, MalformedEntry},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad, at := m.forge(c.at, c.change), c.at
			if c.want == Forked && c.name == "other TLV" {
				at = firstMark(t, bad, at)
			}
			verdictAt(t, audit(t, bad, Options{}), c.want, at)
		})
	}
}

// firstMark is the first mark at or behind an index: a forger who can't sign
// can't change it, so it contradicts what was forged before it.
func firstMark(t *testing.T, m *memory, from int) int {
	t.Helper()
	for i := from; i < len(m.rows); i++ {
		if e := m.rows[i].entry(); e.Kind == chain.KindControl && e.Code == uint16(chain.ControlMark) {
			return i
		}
	}
	t.Fatal("no mark stands behind the forgery")
	return -1
}

// TestTransplanted gives a workspace a chain that began elsewhere.
func TestTransplanted(t *testing.T) {
	m := records(30)
	other := chaintest.New("other").ID
	for i := 2; i < 5; i++ {
		for _, first := range []chain.Hash{
			chain.FirstInWorkspace(other, m.rows[i].entry().Workspace), chain.FirstInWorkspace(m.id(), chain.Hash{1}), {},
		} {
			bad := m.forge(i, func(e *chain.Entry) { e.PreviousInWorkspace = first })
			r := audit(t, bad, Options{})
			verdictAt(t, r, WorkspaceChainBroken, i)
			if r.Total != 1 {
				t.Errorf("%v", details(r))
			}
		}
	}
	// A whole chain under another tag: its subjects tell, and the key if known.
	bad := m.clone()
	tag, was := chain.Hash{9}, m.rows[3].entry().Workspace
	for i := range bad.rows {
		bad.edit(i, func(e *chain.Entry) {
			if e.Workspace == was {
				e.Workspace = tag
			}
		})
	}
	bad.relink(2, false)
	bad.seal()
	mustBeClean(t, bad, Options{})
	verdictAt(t, audit(t, bad, Options{Tag: tagOf()}), WorkspaceChainBroken, 3)
}

func TestForgedControl(t *testing.T) {
	b := newBuilder("control")
	b.Record("w", "1", `{}`)
	b.Seed()
	b.Record("w", "2", `{}`)
	b.mark(nil)
	b.Record("w", "3", `{}`)
	m := b.done()
	seed, mark := 3, 5
	secret := chaintest.Secret("seed 1")
	stranger, err := chain.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	same := func(*chain.Statement) {}
	cases := []struct {
		name string
		bad  *memory
		at   int
		want Finding
	}{
		{"the same", m.restate(seed, same, secret[:], b.Keeper), -1, Clean},
		{"signed by a stranger", m.restate(seed, same, secret[:], stranger), seed, UnknownKey},
		{"signed by a key without the role", m.restate(seed, same, secret[:], b.Root), seed, UnauthorisedControl},
		{"signed by nobody", m.restate(seed, same, secret[:]), seed, UnauthorisedControl},
		{"signature", m.forge(seed, func(e *chain.Entry) { e.Tail[len(e.Tail)-1] ^= 1 }), seed, BadSignature},
		{"statement", m.forge(seed, func(e *chain.Entry) { e.Tail[60] ^= 1 }), seed, BadSignature},
		{"another ledger", m.restate(seed, func(s *chain.Statement) { s.Ledger[0] ^= 1 }, secret[:], b.Keeper), seed, WrongLedger},
		{"number replayed", m.restate(seed, func(s *chain.Statement) { s.Number-- }, secret[:], b.Keeper), seed, UnauthorisedControl},
		{"number left out", m.restate(seed, func(s *chain.Statement) { s.Number++ }, secret[:], b.Keeper), seed, UnauthorisedControl},
		{"seed's number", m.restate(seed, func(s *chain.Statement) { s.Body[3]++ }, secret[:], b.Keeper), seed, UnauthorisedControl},
		{"seed's secret", m.restate(seed, same, make([]byte, 32), b.Keeper), seed, UnauthorisedControl},
		{"seed's condition", m.restate(seed, func(s *chain.Statement) { s.Size = 2 }, secret[:], b.Keeper), seed, UnauthorisedControl},
		{"seed's body", m.restate(seed, func(s *chain.Statement) { s.Body = s.Body[1:] }, secret[:], b.Keeper), seed, MalformedEntry},
		{"a second genesis", m.restate(seed, func(s *chain.Statement) { s.Type = chain.ControlGenesis }, secret[:], b.Root), seed, UnauthorisedControl},
		{"a type to come", m.restate(seed, func(s *chain.Statement) { s.Type = 15 }, secret[:], b.Keeper), seed, Unsupported},
		{"mark's root", m.restate(mark, func(s *chain.Statement) { s.Root[0] ^= 1 }, nil, b.Keeper), mark, Forked},
		{"mark's size", m.restate(mark, func(s *chain.Statement) { s.Size-- }, nil, b.Keeper), mark, Forked},
		{"mark ahead of itself", m.restate(mark, func(s *chain.Statement) { s.Size = 6 }, nil, b.Keeper), mark, Forked},
		{"mark of more than there is", m.restate(mark, func(s *chain.Statement) { s.Size = 1000 }, nil, b.Keeper), mark, Forked},
		{"mark's heads", m.restate(mark, func(s *chain.Statement) { s.Body[9] ^= 1 }, nil, b.Keeper), mark, WorkspaceChainBroken},
		{"mark's body", m.restate(mark, func(s *chain.Statement) { s.Body = s.Body[1:] }, nil, b.Keeper), mark, MalformedEntry},
		{"mark with a secret", m.restate(mark, same, []byte{1}, b.Keeper), mark, UnauthorisedControl},
		{"genesis signed by the keeper", m.restate(0, same, workspaceKey(), b.Keeper), 0, UnauthorisedControl},
		{"genesis with another key", m.restate(0, same, make([]byte, 32), b.Root), 0, UnauthorisedControl},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{2, 8} {
				verdictAt(t, audit(t, c.bad, Options{Chunk: chunk}), c.want, c.at)
			}
		})
	}
}

// TestForgedWeakKeys: an audit takes no key from an entry that anybody can sign for.
func TestForgedWeakKeys(t *testing.T) {
	b := newBuilder("weak keys")
	b.Record("w", "1", `{}`)
	b.Seed()
	b.Record("w", "2", `{}`)
	m := b.done()
	for name, public := range chaintest.Weak() {
		c := chain.KeyChange{Added: []chain.Key{{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: chain.RoleLedger}}}
		bad := m.restate(3, func(s *chain.Statement) { s.Type, s.Body = chain.ControlKey, c.Append(nil) }, nil, b.Root)
		t.Run(name, func(t *testing.T) { verdictAt(t, audit(t, bad, Options{}), MalformedEntry, 3) })
	}
}

func workspaceKey() []byte {
	key := chaintest.WorkspaceKey()
	return key[:]
}

// TestGap puts a gap entry where a message is missing: it is in order only when
// the message that admits it follows as a control entry.
func TestGap(t *testing.T) {
	m := records(20)
	gap := func(message uint64) *memory {
		bad := m.clone()
		e := bad.rows[8].entry()
		g := chain.Gap{Epoch: e.Epoch, First: e.Sequence, Last: e.Sequence, Message: message}
		tail := g.Append([]byte{0x80, 3, 0, 28})
		e = chain.Entry{
			Kind: chain.KindGap, Count: 1, Index: 8, Sequence: e.Sequence, ULID: e.ULID, Timestamp: e.Timestamp,
			Seed: e.Seed, Ref: chain.NoRef, Tail: tail,
		}
		bad.rows[8] = row{raw: e.Append(nil)}
		bad.relink(8, true)
		bad.seal()
		return bad
	}
	verdictAt(t, audit(t, gap(12), Options{}), UnauthorisedControl, 8)
	verdictAt(t, audit(t, gap(1000), Options{}), Clean, -1) // not folded yet: it may still come
	verdictAt(t, audit(t, gap(9), Options{}), MalformedEntry, 8)
	beside := gap(1000)
	beside.rows[8].payload = m.rows[8].payload
	verdictAt(t, audit(t, beside, Options{}), AlteredPayload, 8)
}

func TestTrailingBytes(t *testing.T) {
	m := records(20)
	for i := range m.rows {
		bad := m.clone()
		bad.rows[i].raw = append(bad.rows[i].raw, 0)
		r := audit(t, bad, Options{})
		verdictAt(t, r, TrailingBytes, i)
		short := m.clone()
		short.rows[i].raw = short.rows[i].raw[:100]
		verdictAt(t, audit(t, short, Options{}), AlteredEntry, i)
	}
	twice := m.clone()
	twice.rows = append(twice.rows[:9:9], append([]row{m.rows[4]}, m.rows[9:]...)...)
	verdictAt(t, audit(t, twice, Options{}), Reordered, 9)
	copied := m.clone()
	copied.rows[9] = m.rows[4]
	verdictAt(t, audit(t, copied, Options{}), AlteredEntry, 9)
	late := m.clone()
	late.rows = append(append(append(late.rows[:5:5], m.rows[6:15]...), m.rows[5]), m.rows[15:]...)
	verdictAt(t, audit(t, late, Options{}), Reordered, 5)
}
