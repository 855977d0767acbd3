package projections

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"annals/activity"
	"annals/ledger/chain"
)

// model answers questions the naive way: it looks at every entry of the
// workspace, by rules of its own.
type model struct {
	*leaves
	facts []fact
	of    map[chain.Hash][]uint64
	by    map[uint64][]uint64 // the records of its own workspace that amend an entry
}

func newModel() *model { return &model{leaves: newLeaves()} }

// fact is what is true of one entry.
type fact struct {
	tag      chain.Hash
	kind     chain.Kind
	values   [FieldData + 1][]Value // by field, each once
	occurred int64
	ms       int64
}

// of is what a question takes the entry to say of a field.
func (f *fact) of(q *Query, field Field) []Value {
	if field != FieldGroup || q.Groups == nil || len(f.values[FieldType]) == 0 {
		return f.values[field]
	}
	if g := ownGroupOf(f.values[FieldType][0].A); g != "" {
		return []Value{{A: g}}
	}
	return nil
}

func (f *fact) say(field Field, v Value) {
	if v != (Value{}) && !slices.Contains(f.values[field], v) {
		f.values[field] = append(f.values[field], v)
	}
}

// holds says whether a stored value is one that is asked for.
func holds(field Field, asked, v Value) bool {
	switch {
	case field == FieldIP && !asked.Prefix && strings.Contains(asked.A, "/"):
		p, err := netip.ParsePrefix(asked.A)
		if err != nil {
			return v.A == asked.A
		}
		a, err := netip.ParseAddr(v.A)
		if err != nil {
			return false
		}
		if p.Addr().Is4In6() {
			return p.Bits() >= 96 && a.Is4() && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(a)
		}
		return p.Contains(a)
	case field == FieldIP && !asked.Prefix:
		return canonical(asked.A) == v.A
	case !asked.Prefix:
		return asked == v
	case field.paired():
		return asked.A == "" && asked.B == "" || asked.A == v.A && strings.HasPrefix(v.B, asked.B)
	}
	return strings.HasPrefix(v.A, asked.A)
}

// canonical is the one form of an address.
func canonical(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	return a.Unmap().String()
}

func (f *fact) matches(q *Query) bool {
	kinds := q.Kinds
	if len(kinds) == 0 {
		kinds = []chain.Kind{chain.KindRecord, chain.KindConflict}
	}
	if !slices.Contains(kinds, f.kind) {
		return false
	}
	if (q.OccurredFrom != 0 || q.OccurredTo != 0) && (f.occurred < q.OccurredFrom || f.occurred >= q.OccurredTo && q.OccurredTo != maxTime) {
		return false
	}
	for _, c := range q.Where {
		any := false
		for _, v := range f.of(q, c.Field) {
			any = any || slices.ContainsFunc(c.Any, func(asked Value) bool { return holds(c.Field, asked, v) })
		}
		if any == c.Not {
			return false
		}
	}
	return true
}

// found is all that a question finds in a ledger of size, by index.
func (m *model) found(q *Query, size uint64) (all []uint64) {
	for _, i := range m.of[q.Workspace] {
		if i < size && i >= q.From && (q.To == 0 || i < q.To) && m.facts[i].matches(q) && m.updated(q, i, size) {
			all = append(all, i)
		}
	}
	return all
}

// updated reports whether an entry, or one that amends it, is where the question
// looks for either.
func (m *model) updated(q *Query, i, size uint64) bool {
	if q.UpdatedFrom == 0 && q.UpdatedTo == 0 {
		return true
	}
	return slices.ContainsFunc(append([]uint64{i}, m.by[i]...), func(at uint64) bool {
		return at < size && at >= q.UpdatedFrom && (q.UpdatedTo == 0 || at < q.UpdatedTo)
	})
}

// page is the page of a question that finds these.
func (m *model) page(q *Query, all []uint64) Page {
	at := func(i uint64) Position {
		if q.Order == ByRecorded {
			return Position{Index: i}
		}
		return Position{m.facts[i].occurred, i}
	}
	order := func(a, b uint64) int {
		x, y := at(a), at(b)
		c := cmp.Or(cmp.Compare(x.Occurred, y.Occurred), cmp.Compare(x.Index, y.Index))
		if q.Oldest {
			return c
		}
		return -c
	}
	sorted := slices.SortedFunc(slices.Values(all), order)
	page := Page{Indexes: []uint64{}}
	if q.After != nil {
		page.Last = *q.After
		sorted = slices.DeleteFunc(sorted, func(i uint64) bool {
			x, y := at(i), *q.After
			if q.Order == ByRecorded {
				y.Occurred = 0
			}
			c := cmp.Or(cmp.Compare(x.Occurred, y.Occurred), cmp.Compare(x.Index, y.Index))
			return q.Oldest && c <= 0 || !q.Oldest && c >= 0
		})
	}
	page.More = len(sorted) > q.Limit
	page.Indexes = append(page.Indexes, sorted[:min(len(sorted), q.Limit)]...)
	if n := len(page.Indexes); n > 0 {
		page.Last = at(page.Indexes[n-1])
	}
	return page
}

// values counts the values of a field among entries.
func (m *model) values(q *Query, all []uint64, f Field, dimension string, top int) Values {
	counts := map[Value]uint64{}
	for _, i := range all {
		for _, v := range m.facts[i].of(q, f) {
			if f != FieldDimension || v.A == dimension {
				counts[v]++
			}
		}
	}
	list := []ValueCount{}
	short := func(s string) string {
		if len(s) > maxValue {
			return s[:keptPrefix] + "…"
		}
		return s
	}
	for v, n := range counts {
		list = append(list, ValueCount{Value{A: short(v.A), B: short(v.B)}, n})
	}
	slices.SortFunc(list, func(a, b ValueCount) int {
		return cmp.Or(-cmp.Compare(a.N, b.N), strings.Compare(a.Value.A, b.Value.A), strings.Compare(a.Value.B, b.Value.B))
	})
	return Values{Top: list[:min(len(list), top)], Distinct: uint64(len(list))}
}

// ownWords are a workspace's, which takes types out of groups in every way that there
// is: by a type, by a beginning, by one beginning before another.
var ownWords = sync.OnceValue(func() *activity.Vocabulary {
	words, err := activity.Own([]byte(`{"groups":[{"slug":"ours","label":"Ours"},{"slug":"lost","label":"Lost"},{"slug":"none","label":"None"}],"types":[
		{"slug":"t*","label":"T","group":"ours","sentence":"{actor}"},
		{"slug":"t.t","label":"TT","group":"lost","sentence":"{actor}"},
		{"slug":"app.*","label":"App","group":"ours","sentence":"{actor}"},
		{"slug":"app.created","label":"Made"},
		{"slug":"machine.created","label":"Built","group":"lost"},
		{"slug":"frontend_a*","label":"A","group":"lost","sentence":"{actor}"},
		{"slug":"user.*","label":"User","sentence":"{actor}"}]}`))
	if err != nil {
		panic(err)
	}
	return words
})

// ownGroupOf is the group of a type by those words, read by hand.
func ownGroupOf(typ string) string {
	begins := func(stem string) bool { return len(typ) > len(stem) && strings.HasPrefix(typ, stem) }
	switch {
	case typ == "t.t", typ == "machine.created", begins("frontend_a"):
		return "lost"
	case typ == "app.created":
		return "app"
	case begins("t"), begins("app."):
		return "ours"
	case begins("user."):
		return ""
	}
	return groupOfType(typ)
}

// groupOfType is the published group of a type.
func groupOfType(typ string) string {
	for _, g := range activity.Catalogue().Groups() {
		for _, slug := range g.Types {
			prefix, ok := strings.CutSuffix(slug, "*")
			if slug == typ || ok && len(typ) > len(prefix) && strings.HasPrefix(typ, prefix) {
				return g.Slug
			}
		}
	}
	return ""
}
