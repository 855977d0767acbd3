package proof

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// row is one entry of a ledger under test, with what stands beside it.
type row struct {
	raw     []byte
	payload *chain.Payload
}

func (r *row) entry() chain.Entry {
	e, err := chain.ParseEntry(r.raw)
	if err != nil && string(e.Append(nil)) != string(r.raw) {
		panic(err)
	}
	return e
}

// memory is a ledger in memory, and a [Source] of it. Rows may be keyed by index,
// as a store keeps them, or by place alone, as a file does.
type memory struct {
	rows  []row
	nodes map[int][]chain.Hash // by level
	head  Head
	keyed bool
	keys  []uint64 // when keyed: the index under which each row is stored
}

func (m *memory) Head(context.Context) (Head, error) { return m.head, nil }

func (m *memory) Leaves(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		var buffer []byte
		start := 0
		if !m.keyed {
			start = int(min(from, uint64(len(m.rows))))
		}
		for i := start; i < len(m.rows); i++ {
			key := uint64(i)
			if m.keyed {
				key = m.keys[i]
			}
			if key >= to {
				return
			}
			if key < from {
				continue
			}
			buffer = append(buffer[:0], m.rows[i].raw...)
			if !yield(chain.Leaf{Raw: buffer, Payload: m.rows[i].payload}, nil) {
				return
			}
			clear(buffer) // what was yielded is valid until the next step only
		}
	}
}

func (m *memory) Nodes(_ context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		for n := from; n < to && n < uint64(len(m.nodes[level])); n++ {
			if !yield(m.nodes[level][n], nil) {
				return
			}
		}
	}
}

// seal computes nodes and head anew from the rows, as a forger would.
func (m *memory) seal() {
	level := make([]chain.Hash, len(m.rows))
	for i := range m.rows {
		level[i] = chain.LeafHash(m.rows[i].raw)
	}
	m.head = Head{Size: uint64(len(m.rows)), Root: rootOf(level)}
	if n := len(level); n > 0 {
		m.head.LastLeaf = level[n-1]
	}
	m.nodes = map[int][]chain.Hash{}
	for l := 1; len(level) > 1; l++ {
		up := make([]chain.Hash, len(level)/2)
		for i := range up {
			up[i] = chain.Hash(tlog.NodeHash(tlog.Hash(level[2*i]), tlog.Hash(level[2*i+1])))
		}
		m.nodes[l], level = up, up
	}
	m.keys = nil
	for i := range m.rows {
		m.keys = append(m.keys, uint64(i))
	}
}

// rootOf is the root over leaf hashes, by tlog's own storage.
func rootOf(leaves []chain.Hash) chain.Hash {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i := range at {
			out[i] = stored[at[i]]
		}
		return out, nil
	})
	for i, h := range leaves {
		added, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(h), reader)
		if err != nil {
			panic(err)
		}
		stored = append(stored, added...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), reader)
	if err != nil {
		panic(err)
	}
	return chain.Hash(root)
}

// relink makes every hash from row from on follow again, as a forger would who
// rewrites the chain; positions too when asked.
func (m *memory) relink(from int, numbers bool) {
	id := m.id()
	type end struct {
		count uint64
		leaf  chain.Hash
	}
	ends := map[chain.Hash]end{}
	previous := chain.FirstPrevious(id)
	for i := range m.rows {
		e := m.rows[i].entry()
		w, ok := ends[e.Workspace]
		if !ok {
			w.leaf = chain.FirstInWorkspace(id, e.Workspace)
		}
		if i >= from {
			e.Previous, e.PreviousInWorkspace = previous, w.leaf
			if numbers {
				e.Index, e.Position = uint64(i), w.count
				e.ULID = chain.MakeULID(int64(e.ULID.Time()), 0, uint64(i))
			}
			m.rows[i].raw = e.Append(nil)
		}
		previous = chain.LeafHash(m.rows[i].raw)
		ends[e.Workspace] = end{w.count + 1, previous}
	}
}

func (m *memory) id() chain.Hash {
	e := m.rows[0].entry()
	c, err := e.Control()
	if err != nil {
		panic(err)
	}
	g, err := chain.ParseGenesis(c.Statement.Body)
	if err != nil {
		panic(err)
	}
	return g.LedgerID()
}

// edit changes an entry in place.
func (m *memory) edit(i int, change func(e *chain.Entry)) {
	e := m.rows[i].entry()
	change(&e)
	m.rows[i].raw = e.Append(nil)
}

// payload changes a copy of what stands beside an entry.
func (m *memory) payload(i int, change func(p *chain.Payload)) {
	p := m.rows[i].payload.Clone()
	change(p)
	m.rows[i].payload = p
}

// clone is a copy that can be tampered with.
func (m *memory) clone() *memory {
	c := *m
	c.rows = append([]row{}, m.rows...)
	for i := range c.rows {
		c.rows[i].raw = append([]byte{}, c.rows[i].raw...)
	}
	c.keys = append([]uint64{}, m.keys...)
	c.nodes = map[int][]chain.Hash{}
	for l, nodes := range m.nodes {
		c.nodes[l] = append([]chain.Hash{}, nodes...)
	}
	return &c
}

// first returns the first row of a kind at or behind an index, -1 when none.
func (m *memory) first(kind chain.Kind, from int) int {
	for i := from; i < len(m.rows); i++ {
		if e := m.rows[i].entry(); e.Kind == kind {
			return i
		}
	}
	return -1
}

// builder folds a stream into a ledger in memory, as a ledger does.
type builder struct {
	*chaintest.Stream
	ledger memory
	state  chain.State
	heads  map[chain.Hash]chain.Head
	leaves []chain.Hash
	keys   map[chain.Hash]uint64
	folded int
	sizes  []uint64 // of the ledger after each message
}

func newBuilder(name string) *builder {
	b := &builder{Stream: chaintest.New(name), heads: map[chain.Hash]chain.Head{}, keys: map[chain.Hash]uint64{}}
	state, _, err := chain.OpenGenesis(&b.Messages[0])
	if err != nil {
		panic(err)
	}
	b.state = state
	b.fold()
	return b
}

// fold folds what was published since.
func (b *builder) fold() {
	for ; b.folded < len(b.Messages); b.folded++ {
		p := b.state.Preparer().Prepare(b.Messages[b.folded])
		for i := range p.Items {
			key, keyed := p.Items[i].Key()
			if index, ok := b.keys[key]; keyed && ok {
				row := &b.ledger.rows[index]
				p.Items[i].Know(chain.OriginalOf(index, row.payload))
			}
		}
		known := chain.Known{Heads: b.heads}
		if size, needed := p.Condition(); needed && size <= uint64(len(b.leaves)) {
			known.Roots = map[uint64]chain.Hash{size: rootOf(b.leaves[:size])}
			known.Reached = map[uint64]uint64{size: b.reached(size)}
		}
		r, err := b.state.Fold([]chain.Prepared{p}, known)
		if err != nil {
			panic(err)
		}
		b.state = r.State
		for tag, head := range r.Heads {
			b.heads[tag] = head
		}
		for _, f := range r.Entries {
			b.ledger.rows = append(b.ledger.rows, row{raw: f.Raw, payload: f.Payload.Clone()})
			b.leaves = append(b.leaves, f.Leaf)
			if f.First {
				b.keys[f.Key] = f.Entry.Index
			}
		}
		b.sizes = append(b.sizes, uint64(len(b.ledger.rows)))
	}
}

// mark publishes a mark of the ledger as it stands now; what is published between
// now and the mark is the stream's backlog.
func (b *builder) mark(backlog func()) {
	b.fold()
	size, root, heads := uint64(len(b.leaves)), rootOf(b.leaves), chain.HeadsRoot(b.heads)
	if backlog != nil {
		backlog()
	}
	b.Mark(size, root, heads)
}

func (b *builder) done() *memory {
	b.fold()
	m := b.ledger.clone()
	m.seal()
	return m
}

// sample is a ledger with every kind of entry, in several workspaces.
func sample() *memory {
	b := newBuilder("sample")
	golden := chaintest.Golden()
	for _, m := range golden.Messages[2:] {
		if strings.HasPrefix(m.Subject, "annals.control.seed") && len(m.Body) > 20 {
			b.Seed()
			continue
		}
		var header []string
		for name, values := range m.Header {
			for _, v := range values {
				header = append(header, name, v)
			}
		}
		b.Publish(m.Subject, string(m.Body), header...)
	}
	b.mark(nil)
	for i := range 12 {
		b.Record(fmt.Sprintf("ws_%d", i%3), fmt.Sprintf("s%d", i), `{"n":1}`)
	}
	b.mark(func() { b.Record("ws_1", "between", `{}`) })
	b.Publish("activity.ws_1.app.renamed", strings.Repeat("x", chain.MaxBody+1)) // a rejection, not kept
	for i := range 5 {
		b.Record("ws_2", fmt.Sprintf("e%d", i), `{}`)
	}
	return b.done()
}

func audit(t testing.TB, m *memory, o Options) Report {
	t.Helper()
	if o.Chunk == 0 {
		o.Chunk = 8
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	r, err := Audit(context.Background(), m, o)
	if err != nil {
		t.Fatalf("audit: %v", err)
	}
	return r
}

func mustBeClean(t testing.TB, m *memory, o Options) Report {
	t.Helper()
	r := audit(t, m, o)
	if r.Verdict != Clean || r.FirstBad != nil || r.Root != m.head.Root && m.head.Size > 0 {
		t.Fatalf("a sound ledger of %d entries: %s\n%+v", m.head.Size, r.Sentence, r.Findings)
	}
	return r
}
