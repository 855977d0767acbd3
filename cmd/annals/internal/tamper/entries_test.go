package tamper_test

import (
	"slices"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// middle is a record in the middle of the ledger, with records of its workspace
// before and behind it.
func middle(b *book) int {
	return b.first(120, func(e *chain.Entry) bool { return e.Kind == chain.KindRecord })
}

// behind is the place behind that.
func behind(b *book) int { return middle(b) + 1 }

// pair is a record in the middle that the next entry follows as one.
func pair(b *book) int {
	return b.first(120, func(e *chain.Entry) bool {
		next := b.rows[e.Index+1].entry()
		return e.Kind == chain.KindRecord && next.Kind == chain.KindRecord
	})
}

// headerFields are the fields of an entry's header by the offset of their last
// byte (docs/format/entry.md).
var headerFields = []struct {
	name   string
	offset int
}{
	{"kind", 4},
	{"grade", 5},
	{"flags", 7},
	{"code", 9},
	{"place", 11},
	{"count", 13},
	{"tail length", 15},
	{"index", 23},
	{"sequence", 31},
	{"ULID", 47},
	{"timestamp", 55},
	{"epoch", 59},
	{"seed number", 63},
	{"ref", 71},
	{"position", 79},
	{"previous leaf", 80},
	{"workspace tag", 112},
	{"previous leaf in the workspace", 144},
	{"payload commitment", 176},
}

// entryTamperings change entries, and leave every hash as it was: what somebody
// does who can write, but has no patience.
func entryTamperings() (out []tampering) {
	for _, f := range headerFields {
		out = append(out, changing("a bit of the "+f.name+" flipped", middle, func(b *book, i int) {
			b.rows[i].raw[f.offset] ^= 2 // bit 0 would make a record's kind 0: unsupported
		}, proof.AlteredEntry))
	}
	return append(out,
		changing("a bit of a control statement flipped", func(b *book) int { return b.control(chain.ControlMark, 0) }, func(b *book, i int) {
			b.rows[i].raw[chain.HeaderSize+40] ^= 2
		}, proof.AlteredEntry),
		changing("version 2 claimed", middle, func(b *book, i int) { b.rows[i].raw[3] = 2 }, proof.Unsupported),
		changing("bytes behind an entry", middle, func(b *book, i int) {
			b.rows[i].raw = append(b.rows[i].raw, 0, 0)
		}, proof.TrailingBytes),
		changing("an entry cut short", middle, func(b *book, i int) { b.rows[i].raw = b.rows[i].raw[:100] }, proof.AlteredEntry),
		changing("an entry taken out", middle, func(b *book, i int) { b.rows = slices.Delete(b.rows, i, i+1) }, proof.MissingEntry),
		changing("seven entries taken out", middle, func(b *book, i int) { b.rows = slices.Delete(b.rows, i, i+7) }, proof.MissingEntry),
		changing("an entry taken out, the rest renumbered", middle, func(b *book, i int) {
			b.rows = slices.Delete(b.rows, i, i+1)
			for at := i; at < len(b.rows); at++ {
				b.edit(at, func(e *chain.Entry) {
					e.Index = uint64(at)
					e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(at))
				})
			}
		}, proof.MissingEntry),
		tenant(middle, changing("an entry put in twice", behind, func(b *book, i int) {
			b.rows = slices.Insert(b.rows, i, b.rows[i-1])
		}, proof.Reordered)),
		changing("a copy of another entry put in its place", middle, func(b *book, i int) { b.rows[i] = b.rows[i-40] }, proof.AlteredEntry),
		changing("two neighbours swapped", middle, func(b *book, i int) {
			b.rows[i], b.rows[i+1] = b.rows[i+1], b.rows[i]
		}, proof.Reordered),
		changing("two far entries swapped", middle, func(b *book, i int) {
			b.rows[i], b.rows[i+50] = b.rows[i+50], b.rows[i]
		}, proof.Reordered),
		changing("two neighbours swapped and renumbered", middle, func(b *book, i int) {
			b.rows[i], b.rows[i+1] = b.rows[i+1], b.rows[i]
			for _, at := range []int{i, i + 1} {
				b.edit(at, func(e *chain.Entry) {
					e.Index = uint64(at)
					e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(at))
				})
			}
		}, proof.Reordered),
		changing("two entries altered", middle, func(b *book, i int) {
			b.rows[i].raw[190] ^= 1
			b.rows[i+60].raw[190] ^= 1
		}, proof.AlteredEntry),
		changing("the last entry altered", func(b *book) int { return len(b.rows) - 1 }, func(b *book, i int) {
			b.rows[i].raw[190] ^= 1
		}, proof.AlteredEntry),
		changing("the genesis altered", fixed(0), func(b *book, i int) { b.rows[i].raw[50] ^= 1 }, proof.AlteredEntry),
	)
}

// ruleTamperings change entries so that every hash follows, and sign what comes
// of it: what the ledger's own keeper does. Only the format's rules tell.
func ruleTamperings() []tampering {
	edit := func(change func(e *chain.Entry)) func(b *book, i int) {
		return func(b *book, i int) { b.edit(i, change) }
	}
	line := func(b *book) int {
		return b.first(120, func(e *chain.Entry) bool { return e.Count > 2 && e.Place == 1 })
	}
	duplicate := func(b *book) int { return b.kind(chain.KindDuplicate, 120) }
	conflict := func(b *book) int { return b.kind(chain.KindConflict, 120) }
	out := []tampering{
		signed("the time in a ULID moved", middle, edit(func(e *chain.Entry) {
			e.ULID = chain.MakeULID(int64(e.ULID.Time())+1, 0, e.Index)
		}), proof.Clock),
		signed("the raw time moved by an hour", middle, edit(func(e *chain.Entry) { e.Timestamp += 3600e9 }), proof.Clock),
		signed("a time called clamped that is not", middle, edit(func(e *chain.Entry) { e.Flags ^= chain.FlagClamped }), proof.Clock),
		signed("another partition in a ULID", middle, edit(func(e *chain.Entry) {
			e.ULID = chain.MakeULID(int64(e.ULID.Time()), 7, e.Index)
		}), proof.MalformedEntry),
		signed("another index in a ULID", middle, edit(func(e *chain.Entry) {
			e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, e.Index+1)
		}), proof.MalformedEntry),
		signed("another seed's number", middle, edit(func(e *chain.Entry) { e.Seed++ }), proof.MalformedEntry),
		signed("another epoch that nothing began", middle, edit(func(e *chain.Entry) { e.Epoch++ }), proof.MalformedEntry),
		signed("another count in one of a message's lines", line, edit(func(e *chain.Entry) { e.Count++ }), proof.MalformedEntry),
		signed("a code where the kind has none", middle, edit(func(e *chain.Entry) { e.Code = 3 }), proof.MalformedEntry),
		signed("an unknown flag", middle, edit(func(e *chain.Entry) { e.Flags |= 1 << 9 }), proof.Unsupported),
		signed("an unknown critical TLV", middle, edit(func(e *chain.Entry) { e.Tail = []byte{0xf0, 0, 0, 0} }), proof.Unsupported),
		signed("a TLV that runs past the tail", middle, edit(func(e *chain.Entry) { e.Tail = []byte{0x0f, 0, 0, 9} }), proof.MalformedEntry),
		signed("TLVs out of order", middle, edit(func(e *chain.Entry) { e.Tail = []byte{0, 9, 0, 0, 0, 8, 0, 0} }), proof.MalformedEntry),
		signed("a position skipped in a workspace's chain", middle, edit(func(e *chain.Entry) { e.Position++ }), proof.WorkspaceChainBroken),
		signed("a workspace's chain that forgets its last entry", middle, edit(func(e *chain.Entry) {
			e.PreviousInWorkspace[0] ^= 1
		}), proof.WorkspaceChainBroken),
		signed("a duplicate of another record", duplicate, edit(func(e *chain.Entry) { e.Ref += 3 }), proof.FalseDuplicate),
		signed("a duplicate of another workspace's record", duplicate, edit(func(e *chain.Entry) { e.Ref++ }), proof.FalseDuplicate),
		signed("a duplicate of what is no record", duplicate, edit(func(e *chain.Entry) { e.Ref = 1 }), proof.FalseDuplicate),
		signed("a conflict with another workspace's record", conflict, edit(func(e *chain.Entry) { e.Ref++ }), proof.FalseDuplicate),
		signed("an entry that refers to one behind it", conflict, edit(func(e *chain.Entry) { e.Ref = e.Index + 5 }), proof.MalformedEntry),
	}
	whole := func(name string, do func(b *book, i int), want proof.Finding) tampering {
		t := changing(name, pair, func(b *book, i int) {
			do(b, i)
			b.relink(i, true)
			b.seal()
		}, want)
		t.insider, t.unseen = true, map[medium]string{byLog: noRules}
		return t
	}
	return append(out,
		whole("a message's entry taken out and all rehashed", func(b *book, i int) { b.rows = slices.Delete(b.rows, i, i+1) }, proof.Hole),
		whole("two messages swapped and all rehashed", func(b *book, i int) {
			b.rows[i], b.rows[i+1] = b.rows[i+1], b.rows[i]
		}, proof.Reordered),
		whole("an entry folded twice and all rehashed", func(b *book, i int) {
			b.rows = slices.Insert(b.rows, i, b.rows[i-1])
		}, proof.Reordered),
	)
}
