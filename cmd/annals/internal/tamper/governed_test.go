package tamper_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"annals/cmd/annals/internal/tsa"
	"annals/cmd/annals/internal/tsa/tsatest"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Entries of the governed ledger that tampering looks for, by what their records say.
const (
	ruledWorkspace = "ws_2"
	oldRecords     = 12 // of which the first ones expire, and one is held
	expiredRecords = 4
	heldRecord     = "old 6"
	erasedRecord   = "old 7"
	freshRecord    = "fresh"
)

// governed is a second ledger that the matrix tampers with: of rules, holds, releases,
// expiries and an erasure, and of timestamp tokens. Behind each control entry stands one
// of the workspace, so that a pack is of that.
func governed(t testing.TB) *book {
	h := newHouse(t, "governed", "annals.example/governed")
	s := h.stream
	at := map[string]uint64{}
	record := func(id string) {
		s.Record(ruledWorkspace, id, `{}`)
		h.fold()
		at[id] = h.ledger.Head().Size - 1
	}
	accepted := func(what chain.ControlType) uint64 {
		h.fold()
		index := h.ledger.Head().Size - 1
		leaf, _, err := h.ledger.Get(index)
		if err != nil || leaf.Entry.Kind != chain.KindControl || leaf.Entry.Code != uint16(what) {
			t.Fatalf("entry %d is a %s of code %d, want a %s, accepted: %v", index, leaf.Entry.Kind, leaf.Entry.Code, what, err)
		}
		record(fmt.Sprint("behind ", index))
		return index
	}
	selects := func(ids ...string) (e chain.Erase) {
		var indexes []uint64
		for _, id := range ids {
			indexes = append(indexes, at[id])
		}
		e = chain.Erase{
			Role: chain.RoleOperator, Reason: chain.EraseOrder, Rule: chain.NoRef, Workspace: h.ledger.Tag(ruledWorkspace),
			Parts: 1, Ranges: chain.Ranges(slices.Values(indexes)),
		}
		e.Leaves, _ = chain.SelectionHash(h.ledger.ID(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
			_, hash, err := h.ledger.Get(index)
			return hash, err
		})
		e.Selection = e.Leaves
		return e
	}
	for i := range oldRecords {
		record(fmt.Sprint("old ", i))
		s.Record("ws_7", fmt.Sprint("other ", i), `{}`)
	}
	// First the token: what comes before it can't be rewritten by the ledger's keys alone.
	a := tsatest.New(t, tsatest.Certificate{})
	head := h.ledger.Head()
	imprint := sha256.Sum256([]byte(checkpointText(s.Settled.Origin, proof.Head{Size: head.Size, Root: head.Root})))
	s.Timestamp(head.Size, head.Root, a.Token(t, imprint[:], time.Now()))
	accepted(chain.ControlTimestamp)
	s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: h.ledger.Tag(ruledWorkspace), Types: "*", Period: 24 * 60 * 60})
	rule := accepted(chain.ControlRetention)
	s.Now += int64(48 * time.Hour)
	h.mark(nil)
	s.Record("ws_8", "behind the mark", `{}`)
	record(freshRecord)
	head = h.ledger.Head()
	e := selects("old 8")
	s.Hold(head.Size, head.Root, chain.Hold{Workspace: e.Workspace, Ranges: e.Ranges, Leaves: e.Leaves})
	first := head.State.Control
	accepted(chain.ControlHold)
	head, e = h.ledger.Head(), selects(heldRecord)
	s.Hold(head.Size, head.Root, chain.Hold{Workspace: e.Workspace, Ranges: e.Ranges, Leaves: e.Leaves})
	accepted(chain.ControlHold)
	s.Release(first)
	accepted(chain.ControlRelease)
	var gone []string
	for i := range expiredRecords {
		gone = append(gone, fmt.Sprint("old ", i))
	}
	head, e = h.ledger.Head(), selects(gone...)
	e.Role, e.Reason, e.Rule = chain.RoleLedger, chain.EraseExpired, rule
	s.Expire(head.Size, head.Root, e)
	accepted(chain.ControlExpire)
	head = h.ledger.Head()
	s.Erase(head.Size, head.Root, selects(erasedRecord), "by Erin")
	accepted(chain.ControlErase)
	h.mark(nil)
	for i := range 3 {
		record(fmt.Sprint("late ", i))
		s.Record("ws_8", fmt.Sprint("late ", i), `{}`)
	}
	b := h.book()
	b.token = tsa.Judge(a.Roots)
	return b
}

// TestGovernedIsClean: the ledger that the rows of rules, holds and tokens begin with is
// one that every verifier calls clean, and says of what it has.
func TestGovernedIsClean(t *testing.T) {
	d := (&tampering{insider: true, at: fixed(1)}).tamper(governed(t))
	dir := t.TempDir()
	d.log().write(t, dir)
	packed := d.pack()
	for m, r := range map[string]proof.Report{
		"folder": d.auditFolder(t), "export": auditTiles(t, dir, d.knows), "pack": auditPack(t, packed, d.knows), "verify.py": auditAsScript(t, packed, d.knows),
	} {
		said := map[proof.NoticeName]int{}
		for _, n := range r.Notices {
			said[n.Notice]++
		}
		tokens := 1
		if m == "pack" || m == "verify.py" {
			tokens = 0
		}
		if r.Verdict != proof.Clean || said[proof.Expired] != 1 || said[proof.Erased] != 1 || said[proof.Timestamped] != tokens {
			t.Errorf("%s: %s %v%s", m, r.Sentence, said, details(r))
		}
	}
}

// named returns the record of the governed ledger with an id.
func (b *book) named(id string) int {
	for i := range b.rows {
		if p := b.rows[i].payload; p != nil && bytes.Contains(p.Body, fmt.Appendf(nil, `{"id":%q`, id)) {
			return i
		}
	}
	panic("no record is called " + id)
}

// signerOf returns the key that signs a control entry of the governed ledger.
func (b *book) signerOf(i int) chain.Signer {
	switch e := b.rows[i].entry(); chain.ControlType(e.Code) {
	case chain.ControlErase, chain.ControlRetention, chain.ControlHold, chain.ControlRelease:
		return signerOf(operatorKey)
	}
	return signerOf(ledgerKey)
}

// resign has every control entry from an index on say of the ledger what it is now, as
// somebody does who holds all its keys and rewrites it.
func (b *book) resign(from int) {
	for i := from; i < len(b.rows); i++ {
		e := b.rows[i].entry()
		c, err := e.Control()
		if e.Kind != chain.KindControl || err != nil || c.Statement.Size == 0 {
			continue
		}
		b.restate(i, func(s *chain.Statement) {
			s.Root = rootOf(b.nodes[0][:s.Size])
			if s.Type != chain.ControlMark {
				return
			}
			m, err := chain.ParseMark(s.Body)
			if err != nil {
				panic(err)
			}
			m.Heads = chain.HeadsRoot(b.heads(s.Size))
			s.Body = m.Append(nil)
		}, b.signerOf(i))
	}
}

// heads are the workspaces' heads at a size.
func (b *book) heads(size uint64) map[chain.Hash]chain.Head {
	heads := map[chain.Hash]chain.Head{}
	for at := range b.rows[:size] {
		tag := b.rows[at].filed
		heads[tag] = chain.Head{Count: heads[tag].Count + 1, Index: uint64(at), Leaf: b.nodes[0][at]}
	}
	return heads
}

// govern says of tamperings that they are of the governed ledger.
func govern(all ...tampering) []tampering {
	for i := range all {
		all[i].governed = true
	}
	return all
}

const noTokens = "a pack holds no timestamp tokens"

// governedTamperings are what rules, holds, releases, expiries and tokens may be made
// to say, by somebody who holds the ledger's keys, and what may be done beside them.
func governedTamperings() []tampering {
	keeper, operator, stranger := signerOf(ledgerKey), signerOf(operatorKey), signerOf(strangerKey)
	of := func(what chain.ControlType) func(*book) int { return func(b *book) int { return b.control(what, 0) } }
	rule, expiry, erasure, token := of(chain.ControlRetention), of(chain.ControlExpire), of(chain.ControlErase), of(chain.ControlTimestamp)
	release := of(chain.ControlRelease)
	held := func(b *book) int { return b.control(chain.ControlHold, b.control(chain.ControlHold, 0)+1) }
	restate := func(name string, where func(*book) int, want proof.Finding, at func(*book) int, change func(b *book, s *chain.Statement), signers ...chain.Signer) tampering {
		return tampering{
			name: name, insider: true, unseen: map[medium]string{byLog: noRules}, want: want, at: at,
			do: func(b *book) {
				i := where(b)
				signers := signers
				if signers == nil {
					signers = []chain.Signer{b.signerOf(i)}
				}
				b.restate(i, func(s *chain.Statement) { change(b, s) }, signers...)
				b.resign(i + 1)
			},
		}
	}
	// selecting has an erasure or expiry select other records, which then are gone.
	selecting := func(ids func(was []uint64, b *book) []uint64) func(b *book, s *chain.Statement) {
		return func(b *book, s *chain.Statement) {
			parse := chain.ParseErase
			if s.Type == chain.ControlExpire {
				parse = chain.ParseExpiry
			}
			e, err := parse(s.Body)
			if err != nil {
				panic(err)
			}
			indexes := ids(slices.Collect(e.Indexes()), b)
			slices.Sort(indexes)
			e.Ranges = chain.Ranges(slices.Values(indexes))
			e.Leaves, _ = chain.SelectionHash(b.id, e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
				return chain.LeafHash(b.rows[index].raw), nil
			})
			e.Selection = e.Leaves
			for _, index := range indexes {
				b.rows[index].payload = nil
			}
			s.Body = e.Append(nil)
		}
	}
	too := func(id string) func(was []uint64, b *book) []uint64 {
		return func(was []uint64, b *book) []uint64 { return append(was, uint64(b.named(id))) }
	}
	ruled := func(change func(r *chain.Retention)) func(b *book, s *chain.Statement) {
		return func(_ *book, s *chain.Statement) {
			r, err := chain.ParseRetention(s.Body)
			if err != nil {
				panic(err)
			}
			change(&r)
			s.Body = r.Append(nil)
		}
	}
	same := func(*book, *chain.Statement) {}
	// earlier is where a folder shows what is missing too, at earlier entries.
	earlier := func(t tampering) tampering {
		t.other = map[medium]proof.Finding{inFolder: t.want}
		return t
	}
	under := func(entry func(b *book) uint64) func(b *book, s *chain.Statement) {
		return func(b *book, s *chain.Statement) {
			e, err := chain.ParseExpiry(s.Body)
			if err != nil {
				panic(err)
			}
			e.Rule = entry(b)
			s.Body = e.Append(nil)
		}
	}
	first := func(b *book) int { return b.kind(chain.KindRecord, 0) } // which expired
	out := []tampering{
		restate("a record that is held expires", expiry, proof.HoldViolated, expiry, selecting(too(heldRecord))),
		restate("a record that is held is erased", erasure, proof.HoldViolated, erasure, selecting(too(heldRecord))),
		restate("a hold is said to have been on what expired", held, proof.HoldViolated, expiry, func(b *book, s *chain.Statement) {
			h, err := chain.ParseHold(s.Body)
			if err != nil {
				panic(err)
			}
			h.Ranges = nil // all of the workspace
			h.Leaves = chain.Hash{}
			s.Size, s.Root, s.Body = 0, chain.Hash{}, h.Append(nil)
		}),
		restate("a record expires before its time", expiry, proof.ExpiredEarly, expiry, selecting(too(freshRecord))),
		restate("a record expires under the rule for rejections", expiry, proof.ExpiredEarly, expiry, under(func(*book) uint64 { return 0 })),
		restate("records expire under an entry that is no rule", expiry, proof.ExpiredEarly, expiry, under(func(b *book) uint64 { return uint64(rule(b)) + 1 })),
		restate("a rule's period is made longer", rule, proof.ExpiredEarly, expiry, ruled(func(r *chain.Retention) { r.Period *= 3 })),
		restate("a rule is made one for rejections", rule, proof.ExpiredEarly, expiry, ruled(func(r *chain.Retention) { r.Types, r.Rejections = "", true })),
		restate("a rule is made another workspace's", rule, proof.ExpiredEarly, expiry, ruled(func(r *chain.Retention) { r.Workspace[0] ^= 1 })),
		restate("a rule signed by the ledger's key", rule, proof.UnauthorisedControl, rule, same, keeper),
		restate("a rule signed by a stranger", rule, proof.UnknownKey, rule, same, stranger),
		earlier(restate("an expiry signed by the operator", expiry, proof.UnauthorisedControl, expiry, same, operator)),
		earlier(restate("an erasure signed by the ledger's key", erasure, proof.UnauthorisedControl, erasure, same, keeper)),
		restate("a hold signed by the ledger's key", held, proof.UnauthorisedControl, held, same, keeper),
		restate("a release signed by the ledger's key", release, proof.UnauthorisedControl, release, same, keeper),
		restate("an expiry of other entries than its signer saw", expiry, proof.UnauthorisedControl, expiry, func(_ *book, s *chain.Statement) {
			e, err := chain.ParseExpiry(s.Body)
			if err != nil {
				panic(err)
			}
			e.Leaves[0] ^= 1
			e.Selection = e.Leaves
			s.Body = e.Append(nil)
		}),
	}
	fewer := restate("an expiry made to leave out what is gone", expiry, proof.PayloadMissing, first, selecting(func(was []uint64, _ *book) []uint64 { return was[1:] }))
	fewer.unseen = map[medium]string{byLog: noRules, atURL: headersOnly, inExport: headersOnly}
	back := changing("an expired payload put back", first, func(b *book, i int) { b.rows[i].payload = b.published(i, ruledWorkspace, "old 0", `{}`) }, proof.ErasureIncomplete)
	back.unseen = map[medium]string{atURL: headersOnly, inExport: headersOnly, byLog: headersOnly}
	// A release has the number of a hold, and no workspace.
	baseless := restate("a release of a hold that does not stand", release, proof.UnauthorisedControl, release, func(_ *book, s *chain.Statement) { s.Body[len(s.Body)-1] ^= 1 })
	baseless.unseen[inPack] = "a pack holds one workspace's holds, and a release may be of another's"
	out = append(out, baseless, fewer, back)
	// What a token is of is under its statement's signature, and the token under the
	// authority's.
	stamped := func(name string, want proof.Finding, change func(b *book, s *chain.Statement), signers ...chain.Signer) tampering {
		t := restate(name, token, want, token, change, signers...)
		t.unseen[inPack] = noTokens
		return t
	}
	return govern(append(out,
		stamped("a timestamp token changed", proof.BadTimestamp, func(_ *book, s *chain.Statement) { s.Body[len(s.Body)-3] ^= 1 }),
		stamped("a timestamp token put over fewer entries", proof.BadTimestamp, func(b *book, s *chain.Statement) {
			s.Size--
			s.Root = rootOf(b.nodes[0][:s.Size])
		}),
		stamped("a timestamp token that is none", proof.MalformedEntry, func(_ *book, s *chain.Statement) { s.Body[0] ^= 1 }),
		stamped("a timestamp token of another history", proof.UnauthorisedControl, func(_ *book, s *chain.Statement) { s.Root[0] ^= 1 }),
		stamped("a timestamp token signed by the operator", proof.UnauthorisedControl, same, operator),
	)...)
}
