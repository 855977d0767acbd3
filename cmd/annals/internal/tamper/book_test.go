package tamper_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// row is one entry, with what stands beside it.
type row struct {
	raw     []byte
	payload *chain.Payload
	filed   chain.Hash // the workspace that the keeper knows it to be of, whatever it says
}

// entry parses the row's bytes, also where they break a rule.
func (r *row) entry() chain.Entry {
	e, err := chain.ParseEntry(r.raw)
	if err != nil && string(e.Append(nil)) != string(r.raw) {
		panic(err)
	}
	return e
}

func (r *row) control() (chain.Control, error) {
	e := r.entry()
	return e.Control()
}

// book is a ledger that was written, to be tampered with. Nothing in it changes
// by itself: what hashes to what after a change is [book.relink]'s and
// [book.seal]'s to say, as a forger would.
type book struct {
	id     chain.Hash
	origin string
	rows   []row
	nodes  map[int][]chain.Hash // by level; level 0 is what the tiles say of the leaves
	head   proof.Head
	tag    func(string) chain.Hash
	reigns []reign
	fs     *vfs.MemFS       // the folder that it was read from
	tree   hashes           // of nodes, as tlog orders them; made when it is needed
	token  proof.JudgeToken // of its timestamp authority, where it has one
	other  *book            // another ledger of the same keeper, where there is one
}

// book folds what is left and reads the folder back.
func (h *house) book() *book {
	h.t.Helper()
	h.fold()
	b := &book{id: h.ledger.ID(), origin: h.stream.Settled.Origin, tag: h.ledger.Tag, reigns: h.reigns, fs: h.fs}
	src := h.ledger.Source()
	var err error
	if b.head, err = src.Head(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	for leaf, err := range src.Leaves(context.Background(), 0, b.head.Size) {
		if err != nil {
			h.t.Fatal(err)
		}
		r := row{raw: slices.Clone(leaf.Raw)}
		r.filed = chain.Hash(r.raw[112:])
		if leaf.Payload != nil {
			r.payload = leaf.Payload.Clone()
		}
		b.rows = append(b.rows, r)
	}
	honest := b.head
	b.seal()
	if b.head != honest {
		h.t.Fatalf("the tests' own tree has head %+v, the ledger %+v", b.head, honest)
	}
	if err := errors.Join(src.Close(), h.ledger.Close()); err != nil {
		h.t.Fatal(err)
	}
	return b
}

// clone is a copy that can be tampered with.
func (b *book) clone() *book {
	c := *b
	c.tree = nil
	c.rows = slices.Clone(b.rows)
	for i := range c.rows {
		c.rows[i].raw = slices.Clone(c.rows[i].raw)
	}
	c.nodes = map[int][]chain.Hash{}
	for level, nodes := range b.nodes {
		c.nodes[level] = slices.Clone(nodes)
	}
	return &c
}

// seal computes nodes and head anew from the rows.
func (b *book) seal() {
	leaves := make([]chain.Hash, len(b.rows))
	for i := range b.rows {
		leaves[i] = chain.LeafHash(b.rows[i].raw)
	}
	b.head = proof.Head{Size: uint64(len(leaves)), Root: rootOf(leaves)}
	if n := len(leaves); n > 0 {
		b.head.LastLeaf = leaves[n-1]
	}
	b.nodes, b.tree = map[int][]chain.Hash{0: leaves}, nil
	for level, below := 1, leaves; len(below) > 1; level++ {
		up := make([]chain.Hash, len(below)/2)
		for i := range up {
			up[i] = nodeHash(below[2*i], below[2*i+1])
		}
		b.nodes[level], below = up, up
	}
}

// relink makes every hash from row from on follow again, as a forger would who
// rewrites the chain; indexes and positions too when asked.
func (b *book) relink(from int, numbers bool) {
	type end struct {
		count uint64
		leaf  chain.Hash
	}
	ends := map[chain.Hash]end{}
	previous := chain.FirstPrevious(b.id)
	for i := range b.rows {
		e := b.rows[i].entry()
		w, ok := ends[e.Workspace]
		if !ok {
			w.leaf = chain.FirstInWorkspace(b.id, e.Workspace)
		}
		if i >= from {
			e.Previous, e.PreviousInWorkspace = previous, w.leaf
			if numbers {
				e.Index, e.Position = uint64(i), w.count
				e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(i))
			}
			b.rows[i].raw = e.Append(nil)
		}
		previous = chain.LeafHash(b.rows[i].raw)
		ends[e.Workspace] = end{w.count + 1, previous}
	}
}

// edit changes an entry in place, and nothing else.
func (b *book) edit(i int, change func(e *chain.Entry)) {
	e := b.rows[i].entry()
	change(&e)
	b.rows[i].raw = e.Append(nil)
}

// forge changes an entry and makes every hash after it follow.
func (b *book) forge(i int, change func(e *chain.Entry)) {
	b.edit(i, change)
	b.relink(i+1, false)
	b.seal()
}

// payload changes a copy of what stands beside an entry.
func (b *book) payload(i int, change func(p *chain.Payload)) {
	p := b.rows[i].payload.Clone()
	change(p)
	b.rows[i].payload = p
}

// restate replaces a control entry's statement, signatures and payload, and makes
// every hash after it follow.
func (b *book) restate(i int, change func(s *chain.Statement), signers ...chain.Signer) {
	e := b.rows[i].entry()
	c, err := e.Control()
	if err != nil {
		panic(err)
	}
	private, ok := c.Secret(b.rows[i].payload.Body)
	if !ok {
		panic("the control entry's payload is not its own")
	}
	s := c.Statement
	s.Body = slices.Clone(s.Body)
	change(&s)
	body := chain.SealControl(s, private, signers...)
	b.payload(i, func(p *chain.Payload) { p.Body = body })
	b.forge(i, func(e *chain.Entry) {
		statement := s.Append(nil)
		block := body[5+len(statement) : len(body)-4-len(private)]
		e.Tail = appendTLV(appendTLV(nil, chain.TagStatement, statement), chain.TagSignatures, block)
		e.Code = uint16(s.Type)
		e.Commitment, _ = b.rows[i].payload.Commitment(b.id, e, nil)
	})
}

func appendTLV(dst []byte, tag uint16, value []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, tag)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// first returns the first row at or behind an index that is as asked, and fails
// where there is none.
func (b *book) first(from int, is func(e *chain.Entry) bool) int {
	for i := from; i < len(b.rows); i++ {
		if e := b.rows[i].entry(); is(&e) {
			return i
		}
	}
	panic(fmt.Sprintf("no such entry from %d on", from))
}

// kind returns the first entry of a kind at or behind an index.
func (b *book) kind(kind chain.Kind, from int) int {
	return b.first(from, func(e *chain.Entry) bool { return e.Kind == kind })
}

// control returns the first control entry of a type at or behind an index.
func (b *book) control(what chain.ControlType, from int) int {
	return b.first(from, func(e *chain.Entry) bool { return e.Kind == chain.KindControl && e.Code == uint16(what) })
}
