package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"annals/ledger/chain"
)

// record is what an entry recorded, as far as duplicates and conflicts are
// compared with it.
type record struct {
	sound  bool // what stands beside the entry is what it commits to
	known  bool // and holds record bytes
	digest [sha256.Size]byte
}

// payload holds what stands beside an entry to what the entry commits to
// (docs/format/pack.md, 28 and 29).
func (w *walk) payload(s *stop, l *Line) {
	e, p := &s.entry, l.Payload()
	note := func(finding Finding, format string, args ...any) {
		if s.trouble == nil {
			s.trouble = &trouble{finding: finding, detail: fmt.Sprintf(format, args...)}
		}
	}
	if p == nil {
		kept := e.Flags&chain.FlagRetained != 0 || e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateSame
		erasure := w.v.erasedBy(e)
		if erasure != nil {
			erasure.gone++
		}
		switch {
		case w.v.Part: // the pack says how many there are, and of which that they are gone
			if l.Gone != nil && !w.v.goneBy(*l.Gone, e) {
				note(PayloadMissing, "the payload of %s entry %d is said to be gone by control entry %d, and no erasure there covers it", e.Kind, e.Index, *l.Gone)
			}
		case erasure != nil:
		case kept:
			note(PayloadMissing, "nothing stands beside %s entry %d, whose payload was kept when it was recorded", e.Kind, e.Index)
		default:
			w.notKept++
		}
		return
	}
	if erasure := w.v.erasedBy(e); erasure != nil {
		note(ErasureIncomplete, "control entry %d erases entry %d, and what was published is still shown", erasure.by, e.Index)
	}
	if w.v.ledger.IsZero() {
		w.unchecked++
		return
	}
	if h, _ := p.Commitment(w.v.ledger, e, nil); h != e.Commitment || e.Kind == chain.KindGap {
		note(AlteredPayload, "the salt, subject, headers or body beside %s entry %d are not what it commits to", e.Kind, e.Index)
		return
	}
	s.record.sound = true
	if !wellFormed(p.Envelope) {
		note(MalformedEntry, "the envelope beside %s entry %d is none", e.Kind, e.Index)
		return
	}
	subject := chain.ParseSubject(string(p.SubjectBytes()))
	if subject.Workspace != w.v.Workspace {
		note(WorkspaceChainBroken, "%s entry %d was published on %q and stands in the chain of %s", e.Kind, e.Index, p.SubjectBytes(), w.v.Workspace)
	}
	leaf := chain.Leaf{Entry: *e, Payload: p}
	if _, bytes := leaf.Record(); e.Kind.HasRecord() && bytes != nil {
		s.record.known, s.record.digest = true, sha256.Sum256(bytes)
	}
}

// wellFormed reports whether bytes are an envelope (docs/format/messages.md).
func wellFormed(b []byte) bool {
	c := cut{b: b}
	if c.byte() != 1 {
		return false
	}
	short := func() uint64 {
		if n := c.take(2); n != nil {
			return uint64(binary.BigEndian.Uint16(n))
		}
		return 0
	}
	c.take(short())
	for n := short(); n > 0 && !c.short; n-- {
		c.take(short())
		c.long()
	}
	return !c.short && len(c.b) == 0
}

// refer compares a duplicate or conflict with its original (27 and 30).
func (w *walk) refer(s *stop, by map[uint64]*stop, first uint64) {
	e, found := &s.entry, w.v.found
	if e.Kind != chain.KindDuplicate && e.Kind != chain.KindConflict {
		return
	}
	o := by[e.Ref]
	switch {
	case o == nil && (e.Ref > first || !w.v.Part):
		found.at(e.Index, FalseDuplicate, "%s entry %d names entry %d as the first record under its id, and that is none of this workspace's", e.Kind, e.Index, e.Ref)
	case o == nil || o.form != nil || o.altered:
		w.unchecked++
	case o.entry.Kind != chain.KindRecord:
		found.at(e.Index, FalseDuplicate, "%s entry %d names entry %d as the first record under its id, and that is a %s", e.Kind, e.Index, e.Ref, o.entry.Kind)
	case !s.record.sound || !o.record.sound || e.Code == chain.DuplicateUncompared:
		if s.beside {
			w.unchecked++
		}
	default:
		same := s.record.known && o.record.known && s.record.digest == o.record.digest
		if same != (e.Kind == chain.KindDuplicate) {
			found.at(e.Index, FalseDuplicate, "%s entry %d: its record bytes and those of entry %d are %s", e.Kind, e.Index, e.Ref, map[bool]string{true: "the same", false: "not the same"}[same])
		}
	}
}
