package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"annals/ledger/chain"
	"annals/projections"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxAmendments is how many amendments a record is shown with.
const MaxAmendments = 1000

// amended is what amends one entry: records of its own workspace.
type amended struct {
	indexes []uint64 // ascending; the first MaxAmendments
	last    uint64   // index of the last of all
	more    bool
}

// amendments finds what amends the entry at an index, as far as the indexes are. They
// are asked in the workspace of the request, so what another workspace's records
// amend is nothing here.
func (a *API) amendments(ctx context.Context, f *filter, index uint64) (*amended, error) {
	a.freshen(ctx)
	view, err := a.o.Projections.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return a.amendedBy(ctx, view, a.o.Ledger.Tag(f.workspace), index, 0)
}

// amendedBy is the same in a tree of a size, 0 being all that the view has.
func (a *API) amendedBy(ctx context.Context, view *projections.View, workspace chain.Hash, index, size uint64) (*amended, error) {
	q := projections.Query{
		Workspace: workspace, To: size,
		Where: []projections.Condition{{Field: projections.FieldAmends, Any: []projections.Value{{A: strconv.FormatUint(index, 10)}}}},
		Kinds: []chain.Kind{chain.KindRecord},
		From:  index + 1, Oldest: true, Limit: MaxAmendments, Work: allWork, // one list, read from its beginning
	}
	page, err := view.Page(ctx, q)
	if err != nil || len(page.Indexes) == 0 {
		return &amended{}, err
	}
	out := &amended{indexes: page.Indexes, last: page.Last.Index, more: page.More}
	if page.More {
		q.Oldest, q.Limit = false, 1
		if page, err = view.Page(ctx, q); err != nil {
			return nil, err
		}
		out.last = page.Last.Index
	}
	return out, nil
}

// appendTo appends what the answer of a record changes with.
func (m *amended) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(m.indexes)))
	return binary.BigEndian.AppendUint64(b, m.last)
}

// append appends the amendments, when the last of them was recorded, and the present
// state of the record in the leaf.
func (m *amended) append(b []byte, it *item, leaf *chain.Leaf) ([]byte, error) {
	_, original := leaf.Shown()
	if leaf.Payload == nil || !leaf.Entry.Kind.HasRecord() {
		original = nil
	}
	state := newPresent(original)
	b = append(b, `,"amendments":[`...)
	n := 0
	err := it.api.each(it.filter.turn, m.indexes, func(leaf *chain.Leaf, hash chain.Hash) (err error) {
		if n++; n > 1 {
			b = append(b, ',')
		}
		if leaf.Payload != nil {
			_, record := leaf.Shown()
			state.amend(record)
		}
		b, err = it.append(b, leaf, hash)
		return err
	})
	if err != nil {
		return b, err
	}
	b = append(b, ']')
	if m.more {
		b = append(b, `,"more":true`...)
	}
	last, _, err := it.api.o.Ledger.Get(m.last)
	if err != nil {
		return b, err
	}
	b = append(b, `,"modified_at":`...)
	b = it.day.append(b, int64(last.Entry.ULID.Time())*int64(time.Millisecond), recordedDigits)
	if state.told && original != nil && !m.more {
		b = append(b, `,"present":`...)
		b = state.appendTo(b)
	}
	return append(b, '}'), nil
}

// present is the state of a record's data: an object's members, in the order
// in which each name came first, with the value that came last.
type present struct {
	members []member
	told    bool // an amendment gave something
}

type member struct {
	name, value jsontext.Value // as they were written
	key         string         // the name as it is meant
}

// newPresent is the state of a record that nothing amended yet. Data that is no object
// has no members, and nothing of it stays once something amends it.
func newPresent(record []byte) *present {
	s := new(present)
	for m := range membersOf(dataOf(record)) {
		s.set(m)
	}
	return s
}

// amend puts the members of an amendment's data in the place of those of their names.
func (s *present) amend(record []byte) {
	for m := range membersOf(dataOf(record)) {
		s.set(m)
		s.told = true
	}
}

func (s *present) set(m member) {
	for i := range s.members {
		if s.members[i].key == m.key {
			s.members[i].value = m.value
			return
		}
	}
	s.members = append(s.members, m)
}

func (s *present) appendTo(b []byte) []byte {
	b = append(b, '{')
	for i := range s.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.members[i].name...)
		b = append(b, ':')
		b = append(b, s.members[i].value...)
	}
	return append(b, '}')
}

// dataOf returns a record's data, nil where it has none.
func dataOf(record []byte) jsontext.Value {
	for m := range membersOf(record) {
		if m.key == "data" {
			return m.value
		}
	}
	return nil
}

// membersOf yields an object's members; of anything else, none. What it reads was
// checked when it was recorded.
func membersOf(object jsontext.Value) func(yield func(member) bool) {
	return func(yield func(member) bool) {
		if object.Kind() != '{' {
			return
		}
		d := jsontext.NewDecoder(bytes.NewBuffer(object))
		if _, err := d.ReadToken(); err != nil {
			return
		}
		for d.PeekKind() == '"' {
			name, err := d.ReadValue()
			if err != nil {
				return
			}
			m := member{name: name.Clone()}
			key, err := jsontext.AppendUnquote(nil, name)
			if err != nil {
				return
			}
			m.key = string(key)
			value, err := d.ReadValue()
			if err != nil {
				return
			}
			m.value = value.Clone()
			if !yield(m) {
				return
			}
		}
	}
}
