package chain

import (
	"fmt"
	"slices"
)

// Hold is a control statement, signed by the operator, that keeps payloads: what it
// covers is neither erased nor let expire until it is released. It names nobody: who
// it is about stands in its words.
type Hold struct {
	Workspace Hash // tag of all that is held
	// Ranges are the entries that are held, as in an [Erase]; nil is the whole
	// workspace, with what is yet to come.
	Ranges []Range
	Leaves Hash // what [SelectionHash] gives of them; zeros of a whole workspace
}

// HeldBy is a hold that stands.
type HeldBy struct {
	Number    uint64 // of its statement: by it a release names it
	At        uint64 // index of its entry
	Workspace Hash
	Whole     bool // the whole workspace
}

// Holds are the holds that stand, in the order of their entries. They are never
// changed in place: states share them.
type Holds []HeldBy

// MaxHolds is how many holds may stand at a time: they are in every stored state.
const MaxHolds = 1024

const (
	holdWhole    = 1
	holdSelected = 2
)

// Append appends the statement's body to dst.
func (h *Hold) Append(dst []byte) []byte {
	dst = append(dst, h.Workspace[:]...)
	if h.Ranges == nil {
		return append(dst, holdWhole)
	}
	dst = append(dst, holdSelected)
	dst = append(dst, h.Leaves[:]...)
	return AppendRanges(dst, h.Ranges)
}

// ParseHold parses exactly what [Hold.Append] prints of a hold that keeps its own
// rules.
func ParseHold(body []byte) (Hold, error) {
	c := cursor{b: body}
	h := Hold{Workspace: c.hash()}
	switch c.u8() {
	case holdWhole:
	case holdSelected:
		h.Leaves = c.hash()
		if h.Ranges = c.ranges(); len(h.Ranges) == 0 {
			return h, malformed("hold: it selects nothing")
		}
	default:
		c.bad = true
	}
	if !c.done() {
		return h, malformed("hold of %d bytes", len(body))
	}
	return h, nil
}

// Covers reports whether the hold covers an entry under a tag.
func (h *Hold) Covers(tag Hash, index uint64) bool {
	return h.Workspace == tag && (h.Ranges == nil || Covers(h.Ranges, index))
}

// SealHold frames and signs a hold as the body of a control message. size and root are
// the ledger's as the signer saw it; words say whose sake it is for.
func SealHold(ledger Hash, control, size uint64, root Hash, h Hold, words string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlHold, Size: size, Root: root, Body: h.Append(nil),
	}, []byte(words), signers...)
}

// SealRelease frames and signs the release of the hold whose statement has a number.
func SealRelease(ledger Hash, control, hold uint64, words string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlRelease, Body: be64(nil, hold),
	}, []byte(words), signers...)
}

// ParseRelease returns the number of the hold that a release's body names.
func ParseRelease(body []byte) (hold uint64, err error) {
	c := cursor{b: body}
	if hold = c.u64(); !c.done() {
		return 0, malformed("release of %d bytes", len(body))
	}
	return hold, nil
}

// With returns the holds once another stands.
func (hs Holds) With(h HeldBy) Holds { return append(slices.Clone(hs), h) }

// Without returns the holds once the one with a number is released; ok is false where
// none has it.
func (hs Holds) Without(number uint64) (left Holds, ok bool) {
	i := slices.IndexFunc(hs, func(h HeldBy) bool { return h.Number == number })
	if i < 0 {
		return hs, false
	}
	return slices.Delete(slices.Clone(hs), i, i+1), true
}

// Holds returns the holds that stand.
func (s *State) Holds() Holds { return s.holds }

// Of returns the holds of what stands under a tag.
func (hs Holds) Of(tag Hash) (out Holds) {
	for _, h := range hs {
		if h.Workspace == tag {
			out = append(out, h)
		}
	}
	return out
}

// Hold returns what a control entry holds; ok is false for any other entry.
func (e *Entry) Hold() (h Hold, ok bool) {
	if e.Kind != KindControl || ControlType(e.Code) != ControlHold {
		return h, false
	}
	c, err := e.Control()
	if err != nil {
		return h, false
	}
	h, err = ParseHold(c.Statement.Body)
	return h, err == nil
}

// place is a hold's part of check 9.
func (s *State) place(st *Statement) error {
	h, err := ParseHold(st.Body)
	switch {
	case err != nil:
		return err
	case h.Ranges != nil && h.Ranges[len(h.Ranges)-1].To > st.Size:
		return fmt.Errorf("it selects entry %d, and speaks of a ledger of %d", h.Ranges[len(h.Ranges)-1].To-1, st.Size)
	case len(s.holds) == MaxHolds:
		return fmt.Errorf("it would be one hold more than %d", MaxHolds)
	}
	s.holds = s.holds.With(HeldBy{Number: st.Number, At: s.Size, Workspace: h.Workspace, Whole: h.Ranges == nil})
	return nil
}

// release is a release's part of check 9.
func (s *State) release(st *Statement) error {
	number, err := ParseRelease(st.Body)
	if err != nil {
		return err
	}
	holds, ok := s.holds.Without(number)
	if !ok {
		return fmt.Errorf("it releases hold %d, and none of that number stands", number)
	}
	s.holds = holds
	return nil
}

// held is check 12: that nothing which an erasure or an expiry selects is held.
func (s *State) held(tag Hash, ranges []Range, known *Known) error {
	for _, by := range s.holds.Of(tag) {
		if by.Whole {
			return refused(CodeHeld, "hold %d, in entry %d, keeps the whole workspace", by.Number, by.At)
		}
		h, told := known.Holds[by.At]
		if !told {
			return fmt.Errorf("%w: what the hold in entry %d covers", ErrUnknown, by.At)
		}
		for kept := range Shared(h.Ranges, ranges) {
			return refused(CodeHeld, "hold %d, in entry %d, keeps entry %d", by.Number, by.At, kept.From)
		}
	}
	return nil
}

func (hs Holds) append(dst []byte) []byte {
	dst = be32(dst, len(hs))
	for _, h := range hs {
		dst = be64(dst, h.Number)
		dst = be64(dst, h.At)
		dst = append(dst, h.Workspace[:]...)
		whole := byte(holdSelected)
		if h.Whole {
			whole = holdWhole
		}
		dst = append(dst, whole)
	}
	return dst
}

// holds reads what [Holds.append] printed.
func (c *cursor) holds() (hs Holds) {
	for range c.u32() {
		h := HeldBy{Number: c.u64(), At: c.u64(), Workspace: c.hash()}
		whole := c.u8()
		h.Whole = whole == holdWhole
		if whole != holdWhole && whole != holdSelected {
			c.bad = true
		}
		if c.bad {
			break
		}
		hs = append(hs, h)
	}
	return hs
}
