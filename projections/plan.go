package projections

import (
	"context"
	"fmt"
	"math"
	"slices"

	"annals/ledger/chain"
)

// defaultKinds are the kinds that timelines show.
var defaultKinds = []chain.Kind{chain.KindRecord, chain.KindConflict}

// recordKinds are the kinds that have users, objects and the like.
var recordKinds = []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindConflict}

// kinds returns the kinds that are asked for, each once.
func (q *Query) kinds() []chain.Kind {
	if len(q.Kinds) == 0 {
		return defaultKinds
	}
	kinds := slices.Clone(q.Kinds)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// span returns the indexes [lo, hi) that the question allows, in a ledger of size.
func (q *Query) span(size uint64) (lo, hi uint64) {
	lo, hi = q.From, size
	if q.To != 0 {
		hi = min(hi, q.To)
	}
	return lo, hi
}

// times returns the occurred times [from, to) that the question allows; a to of
// MaxInt64 is no bound.
func (q *Query) times() (from, to int64) {
	if q.OccurredFrom == 0 && q.OccurredTo == 0 {
		return math.MinInt64, maxTime
	}
	return q.OccurredFrom, q.OccurredTo
}

// Check says what is malformed about a question, nil where nothing is: an error
// that wraps [ErrQuery]. It does not look at the page.
func (q *Query) Check() error {
	for _, k := range q.Kinds {
		if k < chain.KindRecord || k > chain.KindGap {
			return fmt.Errorf("%w: %s is no kind of entry", ErrQuery, k)
		}
	}
	for _, c := range q.Where {
		if c.Field.String() == "" {
			return fmt.Errorf("%w: there is no field %d", ErrQuery, c.Field)
		}
		if len(c.Any) == 0 {
			return fmt.Errorf("%w: no value of %s is asked for", ErrQuery, c.Field)
		}
		for _, v := range c.Any {
			if err := c.Field.check(v); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrQuery, c.Field, err)
			}
			if c.Field == FieldGroup {
				if _, ok := q.groups().Group(v.A); !ok {
					return fmt.Errorf("%w: no group of the catalogue is called %q", ErrQuery, v.A)
				}
			}
		}
	}
	return nil
}

// check holds a value to what can be asked of the field.
func (f Field) check(v Value) error {
	last := v.A
	switch {
	case f.paired():
		last = v.B
	case v.B != "":
		return fmt.Errorf("a value of one part, not also %q", v.B)
	}
	switch {
	case v.Prefix && len(last) > keptPrefix:
		return fmt.Errorf("a beginning of at most %d bytes, this one has %d", keptPrefix, len(last))
	case !v.Prefix && v.A == "" && v.B == "":
		return fmt.Errorf("a value is not empty")
	case f == FieldIP && v.Prefix && v.A != "":
		return fmt.Errorf("addresses are compared whole or by a CIDR prefix, such as 10.0.0.0/8")
	case (f == FieldGroup || f == FieldKind || f == FieldGrade || f == FieldActor) && v.Prefix:
		return fmt.Errorf("values of this field are compared whole")
	case f == FieldAmends && v.Prefix && v.A != "":
		return fmt.Errorf("an amended entry is named by the whole of its index, in decimal")
	}
	return nil
}

// plan makes a walk of a question over the indexes [lo, hi). Close it.
func (v *View) plan(ctx context.Context, q *Query, lo, hi uint64) (*walk, error) {
	if v.closed {
		return nil, ErrClosed
	}
	if err := q.Check(); err != nil {
		return nil, err
	}
	pace := paceOf(ctx)
	if err := pace(); err != nil {
		return nil, err
	}
	w := &v.walk
	*w = walk{
		v: v, pace: pace, most: q.Work, lo: lo, hi: hi, groups: q.groups(),
		columns: columns{key: w.columns.key}, kept: w.kept,
	}
	if w.most <= 0 {
		w.most = DefaultWork
	}
	w.from, w.to = q.times()
	number, known := v.past.workspaces.of(&q.Workspace)
	if w.nothing = !known || lo >= hi || w.from >= w.to && w.to != maxTime; w.nothing {
		return w, nil
	}
	w.workspace, w.firstBlock, w.lastBlock = number, blockOf(lo), blockOf(hi-1)
	w.conditions(q)
	if q.updated() {
		w.musts = append(w.musts, w.updated(q))
	}
	return w, nil
}

// conditions makes the terms. Lists come before ranges, which are dear to ask.
func (w *walk) conditions(q *Query) {
	records := false // something is asked for that only records have
	for _, ranges := range []bool{false, true} {
		for _, c := range q.Where {
			t, ranging := w.term(c.Field, c.Any)
			switch {
			case ranging != ranges:
			case c.Not:
				w.nots = append(w.nots, t)
			default:
				w.musts = append(w.musts, t)
				records = records || c.Field != FieldKind && c.Field != FieldGrade
			}
		}
	}
	asked := q.kinds()
	if len(w.musts) == 0 {
		w.musts = append(w.musts, w.ofKinds(asked))
		return
	}
	possible := chain.Kinds()
	if records {
		possible = recordKinds
	}
	others := slices.DeleteFunc(slices.Clone(possible), func(k chain.Kind) bool { return slices.Contains(asked, k) })
	switch {
	case len(others) == len(possible):
		w.nothing = true
	case len(others) == 0:
	case slices.Contains(asked, chain.KindRecord):
		// Nearly all are records: to take away what is not asked for reads less.
		w.nots = append(w.nots, w.ofKinds(others))
	default:
		w.musts = append(w.musts, w.ofKinds(asked))
	}
}

func (w *walk) ofKinds(kinds []chain.Kind) *term {
	values := make([]Value, 0, len(kinds))
	for _, k := range kinds {
		values = append(values, Value{A: k.String()})
	}
	t, _ := w.term(FieldKind, values)
	return t
}

// term makes the sources of any of the values; ranging says that one is a range.
func (w *walk) term(f Field, any []Value) (t *term, ranging bool) {
	t = &term{sources: make([]source, 0, len(any))}
	if f == FieldGroup {
		for _, v := range any {
			ranging = w.group(t, v.A) || ranging
		}
		return t, ranging
	}
	if f == FieldActor {
		for _, v := range any {
			user, _ := FieldUser.names(w.workspace, v)
			behalf, _ := FieldBehalf.names(w.workspace, v)
			t.sources = append(t.sources, &except{all: newStream(w, user), but: newStream(w, behalf)})
		}
		return t, false
	}
	for _, v := range any {
		lo, hi := f.names(w.workspace, v)
		if hi == nil {
			t.sources = append(t.sources, newStream(w, lo))
		} else {
			t.sources, ranging = append(t.sources, &span{w: w, lo: lo, hi: hi}), true
		}
	}
	return t, ranging
}

// names returns the name of a value's list, or the range of names [lo, hi) that
// it stands for.
func (f Field) names(workspace uint32, v Value) (lo, hi []byte) {
	name := appendList(make([]byte, 0, 64), workspace, f)
	if f == FieldIP {
		if p, ok := network(v.A); ok {
			first := appendEscaped(slices.Clone(name), string(appendAddr(nil, p.Addr())))
			last := appendEscaped(slices.Clone(name), string(appendAddr(nil, lastOf(p))))
			return first, after(last)
		}
	}
	switch {
	case !v.Prefix:
		return f.appendName(name, v.A, v.B), nil
	case f.paired() && (v.A != "" || v.B != ""):
		name = appendEscaped(appendValue(name, v.A), v.B)
	case !f.paired():
		name = appendEscaped(name, v.A)
	}
	return name, after(name)
}
