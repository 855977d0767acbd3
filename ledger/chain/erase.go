package chain

import (
	"fmt"
	"iter"
	"strings"

	"annals/activity"
)

// EraseReason says in a code why payloads are erased: statements hold no words.
type EraseReason uint16

// The reasons that have a name. Others are allowed; 0 is an expiry's, and no erasure's.
const (
	EraseExpired  EraseReason = 0 // its retention rule lets it go
	EraseRequest  EraseReason = 1 // whoever the records are about asked for it
	EraseOrder    EraseReason = 2 // a court or an authority ordered it
	EraseMistake  EraseReason = 3 // it should not have been recorded
	EraseSecret   EraseReason = 4 // a password or a key stands in it
	EraseContract EraseReason = 5 // the workspace's contract has ended
)

var eraseReasons = map[EraseReason]string{
	EraseExpired: "expired",
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
func (e *Erase) Count() uint64 { return Count(e.Ranges) }

// Indexes yields the indexes that the statement selects, ascending.
func (e *Erase) Indexes() iter.Seq[uint64] { return Indexes(e.Ranges) }

// Covers reports whether the statement selects an index.
func (e *Erase) Covers(index uint64) bool { return Covers(e.Ranges, index) }

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

// ParseErase parses exactly what [Erase.Append] prints of an erasure that keeps its
// own rules.
func ParseErase(body []byte) (Erase, error) {
	e, err := parseSelecting("erasure", body)
	switch {
	case err != nil:
		return e, err
	case e.Role != RoleEraser && e.Role != RoleOperator:
		return e, malformed("erasure: by the role %s, which erases nothing", e.Role)
	case e.Reason == EraseExpired:
		return e, malformed("erasure: it gives no reason")
	case e.Rule != NoRef:
		return e, malformed("erasure: it names a rule, as only an expiry does")
	}
	return e, nil
}

// parseSelecting parses what an erasure and an expiry have in common, which is all
// but who signs it and why.
func parseSelecting(what string, body []byte) (Erase, error) {
	c := cursor{b: body}
	e := Erase{
		Role: Role(c.u16()), Reason: EraseReason(c.u16()), Rule: c.u64(), Workspace: c.hash(),
		Part: c.u16(), Parts: c.u16(), Selection: c.hash(), Leaves: c.hash(),
	}
	e.Ranges = c.ranges()
	switch {
	case !c.done():
		return e, malformed("%s of %d bytes", what, len(body))
	case e.Part >= e.Parts:
		return e, malformed("%s: part %d of %d", what, e.Part, e.Parts)
	case e.Parts == 1 && e.Selection != e.Leaves:
		return e, malformed("%s: its one part is not all that it selects", what)
	case len(e.Ranges) == 0:
		return e, malformed("%s: it selects nothing", what)
	}
	return e, nil
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
	Millis    int64 // of its ULID
	// Type is the record's, for an expiry to be held to its rule. Gone says that
	// nothing is beside the entry any more, so that nobody knows.
	Type string
	Gone bool
}

// Selected returns what the fold has to know of the entry when it is selected.
func (e *Entry) Selected(leaf Hash) Selected {
	return Selected{Kind: e.Kind, Code: e.Code, Workspace: e.Workspace, Leaf: leaf, Millis: int64(e.ULID.Time())}
}

// Type returns the type of a leaf's record; "" of what has none, or is erased.
func (l *Leaf) Type() string {
	if !l.Entry.Kind.HasRecord() {
		return ""
	}
	var keys activity.Keys
	if l.Scan(&keys) && keys.Type != "" {
		return strings.Clone(keys.Type)
	}
	return l.Subject().Type
}

// Erasable reports whether the payload may be erased by itself. A duplicate's goes
// with its record; the genesis and the seeds hold what the ledger is made with; the
// stream of an epoch is known again by the message that began it; and of marks,
// trims and expiries nothing is said in words.
func (s *Selected) Erasable() bool {
	switch s.Kind {
	case KindRecord, KindConflict, KindRejection:
		return true
	case KindControl:
		switch ControlType(s.Code) {
		case ControlKey, ControlGap, ControlErase, ControlRetention, ControlHold, ControlRelease, ControlCatalogue:
			return true
		}
	}
	return false
}

// Selecting is what the fold has to be told of before it can judge a statement.
type Selecting struct {
	Workspace Hash
	Ranges    []Range
	Types     bool // an expiry, of which the records' types are to be told as well
}

// Selects returns what an erasure, an expiry or a hold in a control message selects,
// which passes for one and was judged by nobody.
func (p *Prepared) Selects() (s Selecting, ok bool) {
	if st, ok := p.message.statement(ControlErase); ok {
		e, err := ParseErase(st.Body)
		return Selecting{Workspace: e.Workspace, Ranges: e.Ranges}, err == nil
	}
	if st, ok := p.message.statement(ControlExpire); ok {
		e, err := ParseExpiry(st.Body)
		return Selecting{Workspace: e.Workspace, Ranges: e.Ranges, Types: true}, err == nil
	}
	if st, ok := p.message.statement(ControlHold); ok {
		h, err := ParseHold(st.Body)
		return Selecting{Workspace: h.Workspace, Ranges: h.Ranges}, err == nil
	}
	return s, false
}

// Erases returns what a control entry erases, by an erasure or an expiry; ok is false
// for any other entry.
func (e *Entry) Erases() (erase Erase, ok bool) {
	parse := ParseErase
	switch {
	case e.Kind != KindControl:
		return erase, false
	case ControlType(e.Code) == ControlExpire:
		parse = ParseExpiry
	case ControlType(e.Code) != ControlErase:
		return erase, false
	}
	c, err := e.Control()
	if err != nil {
		return erase, false
	}
	erase, err = parse(c.Statement.Body)
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

// selects checks that what an erasure, an expiry or a hold selects is what its signer
// saw and may go, and that no hold keeps it. millis is the time of its entry.
func (s *State) selects(st *Statement, millis int64, known *Known) error {
	if st.Type == ControlHold {
		h, err := ParseHold(st.Body)
		if err != nil || h.Ranges == nil {
			return err
		}
		return s.saw(h.Workspace, h.Ranges, h.Leaves, known)
	}
	parse := ParseErase
	if st.Type == ControlExpire {
		parse = ParseExpiry
	}
	e, err := parse(st.Body) // it parsed before
	if err == nil {
		err = s.saw(e.Workspace, e.Ranges, e.Leaves, known)
	}
	if err == nil && st.Type == ControlExpire {
		err = s.lets(&e, millis, known)
	}
	if err == nil {
		err = s.held(e.Workspace, e.Ranges, known)
	}
	return err
}

// saw checks that entries are what a statement's signer saw, and may be erased.
func (s *State) saw(tag Hash, ranges []Range, leaves Hash, known *Known) error {
	got, err := SelectionHash(s.ledger, tag, ranges, func(index uint64) (Hash, error) {
		selected, told := known.Selected[index]
		switch {
		case !told:
			return Hash{}, fmt.Errorf("%w: entry %d, which is selected", ErrUnknown, index)
		case selected.Workspace != tag:
			return Hash{}, refused(CodeControlBody, "entry %d is of another workspace than it says", index)
		case !selected.Erasable():
			return Hash{}, refused(CodeControlBody, "entry %d is a %s, which is not erased by itself", index, selected.Kind)
		}
		return selected.Leaf, nil
	})
	if err == nil && got != leaves {
		err = refused(CodeControlCondition, "the entries that it selects hash to %s, not to %s", got, leaves)
	}
	return err
}
