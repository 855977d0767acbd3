package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// expired is a random ledger of whose first workspace some records expired, under the
// rule in entry rule, and rejections under the rule that every ledger begins with.
// What was held meanwhile was released and erased. Old records are left, and fresh is
// one that is not due.
type expired struct {
	*prooftest.Ledger
	rule, hold, release uint64
	by                  [2]uint64 // the expiries: of records, of rejections
	old                 []uint64
	fresh               uint64
	rejection           uint64 // expired under the first rule
}

func newExpired(seed uint64) *expired {
	l := &expired{Ledger: prooftest.Random(500+seed, 40, 3)}
	l.Publish("activity.ws_1._", "not JSON")
	l.rule = l.Rule(chain.Retention{Workspace: l.Tag("ws_1"), Types: "*", Period: 24 * 60 * 60})
	l.Now += int64(31 * 24 * time.Hour)
	l.MarkNow()
	var rejections, records []uint64
	for _, index := range l.Of("ws_1", l.Size()) {
		switch e := &l.Leaves[index].Entry; e.Kind {
		case chain.KindRejection:
			rejections = append(rejections, index)
		case chain.KindRecord, chain.KindConflict:
			records = append(records, index)
		}
	}
	l.Publish("activity.ws_1._", `{"id":"fresh","type":"t","actor":{"id":"u"}}`)
	l.Fold()
	l.fresh = l.Size() - 1
	held, third := records[1], len(records)/3
	var number uint64
	l.hold, number = l.Holds("ws_1", held)
	l.by[0] = l.LetGo(l.rule, "ws_1", records[2:2+third]...)
	l.release = l.Releases(number)
	l.by[1] = l.LetGo(0, "ws_1", rejections...)
	l.Erase("ws_1", held)
	l.Publish("activity.ws_1._", `{"id":"later","type":"t","actor":{"id":"u"}}`)
	l.MarkNow()
	l.Fold()
	l.old, l.rejection = records[2+third:], rejections[0]
	return l
}

// TestExpiredClean packs ranges of ledgers of which something expired. The code and
// verify.py find nothing, and both say what expired and what was erased.
func TestExpiredClean(t *testing.T) {
	var packs []brought
	var want []proof.TenantReport
	said := map[proof.NoticeName]int{}
	for seed := range uint64(2) {
		l := newExpired(seed)
		count := l.Head("ws_1", l.Size()).Count
		for first := uint64(0); first < count; first += 5 {
			for _, last := range []uint64{(first + count) / 2, count - 1} {
				b := written(t, contents(t, l.Ledger, "ws_1", l.Size(), first, last, kept))
				r := verdict(t, b, l.VKey())
				for _, n := range r.Notices {
					said[n.Notice]++
				}
				packs, want = append(packs, brought{unzipped(t, b), l.VKey()}), append(want, r)
			}
		}
	}
	if said[proof.Expired] < 4 || said[proof.Erased] < 2 {
		t.Errorf("the packs say %v", said)
	}
	for i, j := range verifyAll(t, packs) {
		names := []string{}
		for _, n := range want[i].Notices {
			names = append(names, string(n.Notice))
		}
		slices.Sort(names)
		slices.Sort(j.Notices)
		if len(j.Findings) > 0 || len(want[i].Findings) > 0 || !slices.Equal(names, j.Notices) {
			t.Fatalf("pack %d: %+v, and the code says %q and finds %+v", i, j, names, want[i].Findings)
		}
	}
}

// TestForgedExpiries has somebody who holds the ledger's key put an expiry into the
// tree that no fold would let in. Both verifiers say what is wrong with it, and nothing
// of one that is lawful.
func TestForgedExpiries(t *testing.T) {
	day := uint64(24 * 60 * 60)
	var packs []brought
	var did []string
	mine := func(l *expired, r chain.Retention) chain.Retention { r.Workspace = l.Tag("ws_1"); return r }
	for _, c := range []struct {
		name string
		// before is done, by the fold, before the expiry; it returns the rule's entry.
		before  func(l *expired) uint64
		fresh   bool // it takes the record that is not due
		signers []chain.Signer
		without bool // the rule's line is left out
		want    proof.Finding
	}{
		{name: "lawful", want: proof.Clean},
		{name: "of a fresh record", fresh: true, want: proof.ExpiredEarly},
		{name: "without its rule", without: true, want: proof.ExpiredEarly},
		{name: "by the operator's key", signers: []chain.Signer{prooftest.New("keeper").Operator}, want: proof.UnauthorisedControl},
		{name: "by a stranger", signers: []chain.Signer{chaintest.Signer("stranger")}, want: proof.UnknownKey},
		{name: "under the first rule, of a record", before: func(*expired) uint64 { return 0 }, want: proof.ExpiredEarly},
		{name: "under an entry that is no rule", before: func(l *expired) uint64 { return l.rule - 1 }, want: proof.ExpiredEarly},
		{name: "under a rule to the second", before: func(l *expired) uint64 {
			ms := l.Leaves[l.Size()-1].Entry.ULID.Time() - l.Leaves[l.old[0]].Entry.ULID.Time()
			return l.Rule(mine(l, chain.Retention{Types: "*", Period: ms / 1000}))
		}, want: proof.Clean},
		{name: "a second before its time", before: func(l *expired) uint64 {
			ms := l.Leaves[l.Size()-1].Entry.ULID.Time() - l.Leaves[l.old[0]].Entry.ULID.Time()
			return l.Rule(mine(l, chain.Retention{Types: "*", Period: ms/1000 + 60}))
		}, want: proof.ExpiredEarly},
		{name: "under a rule that ended", before: func(l *expired) uint64 {
			l.Rule(mine(l, chain.Retention{Types: "*", Period: chain.RuleEnds}))
			return l.rule
		}, want: proof.ExpiredEarly},
		{name: "under a rule that was replaced", before: func(l *expired) uint64 {
			l.Rule(mine(l, chain.Retention{Types: "*", Period: 2 * day}))
			return l.rule
		}, want: proof.ExpiredEarly},
		{name: "under a rule that keeps for ever", before: func(l *expired) uint64 {
			return l.Rule(mine(l, chain.Retention{Types: "app.*", Period: chain.KeepForever}))
		}, want: proof.ExpiredEarly},
		{name: "under another workspace's rule", before: func(l *expired) uint64 {
			return l.Rule(chain.Retention{Workspace: l.Tag("ws_2"), Types: "*", Period: day})
		}, want: proof.ExpiredEarly},
		{name: "under a rule for rejections", before: func(l *expired) uint64 {
			return l.Rule(mine(l, chain.Retention{Rejections: true, Period: day}))
		}, want: proof.ExpiredEarly},
		{name: "under a wider rule", before: func(l *expired) uint64 {
			return l.Rule(chain.Retention{Everywhere: true, Types: "*", Period: day})
		}, want: proof.ExpiredEarly},
		{name: "under a narrower rule", before: func(l *expired) uint64 {
			return l.Rule(mine(l, chain.Retention{Types: "app.renamed", Period: day}))
		}, want: proof.Clean},
		{name: "of what is held", before: func(l *expired) uint64 {
			l.Holds("ws_1", l.old[0])
			return l.rule
		}, want: proof.HoldViolated},
		{name: "of the workspace, which is held", before: func(l *expired) uint64 {
			l.Holds("ws_1")
			return l.rule
		}, want: proof.HoldViolated},
		{name: "beside what is held", before: func(l *expired) uint64 {
			l.Holds("ws_1", l.fresh)
			l.Holds("ws_2")
			return l.rule
		}, want: proof.Clean},
		{name: "of what was released", before: func(l *expired) uint64 {
			_, number := l.Holds("ws_1", l.old[0])
			l.Releases(number)
			return l.rule
		}, want: proof.Clean},
		{name: "of what is held once more", before: func(l *expired) uint64 {
			_, number := l.Holds("ws_1", l.old[0])
			l.Holds("ws_1", l.old[0])
			l.Releases(number)
			return l.rule
		}, want: proof.HoldViolated},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newExpired(1)
			rule, target := l.rule, l.old[0]
			if c.before != nil {
				rule = c.before(l)
				l.MarkNow()
			}
			if c.fresh {
				target = l.fresh
			}
			if c.signers == nil {
				c.signers = []chain.Signer{l.Keeper}
			}
			by := l.ForgeErase("ws_1", target, func(s *chain.Statement, e *chain.Erase) {
				s.Type, e.Role, e.Reason, e.Rule = chain.ControlExpire, chain.RoleLedger, chain.EraseExpired, rule
			}, c.signers...)
			b := packed(t, l)
			if c.without {
				b.Erasures = slices.DeleteFunc(b.Erasures, func(line proof.Line) bool { return line.Index == rule })
			}
			files := b.files(t)
			r := verdict(t, zipped(t, files), l.VKey())
			if c.want == proof.Clean && (r.Verdict != proof.Clean || !slices.Contains(notices(&r, proof.Expired), by)) ||
				c.want != proof.Clean && !slices.ContainsFunc(r.Findings, func(f proof.Found) bool { return f.Finding == c.want && *f.Index == by }) {
				t.Errorf("verdict %s, want %s at %d: %+v %+v", r.Verdict, c.want, by, r.Findings, r.Notices)
			}
			packs, did = append(packs, brought{files, l.VKey()}), append(did, c.name)
		})
	}
	agree(t, packs, did)
}

// packed are the parts of a pack of all of the first workspace.
func packed(t *testing.T, l *expired) *parts {
	t.Helper()
	c := contents(t, l.Ledger, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, kept)
	return taken(t, unzipped(t, unjudged(t, c)), l.VKey())
}

// unjudged writes a pack, whatever is wrong with it.
func unjudged(t *testing.T, c *pack.Contents) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pack.Write(&b, c, new(proof.TenantReport)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForgedLawAgrees has statements of every kind that govern expiries, well signed,
// and with bodies that are broken at random. Both verifiers must read the same of them.
func TestForgedLawAgrees(t *testing.T) {
	var packs []brought
	var did []string
	l := newExpired(2)
	for _, at := range []uint64{l.rule, l.hold, l.release, l.by[0], l.by[1]} {
		entry := l.Leaves[at].Entry
		control, err := entry.Control()
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(10) {
			r := rand.New(rand.NewPCG(n, at))
			s := control.Statement
			s.Body = slices.Clone(s.Body)
			if n > 0 {
				s.Body[r.IntN(len(s.Body))] ^= 1 << r.IntN(8)
			}
			if n > 7 {
				s.Body = s.Body[:r.IntN(len(s.Body))]
			}
			if n == 7 {
				s.Type = chain.ControlRetention
			}
			signer := l.Operator
			if s.Type == chain.ControlExpire {
				signer = l.Keeper
			}
			forged := newExpired(2)
			by := forged.ForgeControl(s, signer)
			b := packed(t, forged)
			line := proof.NewLine(&forged.Leaves[by], false)
			line.Proof = proof.Hashes64(forged.Inclusion(by, forged.Size()))
			if len(b.Erasures) == 0 || b.Erasures[len(b.Erasures)-1].Index != by {
				b.Erasures = append(b.Erasures, line)
			}
			packs, did = append(packs, brought{b.files(t), b.VKey}), append(did, fmt.Sprintf("%s %x", s.Type, s.Body))
		}
	}
	agree(t, packs, did)
}

// TestExpiredVerdictsAgree breaks packs of ledgers of which something expired at
// random, as [TestErasedVerdictsAgree] does.
func TestExpiredVerdictsAgree(t *testing.T) {
	var packs []brought
	var did []string
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 17))
		l := newExpired(seed % 2)
		count := l.Head("ws_1", l.Size()).Count
		clean := written(t, contents(t, l.Ledger, "ws_1", l.Size(), uint64(r.IntN(2)), count-1-uint64(r.IntN(2)), kept))
		b := taken(t, unzipped(t, clean), l.VKey())
		way := spoilErasures(b, l.by, r)
		if r.IntN(3) == 0 {
			way += ", " + spoil(l.Ledger, b, r)
		}
		packs, did = append(packs, brought{b.files(t), b.VKey}), append(did, way)
	}
	agree(t, packs, did)
}

// TestForgedRules has the wrong keys, and the wrong roles, rule and release.
func TestForgedRules(t *testing.T) {
	var packs []brought
	var did []string
	for _, c := range []struct {
		name    string
		at      func(l *expired) uint64 // the statement's first entry
		keeper  bool                    // signed by the ledger's key
		change  func(body []byte)
		want    proof.Finding
		another bool // of another ledger
	}{
		{name: "a rule in another role", at: func(l *expired) uint64 { return l.rule }, change: func(body []byte) { body[1] = byte(chain.RoleEraser) }, want: proof.UnauthorisedControl},
		{name: "a rule by the ledger's key", at: func(l *expired) uint64 { return l.rule }, keeper: true, want: proof.UnauthorisedControl},
		{name: "a rule of another ledger", at: func(l *expired) uint64 { return l.rule }, another: true, want: proof.WrongLedger},
		{name: "a rule for a time that is none", at: func(l *expired) uint64 { return l.rule }, change: func(body []byte) { body[len(body)-8] = 1 }, want: proof.MalformedEntry},
		{name: "a rule once more", at: func(l *expired) uint64 { return l.rule }, want: proof.Clean},
		{name: "a hold by the ledger's key", at: func(l *expired) uint64 { return l.hold }, keeper: true, want: proof.UnauthorisedControl},
		{name: "a hold of a scope that is none", at: func(l *expired) uint64 { return l.hold }, change: func(body []byte) { body[32] = 3 }, want: proof.MalformedEntry},
		{name: "a hold of what is gone", at: func(l *expired) uint64 { return l.hold }, want: proof.Clean},
		{name: "a release by the ledger's key", at: func(l *expired) uint64 { return l.release }, keeper: true, want: proof.UnauthorisedControl},
		{name: "a release of what was released", at: func(l *expired) uint64 { return l.release }, want: proof.Clean},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newExpired(1)
			control, err := l.Leaves[c.at(l)].Entry.Control()
			if err != nil {
				t.Fatal(err)
			}
			s, signer := control.Statement, l.Operator
			s.Body, s.Number = slices.Clone(s.Body), l.Control
			if c.change != nil {
				c.change(s.Body)
			}
			if c.another {
				s.Ledger[0] ^= 1
			}
			if c.keeper {
				signer = l.Keeper
			}
			by := l.ForgeControl(s, signer)
			b := packed(t, l)
			if last := b.Erasures[len(b.Erasures)-1].Index; last != by {
				t.Fatalf("the last line is of entry %d", last)
			}
			files := b.files(t)
			r := verdict(t, zipped(t, files), l.VKey())
			if r.Verdict != c.want || c.want != proof.Clean && *r.Findings[0].Index != by {
				t.Errorf("verdict %s, want %s at %d: %+v", r.Verdict, c.want, by, r.Findings)
			}
			packs, did = append(packs, brought{files, l.VKey()}), append(did, c.name)
		})
	}
	agree(t, packs, did)
}

// TestExpiredReport: a pack's page says of each payload that is gone by what it went.
func TestExpiredReport(t *testing.T) {
	l := newExpired(1)
	c := contents(t, l.Ledger, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, kept)
	for _, f := range unzipped(t, written(t, c)) {
		if f.Name != pack.Report {
			continue
		}
		for _, want := range []string{
			fmt.Sprintf("Expired by control entry %d of ", l.by[0]), fmt.Sprintf(", under the retention rule in entry %d<", l.rule),
			", under the retention rule in entry 0<", "Erased by the operator under control entry ",
		} {
			if !bytes.Contains(f.Data, []byte(want)) {
				t.Errorf("the report lacks %q", want)
			}
		}
	}
}
