package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// mostValues is how many bytes of values an answer gathers before it is cut.
const mostValues = 32 << 20

// Values answers with the values that a field has among the entries that q finds,
// of which the top most frequent are listed; an entry with several counts for
// each. dimension names the dimension where f is [FieldDimension]. Of a value
// longer than 512 bytes, the first 256 and an ellipsis are listed.
//
// It looks at the matches block by block, and then goes through the field's lists
// of the same blocks: the bound on work counts those.
func (v *View) Values(ctx context.Context, q Query, f Field, dimension string, top int) (Values, error) {
	switch {
	case f.String() == "":
		return Values{}, fmt.Errorf("%w: there is no field %d", ErrQuery, f)
	case f == FieldActor:
		return Values{}, fmt.Errorf("%w: actors are asked for, and users are counted", ErrQuery)
	case (f == FieldDimension) != (dimension != ""):
		return Values{}, fmt.Errorf("%w: a dimension's values are asked for by its name, and only those", ErrQuery)
	case top < 1 || top > MaxLimit:
		return Values{}, fmt.Errorf("%w: the top %d values are not between 1 and %d", ErrQuery, top, MaxLimit)
	}
	lo, hi := q.span(v.size)
	w, err := v.plan(ctx, &q, lo, hi)
	if err != nil {
		return Values{}, err
	}
	defer w.close()
	t := newTally(w, f, dimension)
	end, err := w.each(true, t.add)
	if err == nil {
		err = t.settle()
	}
	if err != nil {
		return Values{}, v.failed(ctx, err)
	}
	out, err := t.values(top)
	if err != nil {
		return Values{}, v.failed(ctx, err)
	}
	out.Truncated = t.cut || end.found == unlooked
	return out, nil
}

// tally counts a field's values, an era at a time: the matches of its blocks are
// kept until the era's lists are gone through.
type tally struct {
	w      *walk
	field  Field
	lo, hi []byte // names
	matches
	counts map[string]*uint64 // by what follows workspace and field in a name
	bytes  int
	cut    bool
}

// matches are those of the blocks of an era.
type matches struct {
	era  uint64
	any  bool
	sets []*set
}

func newTally(w *walk, f Field, dimension string) *tally {
	t := &tally{w: w, field: f, counts: map[string]*uint64{}}
	t.sets = make([]*set, w.v.layout.blocksInEra())
	list := f
	if f == FieldGroup {
		list = FieldType
	}
	t.lo = appendList(nil, w.workspace, list)
	if f == FieldDimension {
		t.lo = appendValue(t.lo, dimension)
	}
	t.hi = after(t.lo)
	return t
}

// add keeps a block's matches.
func (t *tally) add(block uint64, found *set) (more bool, err error) {
	if era := t.w.v.layout.eraOf(block); t.any && era != t.era {
		if err := t.settle(); err != nil || t.cut {
			return false, err
		}
	}
	t.any, t.era = true, t.w.v.layout.eraOf(block)
	i := t.w.v.layout.within(block)
	if t.sets[i] == nil {
		t.sets[i] = new(set)
	}
	t.sets[i].addSet(found)
	return true, nil
}

// settle goes through the lists of the era at hand.
func (t *tally) settle() error {
	if !t.any {
		return nil
	}
	it, err := t.w.v.take()
	if err != nil {
		return err
	}
	defer t.w.v.give(it)
	t.any = false
	err = t.w.lists(it, t.era, t.lo, t.hi, t.count)
	for _, s := range t.sets {
		if s != nil {
			s.clear()
		}
	}
	return err
}

// count counts the matches that one list has in one block.
func (t *tally) count(name []byte, block byte, p piece) error {
	s := t.sets[block]
	if s == nil || s.n == 0 {
		return nil
	}
	n := p.common(s)
	if n == 0 {
		return nil
	}
	counted := t.counts[string(name[listPrefix:])]
	if counted == nil {
		if t.bytes += len(name) + 64; t.bytes > mostValues {
			t.cut = true
			return nil
		}
		counted = new(uint64)
		t.counts[string(name[listPrefix:])] = counted
	}
	*counted += uint64(n)
	return nil
}

// common returns how many of a set's entries the piece has.
func (p *piece) common(s *set) int {
	if p.tail == nil {
		return s.common(p.stored)
	}
	var own set
	p.tail.addList(p.list, &own)
	own.keep(s, false)
	return own.n
}

// values turns names into values, and lists the most frequent.
func (t *tally) values(top int) (Values, error) {
	all := make([]ValueCount, 0, len(t.counts))
	groups := map[string]uint64{}
	for name, n := range t.counts {
		f := t.field
		if f == FieldGroup {
			f = FieldType
		}
		v, err := f.cutName([]byte(name))
		if err != nil {
			return Values{}, damaged([]byte(name), err)
		}
		if t.field != FieldGroup {
			all = append(all, ValueCount{v, *n})
		} else if g := t.w.groups.GroupOf(v.A); g != "" {
			groups[g] += *n
		}
	}
	for slug, n := range groups {
		all = append(all, ValueCount{Value{A: slug}, n})
	}
	slices.SortFunc(all, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Value.A, b.Value.A), cmp.Compare(a.Value.B, b.Value.B))
	})
	out := Values{Distinct: uint64(len(all)), Top: all}
	if len(all) > top {
		out.Top = slices.Clone(all[:top])
	}
	return out, nil
}
