package proposal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// scene is a ledger with two records and three erasers, of whom two have to sign.
type scene struct {
	*chaintest.Stream
	log        *chaintest.Log
	a, b, c    chain.Signer
	size       uint64
	root       chain.Hash
	statements []chain.Statement
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{Stream: chaintest.NewKeyed("proposal"), a: chaintest.Signer("a"), b: chaintest.Signer("b"), c: chaintest.Signer("c")}
	s.Record("ws_7", "1", "1")
	s.Record("ws_7", "2", "2")
	s.ChangeKeys(chain.KeyChange{
		Added:      []chain.Key{s.a.Public(chain.RoleEraser), s.b.Public(chain.RoleEraser), s.c.Public(chain.RoleEraser)},
		Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
	}, "", s.Root)
	var err error
	if s.log, err = chaintest.NewLog(s.Messages[0]); err != nil {
		t.Fatal(err)
	}
	s.fold(t)
	s.size = s.log.State.Size
	s.root, _ = s.log.At(s.size)
	e := chaintest.Select(s.log, "ws_7", 2)
	s.statements = []chain.Statement{{Type: chain.ControlErase, Size: s.size, Root: s.root, Body: e.Append(nil)}}
	return s
}

// fold folds what the stream has and the ledger has not.
func (s *scene) fold(t testing.TB) {
	t.Helper()
	if err := s.log.Fold(s.Messages[s.log.State.Sequence:], func(int) int { return 1 }); err != nil {
		t.Fatal(err)
	}
	s.Control = s.log.State.Control
}

func (s *scene) proposed(t testing.TB, numbers uint64) *Proposal {
	t.Helper()
	told := Told{Workspace: "ws_7", Select: "user=u1", Words: "by Erin\nticket 12"}
	p, err := New(Run{s.ID, s.log.State.Control, numbers}, "annals.example/proposal", told, s.statements...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// copied is a proposal as somebody else reads it.
func copied(t testing.TB, p *Proposal) *Proposal {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	q, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func sign(t testing.TB, p *Proposal, signers ...chain.Signer) *Proposal {
	t.Helper()
	for i, s := range signers {
		if err := p.Sign(s, fmt.Sprint("officer ", i)); err != nil {
			t.Fatal(err)
		}
	}
	return copied(t, p)
}

// TestFolds: what is signed for a run of numbers is folded under whichever is due, with
// the signatures that two people made apart, and its words beside it.
func TestFolds(t *testing.T) {
	for later := range 4 {
		s := newScene(t)
		p := s.proposed(t, 3)
		mine, yours := copied(t, p), copied(t, p)
		sign(t, mine, s.a)
		sign(t, yours, s.b)
		if err := mine.Merge(yours); err != nil {
			t.Fatal(err)
		}
		for range later { // the ledger's own come first
			s.Seed()
		}
		s.fold(t)
		number := s.log.State.Control
		if later == 3 {
			if number < p.Number+p.Numbers {
				t.Fatal("the run isn't over")
			}
			continue // there is nothing that was signed for it
		}
		body, err := mine.message(0, number, mine.Tally(s.log.State.Roster()).inForce())
		if err != nil {
			t.Fatal(err)
		}
		s.Publish(chain.ControlErase.Subject(), string(body))
		s.fold(t)
		e := s.log.Entries[len(s.log.Entries)-1]
		if e.Entry.Kind != chain.KindControl || e.Entry.Code != uint16(chain.ControlErase) {
			t.Fatalf("%d later: %s of code %d", later, e.Entry.Kind, e.Entry.Code)
		}
		if !bytes.HasSuffix(e.Payload.Body, []byte("by Erin\nticket 12")) {
			t.Error("its words are not beside it")
		}
		if _, gone := s.log.Gone(2); !gone {
			t.Error("nothing was erased")
		}
	}
}

// TestTally: who counts.
func TestTally(t *testing.T) {
	s := newScene(t)
	gone, stranger := chaintest.Signer("gone"), chaintest.Signer("stranger")
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{gone.Public(chain.RoleEraser)}}, "", s.Root)
	s.ChangeKeys(chain.KeyChange{Reason: chain.Revocation, Removed: []chain.Hash{gone.Public(0).ID()}}, "", s.Root)
	s.fold(t)
	type signers = []chain.Signer
	for _, c := range []struct {
		name                   string
		signers                signers
		counted, besides, left int
		missing                int
	}{
		{"nobody", nil, 0, 0, 0, 3},
		{"one", signers{s.a}, 1, 0, 0, 2},
		{"two", signers{s.a, s.b}, 2, 0, 0, 1},
		{"all", signers{s.a, s.b, s.c}, 3, 0, 0, 0},
		{"one, and one that was revoked", signers{s.a, gone}, 1, 0, 1, 2},
		{"one, and a stranger", signers{s.a, stranger}, 1, 0, 1, 2},
		{"one, and the operator", signers{s.a, s.Operator}, 1, 1, 0, 2},
		{"two, one revoked and the operator", signers{gone, s.b, s.Operator, s.c}, 2, 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sign(t, s.proposed(t, 2), c.signers...)
			got := p.Tally(s.log.State.Roster())
			if len(got.Counted) != c.counted || len(got.Besides) != c.besides || len(got.Left) != c.left || len(got.Missing) != c.missing || got.Need != 2 {
				t.Errorf("%+v", got)
			}
			says := strings.Join(got.Says(func(chain.Hash) string { return "" }), "\n")
			if !strings.Contains(says, fmt.Sprintf("signed   %d of 2", c.counted)) {
				t.Error(says)
			}
			if err := got.Err(); (err == nil) != (c.counted >= 2) || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%d of 2", c.counted)) {
				t.Error(err)
			}
			// The fold agrees, of a message with the signatures that are in force.
			body, err := p.message(0, s.log.State.Control, got.inForce())
			if err != nil {
				t.Fatal(err)
			}
			var refused *chain.ControlError
			err = chain.CheckControl(&s.log.State, body)
			if c.counted >= 2 && err != nil || c.counted < 2 && (!errors.As(err, &refused) || !errors.Is(err, chain.ErrRole)) {
				t.Errorf("the fold: %v", err)
			}
		})
	}
}

// TestSameKeyTwice: a key counts once, however often its holder signs.
func TestSameKeyTwice(t *testing.T) {
	s := newScene(t)
	p := s.proposed(t, 2)
	other := copied(t, p)
	sign(t, p, s.a)
	if err := p.Sign(s.a, "again"); !errors.Is(err, ErrSigned) {
		t.Error(err)
	}
	if err := other.Sign(s.a, "by another name"); err != nil {
		t.Fatal(err)
	}
	if err := p.Merge(other); err != nil || len(p.Signatures) != 1 {
		t.Error(len(p.Signatures), err)
	}
	p.Signatures = append(p.Signatures, other.Signatures[0])
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(b); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
}

// TestTampered: a file that says what its statements don't, or whose signatures are over
// something else, is refused wherever it is read.
func TestTampered(t *testing.T) {
	other := newScene(t)
	other.statements[0].Body = func() []byte {
		e := chaintest.Select(other.log, "ws_7", 3)
		return e.Append(nil)
	}()
	fresh := func() *Proposal { s := newScene(t); return sign(t, s.proposed(t, 3), s.a, s.b) }
	for _, c := range []struct {
		name   string
		tamper func(p *Proposal)
		want   error
	}{
		{"as it is", func(*Proposal) {}, nil},
		{"other words", func(p *Proposal) { p.Says[0] = strings.Replace(p.Says[0], "1 entry", "2 entries", 1) }, ErrWords},
		{"no words", func(p *Proposal) { p.Says = nil }, ErrWords},
		{"another statement under the words", func(p *Proposal) { p.Statements[0].Body = other.statements[0].Body }, ErrWords},
		{"another statement, with its words", func(p *Proposal) {
			p.Statements[0].Body, p.Says = other.statements[0].Body, other.proposed(t, 3).Says
		}, ErrSignature},
		{"another reason, with its words", func(p *Proposal) {
			p.Statements[0].Body[3]++
			p.Says[0] = strings.Replace(p.Says[0], "reason request", "reason order", 1)
		}, ErrSignature},
		{"another size, with its words", func(p *Proposal) {
			p.Statements[0].Size--
			p.Says[0] = strings.Replace(p.Says[0], "was at 5", "was at 4", 1)
		}, ErrSignature},
		{"another workspace told", func(p *Proposal) { p.Told.Workspace = "ws_8" }, ErrSignature},
		{"another question told", func(p *Proposal) { p.Told.Select = "user=u2" }, ErrSignature},
		{"other words told", func(p *Proposal) { p.Told.Words = "by Mallory" }, ErrSignature},
		{"another origin", func(p *Proposal) { p.Origin += "/x" }, ErrSignature},
		{"another ledger", func(p *Proposal) { p.Ledger[0] ^= 1 }, ErrSignature},
		{"other numbers", func(p *Proposal) { p.Number++ }, ErrSignature},
		{"a longer run", func(p *Proposal) {
			p.Numbers++
			for i := range p.Signatures {
				all := p.Signatures[i].Signatures
				all[0] = append(all[0], all[0][:64]...)
			}
		}, ErrSignature},
		{"another name", func(p *Proposal) { p.Signatures[0].Name = "Mallory" }, ErrSignature},
		{"another's key", func(p *Proposal) { p.Signatures[0].Public = p.Signatures[1].Public }, ErrFile},
		{"another's key, with its id", func(p *Proposal) {
			p.Signatures = p.Signatures[:1]
			stranger := chaintest.Signer("stranger").Public(0)
			p.Signatures[0].Public, p.Signatures[0].Key = stranger.Public, stranger.ID()
		}, ErrSignature},
		{"the last signature flipped", func(p *Proposal) { p.Signatures[1].Signatures[0][3*64-1] ^= 1 }, ErrSignature},
		{"the signatures of two numbers swapped", func(p *Proposal) {
			all := p.Signatures[0].Signatures[0]
			p.Signatures[0].Signatures[0] = slices.Concat(all[64:128], all[:64], all[128:])
		}, ErrSignature},
		{"a signature short", func(p *Proposal) { p.Signatures[0].Signatures[0] = p.Signatures[0].Signatures[0][:128] }, ErrFile},
		{"no signatures of a statement", func(p *Proposal) { p.Signatures[0].Signatures = nil }, ErrFile},
		{"the consent taken away", func(p *Proposal) { p.Signatures[0].Consent = nil }, ErrSignature},
		{"a key of small order", func(p *Proposal) {
			weak := chain.Key{Algorithm: chain.AlgorithmEd25519, Public: make([]byte, 32)}
			p.Signatures[0].Public, p.Signatures[0].Key = weak.Public, weak.ID()
		}, ErrFile},
		{"no statement", func(p *Proposal) { p.Statements, p.Says = nil, nil }, ErrFile},
		{"a type that the ledger signs", func(p *Proposal) { p.Statements[0].Type = "mark" }, ErrFile},
		{"a body that is none", func(p *Proposal) { p.Statements[0].Body = p.Statements[0].Body[1:] }, ErrFile},
		{"no numbers", func(p *Proposal) { p.Numbers = 0 }, ErrFile},
		{"too many numbers", func(p *Proposal) { p.Numbers = MaxNumbers + 1 }, ErrFile},
		{"numbers beyond all", func(p *Proposal) { p.Number = ^uint64(0) - 1 }, ErrFile},
		{"what a terminal obeys", func(p *Proposal) { p.Told.Workspace = "ws_7\x1b[2J" }, ErrFile},
		{"a name in two lines", func(p *Proposal) { p.Signatures[0].Name = "Dana\nsigned   2 of 2" }, ErrFile},
		{"a format to come", func(p *Proposal) { p.Format = "annals proposal 2" }, ErrFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fresh()
			c.tamper(p)
			b, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(b); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	b, err := fresh().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "half of it": b[:len(b)/2], "another member": bytes.Replace(b, []byte(`"origin"`), []byte(`"x": 1, "origin"`), 1),
		"a member twice": bytes.Replace(b, []byte(`"origin"`), []byte(`"numbers": 3, "origin"`), 1),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParts: an erasure's parts are proposed whole and in their order, and nothing else
// beside them.
func TestParts(t *testing.T) {
	s := newScene(t)
	parts := make([]chain.Statement, 2)
	all := chaintest.Select(s.log, "ws_7", 2, 3)
	for i := range parts {
		e := chaintest.Select(s.log, "ws_7", uint64(2+i))
		e.Part, e.Parts, e.Selection = uint16(i), 2, all.Selection
		parts[i] = chain.Statement{Type: chain.ControlErase, Size: s.size, Root: s.root, Body: e.Append(nil)}
	}
	hold := chain.Statement{Type: chain.ControlHold, Body: (&chain.Hold{Workspace: all.Workspace}).Append(nil)}
	release := chain.Statement{Type: chain.ControlRelease, Body: []byte{0, 0, 0, 0, 0, 0, 0, 5}}
	for name, c := range map[string]struct {
		statements []chain.Statement
		ok         bool
	}{
		"both":               {parts, true},
		"the first":          {parts[:1], false},
		"turned round":       {[]chain.Statement{parts[1], parts[0]}, false},
		"one twice":          {[]chain.Statement{parts[0], parts[0]}, false},
		"a hold beside them": {append(slices.Clone(parts), hold), false},
		"two holds":          {[]chain.Statement{hold, hold}, true},
		"two releases":       {[]chain.Statement{release, release}, false},
	} {
		s.statements = c.statements
		_, err := New(Run{s.ID, 5, 2}, "o", Told{}, c.statements...)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.statements = parts
	p := sign(t, s.proposed(t, 2), s.a, s.b)
	for i := range parts {
		body, err := p.message(i, s.log.State.Control, p.Signatures)
		if err != nil {
			t.Fatal(err)
		}
		s.Publish(chain.ControlErase.Subject(), string(body))
		s.fold(t)
		if _, gone := s.log.Gone(uint64(2 + i)); !gone {
			t.Errorf("part %d erased nothing", i)
		}
	}
}

// TestWords: each type that is proposed says what it does, and one to come says so here.
func TestWords(t *testing.T) {
	key := chaintest.Signer("a").Public(chain.RoleEraser)
	id := key.ID()
	for want, s := range map[string]chain.Statement{
		"hold everything of the workspace with tag 07": {Type: chain.ControlHold, Body: (&chain.Hold{Workspace: chain.Hash{7}}).Append(nil)},
		": index 3, 9 to 11; as the ledger was at 20 entries": {Type: chain.ControlHold, Size: 20, Body: (&chain.Hold{
			Workspace: chain.Hash{7}, Ranges: []chain.Range{{From: 3, To: 4}, {From: 9, To: 12}},
		}).Append(nil)},
		"release hold 5,": {Type: chain.ControlRelease, Body: []byte{0, 0, 0, 0, 0, 0, 0, 5}},
		"in every workspace that has no rule of its own": {Type: chain.ControlRetention, Body: (&chain.Retention{Role: chain.RoleEraser, Everywhere: true, Types: "*", Period: 86400}).Append(nil)},
		"revoke key " + id.String() + "; name key":       {Type: chain.ControlKey, Body: (&chain.KeyChange{Reason: chain.Revocation, Removed: []chain.Hash{id}, Added: []chain.Key{key}}).Append(nil)},
		"have 2 keys of the role eraser sign":            {Type: chain.ControlKey, Body: (&chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}}}).Append(nil)},
	} {
		if got, err := Words(&s); err != nil || !strings.Contains(got, want) {
			t.Errorf("%q, %v, want %q in it", got, err, want)
		}
	}
	for _, typ := range []chain.ControlType{chain.ControlGenesis, chain.ControlSeed, chain.ControlMark, chain.ControlExpire, chain.ControlTrim, 99} {
		if got, err := Words(&chain.Statement{Type: typ, Body: []byte{1}}); err == nil {
			t.Errorf("%s: %q", typ, got)
		}
	}
	var many []chain.Range
	for i := range uint64(50) {
		many = append(many, chain.Range{From: 2 * i, To: 2*i + 1})
	}
	if got := Runs(many); !strings.HasSuffix(got, ", 38, and 30 more ranges up to 98") {
		t.Error(got)
	}
}

// BenchmarkThreeDays signs and checks what is good for three days of a busy ledger.
func BenchmarkThreeDays(b *testing.B) {
	s := newScene(b)
	p := s.proposed(b, 7200)
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			p.Signatures = nil
			if err := p.Sign(s.a, "Dana"); err != nil {
				b.Fatal(err)
			}
		}
	})
	raw, err := p.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("check", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := Parse(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// FuzzParse: whatever is read says what it holds, and is written and read again as the
// same.
func FuzzParse(f *testing.F) {
	s := newScene(f)
	for _, p := range []*Proposal{s.proposed(f, 1), sign(f, s.proposed(f, 2), s.a)} {
		b, err := p.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		if q := copied(t, p); q.Fingerprint() != p.Fingerprint() || len(q.Signatures) != len(p.Signatures) {
			t.Error("it is read as another one")
		}
	})
}
