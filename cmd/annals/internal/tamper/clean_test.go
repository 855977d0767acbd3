package tamper_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

var (
	cleanRuns = flag.Int("clean", 60, "how many random ledgers TestCleanLedgers audits; continuous integration says 1000")
	cleanSeed = flag.Uint64("seed", 1, "the first of the seeds that they are drawn by")
)

// everywhere is how many of the random ledgers are audited in every medium; the
// rest in its folder.
const everywhere = 10 // one of so many

// TestCleanLedgers draws ledgers and audits them: no alarm is raised over one that
// nobody touched. Each is drawn by a seed that its name holds.
func TestCleanLedgers(t *testing.T) {
	runs := *cleanRuns
	if testing.Short() {
		runs = min(runs, 12)
	}
	for n := range runs {
		seed := *cleanSeed + uint64(n)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			b, k := drawn(t, seed)
			must := func(m medium, r proof.Report) {
				if r.Verdict != proof.Clean || r.Root != b.head.Root || r.Entries != b.head.Size {
					t.Errorf("%s: %s%s", m, r.Sentence, details(r))
				}
			}
			d := (&tampering{insider: true}).tamper(b)
			must(inFolder, auditFolder(t, b.fs, b.checkpoint(), d.packOf(-1).retired(), k))
			if n%everywhere != 0 {
				return
			}
			f := layTiles(b, b.head.Size, b.checkpoint())
			if err := auditAsLog(t, f, b, k); err != nil {
				t.Errorf("%s: %v", byLog, err)
			}
			f["keys.json"] = d.keys()
			dir := t.TempDir()
			f.write(t, dir)
			must(inExport, auditTiles(t, dir, k))
			must(atURL, auditTiles(t, f.serve(t), k))
			e := d.packOf(int(seed) % len(b.rows))
			if e.tag.IsZero() {
				return // no pack is of the system
			}
			p := e.lay()
			for _, r := range []proof.Report{auditPack(t, p, k), auditAsScript(t, p, k)} {
				if r.Verdict != proof.Clean {
					t.Errorf("%s: %s%s", inPack, r.Sentence, details(r))
				}
			}
		})
	}
}

// drawn is a random ledger, and what an auditor may know of it.
func drawn(t testing.TB, seed uint64) (*book, knowledge) {
	r := rand.New(rand.NewPCG(seed, 4))
	h := newHouse(t, fmt.Sprint("drawn", seed), "annals.example/drawn")
	d := drawer{house: h, r: r}
	k := knowledge{ledger: h.stream.ID}
	steps := r.IntN(60)
	if r.IntN(8) == 0 {
		steps += 300
	}
	for range steps {
		d.step()
		if r.IntN(40) == 0 {
			h.fold()
			head := h.ledger.Head()
			k.remembered = &proof.Head{Size: head.Size, Root: head.Root, LastLeaf: head.Last}
		}
	}
	b := h.book()
	// Any key that was ever in force will do, whatever came of it.
	k.vkey = vkey(b.origin, b.reigns[r.IntN(len(b.reigns))].secret)
	return b, k
}

// drawer publishes at random.
type drawer struct {
	*house
	r       *rand.Rand
	trimmed uint64
}

func (d *drawer) step() {
	r, s := d.r, d.stream
	workspace := fmt.Sprint("w", r.IntN(5))
	id := fmt.Sprint(r.IntN(12))
	data := fmt.Sprintf(`{"n":%d}`, r.IntN(2))
	switch r.IntN(20) {
	case 0: // gathered lines, some of them broken
		var lines strings.Builder
		for range r.IntN(7) {
			if lines.WriteString(`{"type":"a","id":"` + fmt.Sprint(r.IntN(12)) + `","actor":{"id":"u"},"data":` + data + `}`); r.IntN(6) == 0 {
				lines.WriteString("}")
			}
			lines.WriteString("\n")
		}
		s.Publish("activity."+workspace+"._", lines.String(), "Content-Type", chain.NDJSON)
	case 1: // a door's frame
		s.Publish("vouched."+workspace+".a", fmt.Sprintf(`{"door":{"grade":"verified","producer":"p","request_id":"%d"},"record":{"id":%q,"actor":{"id":"u"},"data":%s}}`,
			r.IntN(9), id, data))
	case 2: // rejections
		s.Publish("activity."+workspace+".a", strings.Repeat("{", r.IntN(4)))
	case 3: // one that is not kept
		if r.IntN(8) == 0 {
			s.Publish("activity."+workspace+".a", strings.Repeat("x", chain.MaxBody+1))
		}
	case 4:
		s.Seed()
	case 5:
		d.mark(nil)
	case 6:
		n := r.IntN(80)
		d.mark(func() {
			for i := range n {
				s.Record(workspace, fmt.Sprint("backlog", i), data)
			}
		})
	case 7: // a clock that jumps
		s.Now += int64(r.IntN(100)-5) * 3600e9
	case 8:
		d.trim()
	case 9: // headers, kept and not
		s.Publish("activity."+workspace+".a", `{"actor":{"id":"u"}}`, "ce-id", fmt.Sprint("  ", r.IntN(9)), "ce-id", "2", "X-Not", "kept",
			"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	case 10: // a control message that is none, or one that comes a second time
		if r.IntN(2) == 0 {
			s.Publish("annals.control.seed", "garbage")
			return
		}
		for _, m := range s.Messages {
			if m.Subject == chain.ControlSeed.Subject() {
				s.Publish(m.Subject, string(m.Body))
				return
			}
		}
	case 11:
		s.Publish("vouched._system.access.added", `{"door":{"grade":"verified","producer":"p"},"record":{"actor":{"type":"system"}}}`)
	case 12:
		if r.IntN(3) == 0 {
			d.gap(1+r.Uint64N(5), func() { s.Record(workspace, id, data) })
		}
	case 13:
		if r.IntN(4) == 0 {
			d.epoch()
			d.trimmed = 0
		}
	case 14:
		if r.IntN(4) == 0 {
			d.rotate(uint8(r.IntN(2)))
		}
	default:
		s.Record(workspace, id, data)
	}
}

// trim publishes a trim that speaks of the ledger as it stands.
func (d *drawer) trim() {
	d.fold()
	head := d.ledger.Head()
	through := d.trimmed + 1 + d.r.Uint64N(5)
	if through+1 >= head.State.Sequence {
		return
	}
	d.stream.Trim(head.Size, head.Root, through, map[string]uint64{"a": head.State.Sequence, "b": head.State.Sequence})
	d.trimmed = through
}
