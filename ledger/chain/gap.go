package chain

// Gap is what TLV 0x8003 says of messages that are lost: their range, and where
// the signed message that admits it stands.
type Gap struct {
	Epoch       uint32
	First, Last uint64 // stream sequences, both lost
	Message     uint64 // stream sequence of the gap message
}

// Append appends the gap's bytes to dst.
func (g *Gap) Append(dst []byte) []byte {
	dst = be32(dst, g.Epoch)
	dst = be64(dst, g.First)
	dst = be64(dst, g.Last)
	return be64(dst, g.Message)
}

// gap reads what [Gap.Append] printed.
func (c *cursor) gap() Gap {
	return Gap{Epoch: c.u32(), First: c.u64(), Last: c.u64(), Message: c.u64()}
}

// Gap returns what a gap entry's tail says.
func (e *Entry) Gap() (Gap, error) {
	b, _ := e.TLV(TagGap)
	c := cursor{b: b}
	g := c.gap()
	if !c.done() || g.Last < g.First || g.First != e.Sequence || g.Message <= g.Last || g.Epoch != e.Epoch {
		return g, malformed("gap entry %d: range %d–%d, message %d, sequence %d", e.Index, g.First, g.Last, g.Message, e.Sequence)
	}
	return g, nil
}

// GapNotice is a control statement, signed by the operator role, that admits that
// messages of the stream are lost. It stands in the stream behind them, and is
// folded twice: at the hole ([State.FoldGap]), and where it stands itself. Its
// condition is the ledger at the hole: its size, and the root there.
type GapNotice struct {
	Epoch       uint32
	First, Last uint64 // stream sequences, both lost
}

// Append appends the notice's body to dst.
func (g *GapNotice) Append(dst []byte) []byte {
	dst = be32(dst, g.Epoch)
	dst = be64(dst, g.First)
	return be64(dst, g.Last)
}

// ParseGapNotice parses exactly what [GapNotice.Append] prints.
func ParseGapNotice(body []byte) (GapNotice, error) {
	c := cursor{b: body}
	g := GapNotice{Epoch: c.u32(), First: c.u64(), Last: c.u64()}
	if !c.done() || g.Last < g.First {
		return g, malformed("gap notice of %d bytes", len(body))
	}
	return g, nil
}

// SealGap frames and signs a gap notice as the body of a control message. size and
// root are the ledger's at the hole; words say why, are kept beside the entry, and may be
// erased.
func SealGap(ledger Hash, control, size uint64, root Hash, g GapNotice, words string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlGap,
		Size: size, Root: root, Body: g.Append(nil),
	}, []byte(words), signers...)
}

// Gap returns what a message says that would admit a gap, judged by nobody; ok is
// false for any other message.
func (m *Message) Gap() (g GapNotice, ok bool) {
	s, ok := m.statement(ControlGap)
	if !ok {
		return g, false
	}
	g, err := ParseGapNotice(s.Body)
	return g, err == nil
}

// gapAt is a gap that was folded.
type gapAt struct {
	Gap
	index    uint64
	admitted bool // its notice, where it stands itself, was accepted
}

// append appends the gap as a stored state holds it.
func (g *gapAt) append(dst []byte) []byte {
	dst = g.Append(be64(dst, g.index))
	if g.admitted {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// gapAt reads what append printed.
func (c *cursor) gapAt() gapAt {
	g := gapAt{index: c.u64(), Gap: c.gap()}
	switch c.u8() {
	case 0:
	case 1:
		g.admitted = true
	default:
		c.bad = true
	}
	return g
}
