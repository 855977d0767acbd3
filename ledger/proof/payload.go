package proof

import (
	"bytes"
	"fmt"

	"annals/ledger/chain"
)

// subject is what a payload's subject says, remembered by its text.
type subject struct {
	chain.Subject
	tag   chain.Hash
	known bool // tag was given by Options.Tag
}

func (it *item) note(finding Finding, format string, args ...any) {
	if it.trouble == nil {
		it.trouble = &trouble{finding: finding, detail: fmt.Sprintf(format, args...), kind: it.entry.Kind, ref: it.entry.Ref}
	}
}

// payload checks what stands beside an entry against the entry.
func (w *worker) payload(ck *chunk, at int, leaf *chain.Leaf) {
	it, p := &ck.items[at], leaf.Payload
	e := &it.entry
	retained := e.Flags&chain.FlagRetained != 0
	if e.Kind == chain.KindGap {
		if p != nil {
			it.note(AlteredPayload, "a payload stands beside gap entry %d, which commits to none", e.Index)
		}
		return
	}
	if e.Kind == chain.KindDuplicate || e.Kind == chain.KindConflict {
		w.refer(at, leaf)
	}
	switch {
	case p == nil && w.o.EntriesOnly:
		return
	case p == nil && e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateUncompared:
		ck.notKept++ // as the rule is
		return
	case p == nil && (retained || e.Kind == chain.KindDuplicate):
		it.note(PayloadMissing, "nothing stands beside %s entry %d, whose payload was kept when it was recorded", e.Kind, e.Index)
		return
	case p == nil:
		ck.notKept++
		return
	case w.ledger == nil:
		ck.unchecked++
		return
	case p.Kept == chain.KeptNone:
		if retained || e.Kind == chain.KindDuplicate {
			it.note(PayloadMissing, "the body of %s entry %d is not there, though it was kept when the entry was recorded", e.Kind, e.Index)
			return
		}
		ck.notKept++
	case p.Kept == chain.KeptAround:
		if e.Kind != chain.KindDuplicate {
			it.note(PayloadMissing, "of the body of %s entry %d only its edges are there", e.Kind, e.Index)
		}
		return // settled once the original is read
	case p.Kept == chain.KeptWhole && e.Kind == chain.KindRecord:
		w.owed = append(w.owed, commitment{at: at}) // within its capacity, as items
		p.CommitmentTo(&w.hasher, &w.owed[len(w.owed)-1].hash, w.ledger, e)
		ck.payloads++
	default:
		h, _ := p.CommitmentIn(w.scratch, w.ledger, e, nil)
		ck.payloads++
		if h != e.Commitment {
			it.altered()
			return
		}
		w.whole(it, e, p)
	}
	w.place(it, e, p)
}

// commitment is what a record's payload commits to, recomputed together with others.
type commitment struct {
	at   int // in the chunk
	hash chain.Hash
}

// altered notes that what stands beside an entry isn't what the entry commits to.
// Nothing else that was found there counts.
func (it *item) altered() {
	it.trouble = nil
	it.note(AlteredPayload, "the salt, subject, headers or body beside %s entry %d are not what it commits to", it.entry.Kind, it.entry.Index)
}

// settleOwed compares the commitments that were recomputed with the chunk's entries.
func (w *worker) settleOwed(ck *chunk) {
	for i := range w.owed {
		if it := &ck.items[w.owed[i].at]; w.owed[i].hash != it.entry.Commitment {
			it.altered()
		}
	}
}

// whole holds an entry to its body, of which the commitment is right.
func (w *worker) whole(it *item, e *chain.Entry, p *chain.Payload) {
	retained := e.Flags&chain.FlagRetained != 0
	if e.Kind == chain.KindRejection && retained != (len(p.Body) <= chain.MaxBody) {
		it.note(MalformedEntry, "rejection entry %d: its flag does not fit a body of %d bytes", e.Index, len(p.Body))
	}
	if e.Kind != chain.KindControl {
		return
	}
	c, err := e.Control()
	if err != nil {
		return // the join says so
	}
	secret, ok := c.Secret(p.Body)
	if !ok {
		it.note(UnauthorisedControl, "control entry %d: its statement and signatures are not those of the message that it commits to", e.Index)
		return
	}
	switch c.Statement.Type {
	case chain.ControlGenesis:
		g, err := chain.ParseGenesis(c.Statement.Body)
		ok = err == nil && len(secret) == 32 && chain.KeyCommitment([32]byte(secret)) == g.KeyCommitment
	case chain.ControlSeed:
		number, commitment, err := chain.ParseSeed(c.Statement.Body)
		ok = err == nil && len(secret) == 32 && chain.SeedCommitment(number, [32]byte(secret)) == commitment
	case chain.ControlCatalogue:
		if settled, err := chain.ParseCatalogue(c.Statement.Body); err == nil { // the join says so
			_, ok = settled.Open(secret)
		}
	case chain.ControlMark, chain.ControlTrim, chain.ControlTimestamp:
		ok = len(secret) == 0
	}
	if !ok {
		it.note(UnauthorisedControl, "%s entry %d: its secret part is not what its statement commits to", c.Statement.Type, e.Index)
	}
}

// place holds an entry's kind and workspace to the subject that it was published
// on. The commitment has been checked, or can't be.
func (w *worker) place(it *item, e *chain.Entry, p *chain.Payload) {
	s := w.subject(p.SubjectBytes())
	switch e.Kind {
	case chain.KindControl:
		if s.Root != chain.RootControl {
			it.note(MalformedEntry, "control entry %d was published on %q, which is no control subject", e.Index, p.SubjectBytes())
		}
	case chain.KindRecord, chain.KindDuplicate, chain.KindConflict:
		if s.Code != 0 || s.Root == chain.RootControl {
			it.note(MalformedEntry, "%s entry %d was published on %q, where no record can stand", e.Kind, e.Index, p.SubjectBytes())
		}
	}
	system := s.Workspace == "" || s.Workspace == chain.SystemWorkspace
	if system != e.Workspace.IsZero() || s.known && s.tag != e.Workspace {
		it.note(WorkspaceChainBroken, "%s entry %d was published on %q but stands in the chain of another workspace", e.Kind, e.Index, p.SubjectBytes())
	}
}

// maxSubjects bounds the memory that remembered subjects take, not the subjects.
const maxSubjects = 16 << 10

func (w *worker) subject(text []byte) subject {
	if s, ok := w.subjects[string(text)]; ok {
		return s
	}
	s := subject{Subject: chain.ParseSubject(string(text))}
	if w.o.Tag != nil && s.Workspace != "" && s.Workspace != chain.SystemWorkspace {
		s.tag, s.known = w.o.Tag(s.Workspace), true
	}
	if len(w.subjects) >= maxSubjects {
		clear(w.subjects)
	}
	w.subjects[string(text)] = s
	return s
}

// commits reports whether a payload, with the original's record bytes put in, is
// what the entry commits to.
func (w *worker) commits(e *chain.Entry, p *chain.Payload, original []byte) bool {
	h, ok := p.CommitmentIn(w.scratch, w.ledger, e, original)
	return ok && bytes.Equal(h[:], e.Commitment[:])
}
