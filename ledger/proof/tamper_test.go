package proof

import (
	"fmt"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// verdictAt says how an audit must end: the verdict, and the first bad index, -1
// when no entry is at fault.
func verdictAt(t testing.TB, r Report, want Finding, index int) {
	t.Helper()
	got := -1
	if r.FirstBad != nil {
		got = int(*r.FirstBad)
	}
	if r.Verdict != want || got != index {
		t.Errorf("%s at %d, want %s at %d\n%s\n%+v", r.Verdict, got, want, index, r.Sentence, details(r))
	}
}

// soundOnes runs a test of tampering over ledgers of every kind of entry, and of
// every kind of control entry.
func soundOnes(t *testing.T, tamper func(t *testing.T, m *memory)) {
	t.Run("sample", func(t *testing.T) { tamper(t, sample()) })
	t.Run("torn", func(t *testing.T) { tamper(t, torn()) })
}

func details(r Report) (out []string) {
	for _, f := range r.Findings {
		at := "-"
		if f.Index != nil {
			at = fmt.Sprint(*f.Index)
		}
		out = append(out, fmt.Sprintf("\n  %s at %s: %s", f.Finding, at, f.Detail))
	}
	return out
}

// TestFlippedHeader flips bits of every byte of every entry's header: one finding
// each, at that entry.
func TestFlippedHeader(t *testing.T) { soundOnes(t, flippedHeader) }

func flippedHeader(t *testing.T, m *memory) {
	for i := range m.rows {
		for offset := range chain.HeaderSize {
			if i%16 > 1 && i < len(m.rows)-2 && offset%16 != i%16 {
				continue // a sixteenth of the offsets is enough of most entries
			}
			for _, bit := range []byte{1 << (offset % 8)} {
				bad := m.clone()
				bad.rows[i].raw[offset] ^= bit
				r := audit(t, bad, Options{Workers: 1})
				want := AlteredEntry
				if offset >= 3 && offset <= 7 && r.Verdict == Unsupported {
					want = Unsupported // version, kind, grade, flags
				}
				verdictAt(t, r, want, i)
				if r.Total != 1 {
					t.Errorf("entry %d, offset %d, bit %#x: %d findings, want 1: %v", i, offset, bit, r.Total, details(r))
				}
				if t.Failed() {
					t.Fatalf("entry %d, offset %d, bit %#x", i, offset, bit)
				}
			}
		}
	}
}

// TestFlippedTail flips each byte behind a header.
func TestFlippedTail(t *testing.T) { soundOnes(t, flippedTail) }

func flippedTail(t *testing.T, m *memory) {
	for i := range m.rows {
		for offset := chain.HeaderSize; offset < len(m.rows[i].raw); offset += 1 + i%3 {
			bad := m.clone()
			bad.rows[i].raw[offset] ^= 4
			r := audit(t, bad, Options{Workers: 1})
			if r.Verdict != Unsupported || r.FirstBad == nil || *r.FirstBad != uint64(i) {
				verdictAt(t, r, AlteredEntry, i)
			}
			if t.Failed() {
				t.Fatalf("entry %d, offset %d", i, offset)
			}
		}
	}
}

func TestSwapped(t *testing.T) {
	t.Run("sample", func(t *testing.T) { swapped(t, sample(), 1, 2, 9, 1000) })
	t.Run("torn", func(t *testing.T) { swapped(t, torn(), 1, 9) })
}

func swapped(t *testing.T, m *memory, apart ...int) {
	for _, keyed := range []bool{false, true} {
		for i := 1; i < len(m.rows); i++ {
			for _, by := range apart {
				k := i + by
				if by == 1000 {
					k = len(m.rows) - 1
				}
				if k >= len(m.rows) || k <= i {
					continue
				}
				whole, entries, renumbered := m.clone(), m.clone(), m.clone()
				whole.rows[i], whole.rows[k] = whole.rows[k], whole.rows[i]
				entries.rows[i].raw, entries.rows[k].raw = entries.rows[k].raw, entries.rows[i].raw
				renumbered.rows[i], renumbered.rows[k] = renumbered.rows[k], renumbered.rows[i]
				for _, at := range []int{i, k} {
					renumbered.edit(at, func(e *chain.Entry) {
						e.Index = uint64(at)
						e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(at))
					})
				}
				for name, bad := range map[string]*memory{"whole": whole, "entries": entries, "renumbered": renumbered} {
					bad.keyed = keyed
					r := audit(t, bad, Options{})
					want := Reordered
					if name == "renumbered" && !sameMessage(m, i, k) && (r.Verdict == AlteredEntry || beginsEpoch(m, i) || beginsEpoch(m, k)) {
						continue // where the stream's order can't tell, they are two altered entries
					}
					verdictAt(t, r, want, i)
					if k == i+1 && name == "whole" && r.Total != 1 {
						t.Errorf("%d findings, want 1: %v", r.Total, details(r))
					}
					for _, f := range r.Findings {
						if f.Finding != want {
							t.Errorf("%v", details(r))
							break
						}
					}
					if t.Failed() {
						t.Fatalf("%s: %d and %d swapped, keyed %v", name, i, k, keyed)
					}
				}
			}
		}
	}
}

func beginsEpoch(m *memory, i int) bool {
	return i > 0 && m.rows[i].entry().Epoch != m.rows[i-1].entry().Epoch
}

func sameMessage(m *memory, i, k int) bool {
	a, b := m.rows[i].entry(), m.rows[k].entry()
	return k == i+1 || a.Sequence == b.Sequence
}

func TestRemoved(t *testing.T) { soundOnes(t, removed) }

func removed(t *testing.T, m *memory) {
	n := len(m.rows)
	for i := 1; i < n-1; i++ {
		for _, count := range []int{1, 2, 7} {
			if i+count >= n {
				continue
			}
			cut := func() *memory {
				bad := m.clone()
				bad.rows = append(bad.rows[:i:i], bad.rows[i+count:]...)
				return bad
			}
			placed, keyed, numbered, ends := cut(), cut(), cut(), cut()
			keyed.keyed, keyed.keys = true, append(keyed.keys[:i:i], keyed.keys[i+count:]...)
			for at := i; at < n-count; at++ {
				numbered.edit(at, func(e *chain.Entry) {
					e.Index = uint64(at)
					e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(at))
				})
			}
			ends.head.Size = uint64(n - count) // the head's size is changed as well
			for name, bad := range map[string]*memory{"by place": placed, "by key": keyed, "renumbered": numbered, "head's size changed": ends} {
				for _, chunk := range []int{2, 64} {
					r := audit(t, bad, Options{Chunk: chunk})
					if name == "head's size changed" && i >= n-count-1 {
						continue // the last entry left says that it is behind the end
					}
					verdictAt(t, r, MissingEntry, i)
					if r.Total != 1 && name != "head's size changed" {
						t.Errorf("%d findings, want 1: %v", r.Total, details(r))
					}
					if t.Failed() {
						t.Fatalf("%s: %d removed at %d of %d, chunks of %d", name, count, i, n, chunk)
					}
				}
			}
		}
	}
}

// TestRebuilt removes and swaps entries and rebuilds all that is hashed: only the
// stream's order tells.
func TestRebuilt(t *testing.T) {
	m := records(40)
	for i := 5; i < 38; i++ {
		bad := m.clone()
		bad.rows = append(bad.rows[:i:i], bad.rows[i+1:]...)
		bad.relink(i, true)
		bad.seal()
		verdictAt(t, audit(t, bad, Options{}), Hole, i)

		bad = m.clone()
		bad.rows = append(bad.rows[:i:i], bad.rows[i+1:]...)
		for at := i; at < len(bad.rows); at++ {
			bad.edit(at, func(e *chain.Entry) {
				e.Index = uint64(at)
				e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(at))
			})
		}
		linkGlobally(bad, i)
		bad.seal()
		// With the positions left as they were, the workspace's chain tells too.
		r := audit(t, bad, Options{})
		if r.Verdict != MissingEntry && r.Verdict != WorkspaceChainBroken && i < 36 {
			verdictAt(t, r, MissingEntry, i)
		}

		bad = m.clone()
		bad.rows[i], bad.rows[i+1] = bad.rows[i+1], bad.rows[i]
		bad.relink(i, true)
		bad.seal()
		verdictAt(t, audit(t, bad, Options{}), Reordered, i)
	}
}

// linkGlobally makes the chain over all entries follow again, and no other.
func linkGlobally(m *memory, from int) {
	for i := from; i < len(m.rows); i++ {
		m.edit(i, func(e *chain.Entry) { e.Previous = chain.LeafHash(m.rows[i-1].raw) })
	}
}

// records is a ledger of n records in three workspaces.
func records(n int) *memory {
	b := newBuilder("records")
	for i := range n {
		b.Record(fmt.Sprint("w", i%3), fmt.Sprint(i), `{}`)
	}
	return b.done()
}

// TestTail cuts the end off: in the store alone, and with a head that fits, which
// only a remembered head tells.
func TestTail(t *testing.T) {
	m := sample()
	for size := 1; size < len(m.rows); size++ {
		bad := m.clone()
		bad.rows = bad.rows[:size]
		verdictAt(t, audit(t, bad, Options{}), Truncated, size)
		bad.seal()
		verdictAt(t, audit(t, bad, Options{Remembered: &m.head}), Truncated, size)
		mustBeClean(t, bad, Options{Chunk: 8})
		// The whole ledger, audited by the shorter one's head.
		verdictAt(t, audit(t, m, Options{Remembered: &bad.head}), Clean, -1)
		grown := m.clone()
		grown.head = bad.head
		verdictAt(t, audit(t, grown, Options{}), TrailingBytes, size)
	}
	huge := m.clone()
	huge.head.Size = 1 << 63
	verdictAt(t, audit(t, huge, Options{}), Truncated, len(m.rows))
}

// TestForked audits another history under a remembered head.
func TestForked(t *testing.T) {
	m := records(40)
	for i := 5; i < 40; i++ {
		bad := m.clone()
		bad.edit(i, func(e *chain.Entry) { e.Grade = chain.GradeVerified })
		bad.relink(i+1, false)
		bad.seal()
		mustBeClean(t, bad, Options{})
		verdictAt(t, audit(t, bad, Options{Remembered: &m.head}), Forked, -1)
		// Without the nodes and the head: the ledger was written anew from i on.
		half := bad.clone()
		half.nodes, half.head = m.nodes, m.head
		verdictAt(t, audit(t, half, Options{}), RootMismatch, i&^1)
	}
}

func TestHead(t *testing.T) {
	for _, n := range []int{1, 2, 40, 41} {
		m := records(n)
		root, last, both := m.clone(), m.clone(), m.clone()
		root.head.Root[5] ^= 1
		last.head.LastLeaf[5] ^= 1
		both.head.Root[5] ^= 1
		both.head.LastLeaf[5] ^= 1
		for _, bad := range []*memory{root, last, both} {
			verdictAt(t, audit(t, bad, Options{}), RootMismatch, -1)
		}
	}
}

func TestNodes(t *testing.T) {
	m := records(77)
	for level, nodes := range m.nodes {
		for n := range nodes {
			bad := m.clone()
			bad.nodes[level][n][3] ^= 1
			r := audit(t, bad, Options{})
			verdictAt(t, r, TreeDamaged, n<<level)
			if r.Total != 1 {
				t.Errorf("node (%d, %d): %v", level, n, details(r))
			}
			short := m.clone()
			short.nodes[level] = short.nodes[level][:n]
			verdictAt(t, audit(t, short, Options{}), TreeDamaged, n<<level)
		}
	}
	both := m.clone()
	both.nodes[1][20][0] ^= 1
	both.rows[60].raw[30] ^= 1
	r := audit(t, both, Options{})
	if r.Verdict != AlteredEntry || r.Total != 2 || *r.FirstBad != 40 {
		t.Errorf("a node and an entry: %v", details(r))
	}
}

// TestTwoAltered alters neighbours and far entries together.
func TestTwoAltered(t *testing.T) {
	m := records(60)
	for i := 2; i < 59; i++ {
		for _, k := range []int{i + 1, i + 2, i + 5, 61} {
			if k > 61 || k <= i {
				continue
			}
			bad := m.clone()
			bad.rows[i].raw[190] ^= 1
			bad.rows[k].raw[58] ^= 1
			r := audit(t, bad, Options{})
			verdictAt(t, r, AlteredEntry, i)
			if r.Total != 2 || r.Findings[1].Finding != AlteredEntry || *r.Findings[1].Index != uint64(k) {
				t.Errorf("%d and %d: %v", i, k, details(r))
			}
		}
	}
}

// TestTwiceAltered alters an entry in what it says of the one before and elsewhere:
// the one before is not to blame.
func TestTwiceAltered(t *testing.T) {
	m := records(60)
	for i := 1; i < 61; i++ {
		bad := m.clone()
		bad.rows[i].raw[90] ^= 1 // previous leaf
		bad.rows[i].raw[50] ^= 1 // timestamp
		r := audit(t, bad, Options{})
		verdictAt(t, r, AlteredEntry, i)
		if r.Total != 1 {
			t.Errorf("entry %d: %v", i, details(r))
		}
	}
}

// TestSwappedBehindDamage swaps entries right behind damaged ones, which hide
// where the stream stood.
func TestSwappedBehindDamage(t *testing.T) {
	for want, damage := range map[Finding]func(raw []byte){
		AlteredEntry: func(raw []byte) { raw[190] ^= 1 },
		Unsupported:  func(raw []byte) { raw[3] = 9 },
	} {
		bad := records(60)
		damage(bad.rows[20].raw)
		damage(bad.rows[30].raw)
		bad.rows[21], bad.rows[31] = bad.rows[31], bad.rows[21]
		r := audit(t, bad, Options{})
		if r.Total != 4 || r.Findings[0].Finding != Reordered || *r.Findings[0].Index != 21 || *r.Findings[1].Index != 31 ||
			r.Findings[2].Finding != want || *r.FirstBad != 20 {
			t.Errorf("%s: %v", want, details(r))
		}
	}
}

// TestGenesisDamaged alters entry 0 where it doesn't say which ledger this is:
// what holds the ledger's id can be checked all the same.
func TestGenesisDamaged(t *testing.T) {
	for _, offset := range []int{5, 50, 90} {
		bad := records(20)
		bad.rows[0].raw[offset] ^= 1
		bad.payload(9, func(p *chain.Payload) { p.Salt[0] ^= 1 })
		r := audit(t, bad, Options{})
		verdictAt(t, r, AlteredEntry, 0)
		if r.Total != 2 || r.Findings[1].Finding != AlteredPayload || *r.Findings[1].Index != 9 {
			t.Errorf("offset %d: %v", offset, details(r))
		}
	}
}

func TestWrongLedger(t *testing.T) {
	m := records(5)
	r := audit(t, m, Options{Ledger: chaintest.New("other").ID})
	verdictAt(t, r, WrongLedger, 0)
	verdictAt(t, audit(t, m, Options{Ledger: m.id()}), Clean, -1)
	rest := m.clone()
	rest.rows = rest.rows[2:]
	rest.seal()
	if r := audit(t, rest, Options{}); r.Verdict == Clean {
		t.Error("a ledger without a genesis is clean")
	}
}
