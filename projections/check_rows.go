package projections

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// RowKind is a kind of rows, as a finding names it.
type RowKind string

// The kinds of rows.
const (
	RowHead      RowKind = "head"      // how far the fold has come
	RowWorkspace RowKind = "workspace" // the number that stands for a workspace
	RowList      RowKind = "list"      // the entries that have a value, of a block
	RowColumn    RowKind = "column"    // when entries occurred
	RowZone      RowKind = "zone"      // between which times a workspace's entries occurred, of a block
	RowQuarter   RowKind = "quarter"   // the first entry of a quarter of an hour
	RowForeign   RowKind = "foreign"   // of none of these kinds
)

// Fault is what is wrong with a row.
type Fault string

// The faults.
const (
	Missing Fault = "missing"
	Extra   Fault = "extra"
	Altered Fault = "altered"
)

// what is a kind of mismatches: of each the first is kept.
type what struct {
	kind  RowKind
	fault Fault
}

// Mismatch is a row that does not follow from the entries: the first of its kind
// with that fault.
type Mismatch struct {
	Row   RowKind
	Fault Fault
	Rows  uint64 // how many rows of the kind have the fault

	Workspace *chain.Hash // its tag; nil where the row is of all, or its number of no workspace
	Field     Field       // of a list, else 0
	Value     *chain.Hash // of a list: SHA-256 of its value as it stands in the key; nil for others
	Index     *uint64     // the first entry that is at fault; nil where it is none's
	Says      string      // what the row says, "" where it is missing
	Should    string      // what it should say, "" where it should not be
}

// String says it in a sentence. It holds no value of a record, only digests.
func (m *Mismatch) String() string {
	b := fmt.Sprintf("the %s row", m.Row)
	if m.Field != 0 {
		b += " of " + cmp.Or(m.Field.String(), fmt.Sprintf("field %d", m.Field))
	}
	if m.Value != nil {
		b += fmt.Sprintf(", value sha256:%s", m.Value)
	}
	if m.Workspace != nil {
		b += fmt.Sprintf(", workspace %s", m.Workspace)
	}
	switch m.Fault {
	case Missing:
		b += fmt.Sprintf(" is missing: it should say %s", m.Should)
	case Extra:
		b += fmt.Sprintf(" should not be: it says %s", m.Says)
	default:
		b += fmt.Sprintf(" says %s, and should say %s", m.Says, m.Should)
	}
	if m.Rows > 1 {
		b += fmt.Sprintf(" (the first of %d such rows)", m.Rows)
	}
	return b
}

// row is one key with what stands there and what should.
type row struct {
	key            []byte
	says, should   []byte
	missing, extra bool
}

// judge notes a row that is not as it should be. A row has one form, but what counts
// is what it says: another form that answers alike is no lie.
func (c *checking) judge(r *row) {
	if !r.missing && !r.extra && bytes.Equal(r.says, r.should) {
		return
	}
	k := what{kind: kindOf(r.key), fault: Altered}
	switch {
	case r.missing:
		k.fault = Missing
	case r.extra:
		k.fault = Extra
	case k.kind == RowList && sameList(r.says, r.should), k.kind == RowColumn && sameColumn(r.says, r.should):
		return
	}
	if known, ok := c.found[k]; ok {
		known.Rows++
		return
	}
	m := &Mismatch{Row: k.kind, Fault: k.fault, Rows: 1}
	c.found[k] = m
	c.explain(m, r)
}

// list returns the mismatches by kind and fault.
func (c *checking) list() []Mismatch {
	var out []Mismatch
	for _, m := range c.found {
		out = append(out, *m)
	}
	kinds := []RowKind{RowHead, RowWorkspace, RowList, RowColumn, RowZone, RowQuarter, RowForeign}
	faults := []Fault{Missing, Altered, Extra}
	slices.SortFunc(out, func(a, b Mismatch) int {
		return cmp.Or(
			cmp.Compare(slices.Index(kinds, a.Row), slices.Index(kinds, b.Row)),
			cmp.Compare(slices.Index(faults, a.Fault), slices.Index(faults, b.Fault)),
		)
	})
	return out
}

// kindOf reads off a key which kind its row is of.
func kindOf(key []byte) RowKind {
	switch {
	case bytes.Equal(key, headKey):
		return RowHead
	case len(key) == 1+len(chain.Hash{}) && key[0] == rowWorkspace:
		return RowWorkspace
	case len(key) == 1+8 && key[0] == rowQuarter:
		return RowQuarter
	}
	if _, ok := eraIn(key); !ok {
		return RowForeign
	}
	switch rest := len(key) - eraPrefix; {
	case key[eraPrefix-1] == inEraPostings && rest > listPrefix:
		return RowList
	case key[eraPrefix-1] == inEraZone && rest == 4+1:
		return RowZone
	case key[eraPrefix-1] == inEraColumn && rest == 1+1:
		return RowColumn
	}
	return RowForeign
}

// explain says what a row says, and what it should say.
func (c *checking) explain(m *Mismatch, r *row) {
	says, should := func() string { return fmt.Sprintf("%d bytes", len(r.says)) }, func() string { return fmt.Sprintf("%d bytes", len(r.should)) }
	named := r.key[min(eraPrefix, len(r.key)):]
	switch m.Row {
	case RowList:
		c.workspace(m, named)
		m.Field = Field(named[4])
		value := chain.Hash(sha256.Sum256(named[listPrefix : len(named)-1]))
		m.Value = &value
		c.explainList(m, r)
		return
	case RowColumn:
		c.explainColumn(m, r)
		return
	case RowHead:
		says, should = func() string { return headText(r.says) }, func() string { return headText(r.should) }
	case RowWorkspace:
		tag := chain.Hash(r.key[1:])
		m.Workspace = &tag
		says, should = func() string { return "number " + number(r.says) }, func() string { return "number " + number(r.should) }
	case RowQuarter:
		ms := binary.BigEndian.Uint64(r.key[1:]) * quarter
		text := func(b []byte) string {
			return fmt.Sprintf("that the first entry from %s on is %s", instant(int64(ms)*1e6), number(b))
		}
		says, should = func() string { return text(r.says) }, func() string { return text(r.should) }
		index := r.should
		if r.extra {
			index = r.says
		}
		if len(index) == 8 {
			m.Index = new(binary.BigEndian.Uint64(index))
		}
	case RowZone:
		c.workspace(m, named)
		says, should = func() string { return zoneText(r.says) }, func() string { return zoneText(r.should) }
		m.Index = new(c.first(r.key))
	case RowForeign:
		says = func() string { return fmt.Sprintf("%d bytes under the key %.40x", len(r.says), r.key) }
	}
	if !r.missing {
		m.Says = says()
	}
	if !r.extra {
		m.Should = should()
	}
}

// first is the first entry of the block that a row of an era is of.
func (c *checking) first(key []byte) uint64 {
	era, _ := eraIn(key)
	return indexAt(c.layout.at(era, key[len(key)-1]), 0)
}

// workspace names the workspace whose number begins a name, as the entries have it.
func (c *checking) workspace(m *Mismatch, name []byte) {
	if tag, ok := c.tagOf(binary.BigEndian.Uint32(name)); ok {
		m.Workspace = &tag
	}
}
