package chain

import (
	"fmt"
	"iter"
	"math"
)

// EraseReason says in a code why payloads are erased: statements hold no words.
type EraseReason uint16

// The reasons that have a name. Others are allowed, and 0 is none.
const (
	EraseRequest  EraseReason = 1 // whoever the records are about asked for it
	EraseOrder    EraseReason = 2 // a court or an authority ordered it
	EraseMistake  EraseReason = 3 // it should not have been recorded
	EraseSecret   EraseReason = 4 // a password or a key stands in it
	EraseContract EraseReason = 5 // the workspace's contract has ended
)

var eraseReasons = map[EraseReason]string{
	EraseRequest: "request", EraseOrder: "order", EraseMistake: "mistake", EraseSecret: "secret", EraseContract: "contract",
}

// String returns the reason's name, as the API and the docs spell it.
func (r EraseReason) String() string {
	if name, ok := eraseReasons[r]; ok {
		return name
	}
	return fmt.Sprintf("reason %d", uint16(r))
}

// ParseEraseReason is the reverse of [EraseReason.String] for the reasons that have
// a name.
func ParseEraseReason(name string) (EraseReason, error) {
	for r := EraseRequest; r <= EraseContract; r++ {
		if eraseReasons[r] == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("chain: no reason %q: use request, order, mistake, secret or contract", name)
}

// Range is a run of indexes [From, To).
type Range struct{ From, To uint64 }

// MaxSelected is how many entries one statement may select: what is destroyed is
// checked first, and the fold waits for that.
const MaxSelected = 1 << 16

// Erase is a control statement, signed by the eraser role, that has the payloads of
// entries destroyed, and with each record those of its duplicates. It names them by
// their indexes and by a hash over their leaves, and nobody by name: the entries
// stay, and whoever sees only them can tell a lawful erasure from a loss.
//
// Its condition is the ledger that its signer saw: size and root.
type Erase struct {
	Role      Role // that signs it: [Roster.Eraser]
	Reason    EraseReason
	Rule      uint64 // entry of the retention rule; [NoRef] of an erasure that is ordered
	Workspace Hash   // tag of all that is selected
	// A selection too large for one statement is split. Each part stands for itself;
	// Selection is what [SelectionHash] gives of them all, and binds them together.
	Part, Parts uint16
	Selection   Hash
	Leaves      Hash    // of what this part selects
	Ranges      []Range // ascending, apart from one another, none empty
}

// Count returns how many entries the statement selects, their duplicates not
// counted.
func (e *Erase) Count() uint64 {
	n := uint64(0)
	for _, r := range e.Ranges {
		n += r.To - r.From
	}
	return n
}

// Indexes yields the indexes that the statement selects, ascending.
func (e *Erase) Indexes() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, r := range e.Ranges {
			for index := r.From; index < r.To; index++ {
				if !yield(index) {
					return
				}
			}
		}
	}
}

// Covers reports whether the statement selects an index.
func (e *Erase) Covers(index uint64) bool {
	low, high := 0, len(e.Ranges)
	for low < high {
		if at := (low + high) / 2; e.Ranges[at].To <= index {
			low = at + 1
		} else {
			high = at
		}
	}
	return low < len(e.Ranges) && e.Ranges[low].From <= index
}

// Ranges returns the ranges of ascending indexes.
func Ranges(indexes iter.Seq[uint64]) []Range {
	var out []Range
	for index := range indexes {
		if n := len(out); n > 0 && out[n-1].To == index {
			out[n-1].To++
			continue
		}
		out = append(out, Range{index, index + 1})
	}
	return out
}

// SelectionHash is what stands for selected entries: a hash over their indexes and
// leaf hashes, in ascending order. leaf is called once for each.
func SelectionHash(ledger, workspace Hash, ranges []Range, leaf func(index uint64) (Hash, error)) (Hash, error) {
	s := NewSelection(ledger, workspace)
	for _, r := range ranges {
		for index := r.From; index < r.To; index++ {
			h, err := leaf(index)
			if err != nil {
				return Hash{}, err
			}
			s.Add(index, h)
		}
	}
	return s.Sum(), nil
}

// Append appends the statement's body to dst.
func (e *Erase) Append(dst []byte) []byte {
	dst = be16(dst, e.Role)
	dst = be16(dst, uint16(e.Reason))
	dst = be64(dst, e.Rule)
	dst = append(dst, e.Workspace[:]...)
	dst = be16(dst, e.Part)
	dst = be16(dst, e.Parts)
	dst = append(dst, e.Selection[:]...)
	dst = append(dst, e.Leaves[:]...)
	return AppendRanges(dst, e.Ranges)
}

// AppendRanges appends ranges as a statement holds them: their count, and of each
// how many indexes lie before it since the one before ended, less one (of the
// first: all), and how many it has, less one. So whatever parses is sorted, and has
// one form.
func AppendRanges(dst []byte, ranges []Range) []byte {
	dst = uvarint(dst, uint64(len(ranges)))
	after := uint64(0) // the least that the next range may begin with
	for _, r := range ranges {
		dst = uvarint(dst, r.From-after)
		dst = uvarint(dst, r.To-r.From-1)
		after = r.To + 1
	}
	return dst
}

// ParseErase parses exactly what [Erase.Append] prints of an erasure that keeps its
// own rules.
func ParseErase(body []byte) (Erase, error) {
	c := cursor{b: body}
	e := Erase{
		Role: Role(c.u16()), Reason: EraseReason(c.u16()), Rule: c.u64(), Workspace: c.hash(),
		Part: c.u16(), Parts: c.u16(), Selection: c.hash(), Leaves: c.hash(),
	}
	e.Ranges = c.ranges()
	switch {
	case !c.done():
		return e, malformed("erasure of %d bytes", len(body))
	case e.Role != RoleEraser && e.Role != RoleOperator:
		return e, malformed("erasure: by the role %s, which erases nothing", e.Role)
	case e.Reason == 0:
		return e, malformed("erasure: it gives no reason")
	case e.Rule != NoRef:
		return e, malformed("erasure: it names a rule, as only an expiry does")
	case e.Part >= e.Parts:
		return e, malformed("erasure: part %d of %d", e.Part, e.Parts)
	case e.Parts == 1 && e.Selection != e.Leaves:
		return e, malformed("erasure: its one part is not all that it selects")
	case len(e.Ranges) == 0:
		return e, malformed("erasure: it selects nothing")
	}
	return e, nil
}

// ranges reads what [AppendRanges] printed, up to [MaxSelected] entries.
func (c *cursor) ranges() (ranges []Range) {
	after, total := uint64(0), uint64(0)
	for n := c.uvarint(); n > 0 && !c.bad; n-- {
		skip, more := c.uvarint(), c.uvarint()
		if more >= MaxSelected || skip > math.MaxUint64-after-more-2 {
			c.bad = true
			return ranges
		}
		r := Range{after + skip, after + skip + more + 1}
		if total += more + 1; total > MaxSelected {
			c.bad = true
		}
		ranges = append(ranges, r)
		after = r.To + 1
		if after == 0 {
			c.bad = true
		}
	}
	return ranges
}

// SealErase frames and signs an erasure as the body of a control message. size and
// root are the ledger's as the signer saw it; who and why say so in words, are kept
// beside the entry, and may be erased.
func SealErase(ledger Hash, control, size uint64, root Hash, e Erase, words string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlErase,
		Size: size, Root: root, Body: e.Append(nil),
	}, []byte(words), signers...)
}

// Eraser returns the role that signs erasures: the eraser's, or the operator's while
// no key of that role was ever named.
func (r *Roster) Eraser() Role {
	for i := range r.spans {
		if r.spans[i].Roles&RoleEraser != 0 {
			return RoleEraser
		}
	}
	return RoleOperator
}

// Selected is what the fold has to know of an entry that a statement selects.
type Selected struct {
	Kind      Kind
	Code      uint16
	Workspace Hash
	Leaf      Hash
}

// Selected returns what the fold has to know of the entry when it is selected.
func (e *Entry) Selected(leaf Hash) Selected {
	return Selected{Kind: e.Kind, Code: e.Code, Workspace: e.Workspace, Leaf: leaf}
}

// Erasable reports whether the payload may be erased by itself. A duplicate's goes
// with its record; the genesis and the seeds hold what the ledger is made with; the
// stream of an epoch is known again by the message that began it; and of marks and
// trims nothing is said in words.
func (s *Selected) Erasable() bool {
	switch s.Kind {
	case KindRecord, KindConflict, KindRejection:
		return true
	case KindControl:
		switch ControlType(s.Code) {
		case ControlKey, ControlGap, ControlErase:
			return true
		}
	}
	return false
}

// Selects returns the statement of an erasure in a control message that passes
// for one, judged by nobody: what it selects has to be told to the fold.
func (p *Prepared) Selects() (e Erase, ok bool) {
	s, ok := p.message.statement(ControlErase)
	if !ok {
		return e, false
	}
	e, err := ParseErase(s.Body)
	return e, err == nil
}

// Erases returns what a control entry erases; ok is false for any other entry.
func (e *Entry) Erases() (erase Erase, ok bool) {
	if e.Kind != KindControl || ControlType(e.Code) != ControlErase {
		return erase, false
	}
	c, err := e.Control()
	if err != nil {
		return erase, false
	}
	erase, err = ParseErase(c.Statement.Body)
	return erase, err == nil
}

// erase checks what an erasure says by itself.
func (s *State) erase(st *Statement) error {
	e, err := ParseErase(st.Body)
	if err != nil {
		return err
	}
	if role := s.keys.Eraser(); e.Role != role {
		return fmt.Errorf("it says that the role %s signs it; here that is %s", e.Role, role)
	}
	if end := e.Ranges[len(e.Ranges)-1].To; end > st.Size {
		return fmt.Errorf("it selects entry %d, and speaks of a ledger of %d", end-1, st.Size)
	}
	s.Erasures++
	return nil
}

// selects checks that what an erasure selects is what its signer saw, and may go.
func (s *State) selects(st *Statement, known *Known) error {
	e, err := ParseErase(st.Body) // it parsed before
	if err != nil {
		return err
	}
	got, err := SelectionHash(s.ledger, e.Workspace, e.Ranges, func(index uint64) (Hash, error) {
		selected, told := known.Selected[index]
		switch {
		case !told:
			return Hash{}, fmt.Errorf("%w: entry %d, which is selected", ErrUnknown, index)
		case selected.Workspace != e.Workspace:
			return Hash{}, refused(CodeControlBody, "entry %d is of another workspace than it says", index)
		case !selected.Erasable():
			return Hash{}, refused(CodeControlBody, "entry %d is a %s, which is not erased by itself", index, selected.Kind)
		}
		return selected.Leaf, nil
	})
	if err == nil && got != e.Leaves {
		err = refused(CodeControlCondition, "the entries that it selects hash to %s, not to %s", got, e.Leaves)
	}
	return err
}
