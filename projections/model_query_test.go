package projections

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"

	"annals/ledger/chain"
)

var cidrs = []string{
	"10.0.0.0/8", "10.0.0.0/24", "10.9.8.7/8", "10.0.0.1/32", "0.0.0.0/0", "255.255.255.255/32", "::/0", "2001:db8::/32",
	"::ffff:10.0.0.0/104", "::ffff:0.0.0.0/90", "10.0.0.0/33",
}

// value draws a value to ask a field for.
func (m *model) value(rng *rand.Rand, from *pools, f Field) (v Value) {
	beginning := func(s string) string {
		v.Prefix = rng.IntN(4) == 0
		if v.Prefix {
			return s[:min(rng.IntN(len(s)+1), keptPrefix)]
		}
		return s
	}
	switch f {
	case FieldActor:
		v.A = pick(rng, from.users)
	case FieldData:
		v = Value{A: "export_data_type", B: beginning(pick(rng, []string{"export_data", "export_image", "template_report", "none"}))}
	case FieldUser, FieldBehalf:
		v.A = beginning(pick(rng, from.users))
	case FieldObject, FieldLinked:
		r := pick(rng, from.objects)
		v = Value{A: r.Type, B: r.ID}
		v.B = beginning(v.B)
		if v.Prefix && rng.IntN(4) == 0 {
			v.A, v.B = "", ""
		}
	case FieldType:
		v.A = beginning(pick(rng, from.types))
	case FieldGroup:
		v.A = pick(rng, []string{"app", "frontend", "machine", "user"})
	case FieldSource, FieldOutcome:
		v.A = beginning(pick(rng, from.words))
	case FieldSession:
		v.A = beginning(fmt.Sprint("s", rng.IntN(3000)))
	case FieldIP:
		v.A = pick(rng, from.addresses)
		if rng.IntN(2) == 0 {
			v.A = pick(rng, cidrs)
		}
		if rng.IntN(20) == 0 {
			v = Value{Prefix: true}
		}
	case FieldGrade:
		v.A = chain.Grade(rng.IntN(5)).String()
	case FieldKind:
		v.A = chain.Kind(1 + rng.IntN(6)).String()
	case FieldAmends:
		v.A = strconv.FormatUint(rng.Uint64N(m.size()+3), 10)
		if rng.IntN(3) == 0 {
			v = Value{Prefix: true}
		}
	case FieldDimension:
		d := pick(rng, from.dimensions)
		v = Value{A: d.Name, B: d.Value}
		v.B = beginning(v.B)
	}
	return v
}

// query draws a question that often has an answer.
func (m *model) query(rng *rand.Rand, from *pools, size uint64) Query {
	q := Query{
		Workspace: tagOf(pick(rng, from.workspaces)), Limit: 1 + rng.IntN(60), Oldest: rng.IntN(3) == 0,
		Order: Order(rng.IntN(3) / 2),
	}
	for range min(rng.IntN(5), rng.IntN(4)) {
		c := Condition{Field: pick(rng, Fields()), Not: rng.IntN(5) == 0}
		if rng.IntN(2) == 0 {
			c.Field = Fields()[rng.IntN(len(Fields()))]
		}
		for range 1 + min(rng.IntN(4), rng.IntN(4)) {
			c.Any = append(c.Any, m.value(rng, from, c.Field))
		}
		q.Where = append(q.Where, c)
	}
	if rng.IntN(2) == 0 {
		q.Groups = ownWords()
		for _, c := range q.Where {
			for i := range c.Any {
				if c.Field == FieldGroup {
					c.Any[i].A = pick(rng, []string{"ours", "lost", "none", "app", "frontend", "machine", "user"})
				}
			}
		}
	}
	if rng.IntN(2) == 0 {
		for _, k := range chain.Kinds() {
			for rng.IntN(4) == 0 { // now and then twice
				q.Kinds = append(q.Kinds, k)
			}
		}
	}
	if rng.IntN(3) == 0 {
		q.From = rng.Uint64N(size + 10)
	}
	if rng.IntN(3) == 0 {
		q.To = rng.Uint64N(size + 10)
	}
	if rng.IntN(4) == 0 {
		q.UpdatedFrom = rng.Uint64N(size + 10)
		if rng.IntN(2) == 0 {
			q.UpdatedTo = rng.Uint64N(size + 10)
		}
	}
	if rng.IntN(4) == 0 {
		q.OccurredFrom, q.OccurredTo = m.moment(rng), m.moment(rng)
	}
	return q
}

// moment draws a time at which something may have occurred.
func (m *model) moment(rng *rand.Rand) int64 {
	if len(m.facts) == 0 || rng.IntN(20) == 0 {
		return pick(rng, []int64{math.MaxInt64, math.MinInt64, 0})
	}
	return m.facts[rng.IntN(len(m.facts))].occurred + int64(rng.IntN(3)) - 1
}

// wrong is an answer that is not the model's.
func wrong(what string, q *Query, v *View, got, want any) error {
	return fmt.Errorf("%s at size %d of %.2000q\n got  %.1500s\n want %.1500s", what, v.Cursor(), fmt.Sprintf("%+v", *q), fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
}

// check asks n random questions of one view and of the model.
func (m *model) check(v *View, rng *rand.Rand, from *pools, n int) error {
	for range n {
		q := m.query(rng, from, v.Cursor())
		if err := m.compare(v, rng, q); err != nil {
			return err
		}
	}
	return nil
}

// compare asks one question in every way.
func (m *model) compare(v *View, rng *rand.Rand, q Query) error {
	ctx := context.Background()
	if q.Check() != nil {
		return fmt.Errorf("%+v: %w", q, q.Check())
	}
	all := m.found(&q, v.Cursor())
	if rng.IntN(3) == 0 {
		q.After = m.somewhere(rng, all)
	}
	page, err := v.Page(ctx, q)
	if want := m.page(&q, all); err != nil || !reflect.DeepEqual(page, want) {
		return errOr(err, wrong("page", &q, v, page, want))
	}
	if err := m.walkPages(v, rng, q, all); err != nil {
		return err
	}
	if err := m.pageAndCount(ctx, v, rng, q, all); err != nil {
		return err
	}
	if rng.IntN(2) == 0 { // and go on from a count of less
		less := q
		less.To = min(cmp.Or(q.To, v.Cursor()), 1+rng.Uint64N(v.Cursor()+1))
		want := uint64(len(slices.DeleteFunc(slices.Clone(all), func(i uint64) bool { return i >= less.To })))
		if got, err := v.Count(ctx, less); err != nil || got != (Count{N: want}) {
			return errOr(err, wrong("count", &less, v, got, want))
		}
	}
	if got, err := v.Count(ctx, q); err != nil || got != (Count{N: uint64(len(all))}) {
		return errOr(err, wrong("count", &q, v, got, len(all)))
	}
	if other := q; other.Groups != nil { // what is remembered of it is another's
		if other.Groups = nil; other.Check() == nil {
			want := uint64(len(m.found(&other, v.Cursor())))
			if got, err := v.Count(ctx, other); err != nil || got != (Count{N: want}) {
				return errOr(err, wrong("count by published groups", &other, v, got, want))
			}
		}
	}
	for _, ask := range []func(context.Context, *View, *rand.Rand, Query, []uint64) error{m.pageAndCount, m.histogram, m.histogramOccurred, m.facets} {
		if rng.IntN(3) == 0 {
			if err := ask(ctx, v, rng, q, all); err != nil {
				return err
			}
		}
	}
	return m.matcher(rng, v, q, all)
}

// pageAndCount asks for both at once: before the count is known, or after.
func (m *model) pageAndCount(ctx context.Context, v *View, rng *rand.Rand, q Query, all []uint64) error {
	if rng.IntN(2) == 0 {
		return nil
	}
	page, n, err := v.PageAndCount(ctx, q)
	want := m.page(&q, all)
	if len(all) == 0 {
		page.Indexes, want = nil, Page{}
		page.Last = want.Last
	}
	if err != nil || !reflect.DeepEqual(page, want) || n != (Count{N: uint64(len(all))}) {
		return errOr(err, wrong(fmt.Sprint("page and count of ", len(all)), &q, v, fmt.Sprint(page, n), want))
	}
	return nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// somewhere draws a place to go on after: mostly one of those that are found.
func (m *model) somewhere(rng *rand.Rand, all []uint64) *Position {
	if len(all) == 0 || rng.IntN(5) == 0 {
		return &Position{m.moment(rng), pick(rng, []uint64{rng.Uint64N(m.size() + 10), 0, math.MaxUint64})}
	}
	i := all[rng.IntN(len(all))]
	return &Position{m.facts[i].occurred, i}
}

// walkPages goes from page to page, to the end where that isn't far.
func (m *model) walkPages(v *View, rng *rand.Rand, q Query, all []uint64) error {
	if rng.IntN(4) > 0 {
		return nil
	}
	q.After, q.Limit = nil, 1+max(q.Limit, len(all)/5)
	whole := q
	whole.Limit = max(1, len(all))
	want := m.page(&whole, all).Indexes
	got := []uint64{}
	for {
		page, err := v.Page(context.Background(), q)
		if err != nil {
			return err
		}
		if got = append(got, page.Indexes...); !page.More {
			break
		}
		q.After = &page.Last
	}
	if !slices.Equal(got, want) {
		return wrong("pages", &q, v, got, want)
	}
	return nil
}

func (m *model) histogram(ctx context.Context, v *View, rng *rand.Rand, q Query, all []uint64) error {
	bounds := []uint64{rng.Uint64N(v.Cursor() + 1), v.Cursor() + 5 + rng.Uint64N(9)}
	for range rng.IntN(40) {
		bounds = append(bounds, rng.Uint64N(v.Cursor()+5))
	}
	bounds = append(bounds, bounds[rng.IntN(len(bounds))]) // one twice
	slices.Sort(bounds)
	want := make([]uint64, len(bounds)-1)
	for _, i := range all {
		for b := range want {
			if bounds[b] <= i && i < bounds[b+1] {
				want[b]++
			}
		}
	}
	got, cut, err := v.Histogram(ctx, q, bounds)
	if err != nil || cut || !slices.Equal(got, want) {
		return errOr(err, wrong(fmt.Sprint("histogram ", bounds), &q, v, got, want))
	}
	return nil
}

func (m *model) histogramOccurred(ctx context.Context, v *View, rng *rand.Rand, q Query, all []uint64) error {
	bounds := []int64{0, 1}
	for range 1 + rng.IntN(40) {
		bounds = append(bounds, m.moment(rng))
	}
	bounds = append(bounds, bounds[rng.IntN(len(bounds))]) // one twice
	slices.Sort(bounds)
	want := make([]uint64, len(bounds)-1)
	for _, i := range all {
		t := m.facts[i].occurred
		for b := len(bounds) - 1; b >= 0; b-- {
			if bounds[b] > t {
				continue
			}
			if b < len(want) {
				want[b]++
			} else if t == maxTime && bounds[b] == maxTime { // as a last bound it is none
				want[b-1]++
			}
			break
		}
	}
	got, cut, err := v.HistogramOccurred(ctx, q, bounds)
	if err != nil || cut || !slices.Equal(got, want) {
		return errOr(err, wrong(fmt.Sprint("histogram by occurrence ", bounds), &q, v, got, want))
	}
	return m.histogramFound(ctx, v, q, all, bounds, want)
}

// histogramFound asks for the same with bounds that it is asked for.
func (m *model) histogramFound(ctx context.Context, v *View, q Query, all []uint64, bounds []int64, want []uint64) error {
	var ends, seen []int64
	for _, i := range all {
		t := m.facts[i].occurred
		if ends == nil {
			ends = []int64{t, t}
		}
		ends[0], ends[1] = min(ends[0], t), max(ends[1], t)
	}
	if ends == nil {
		want = nil
	}
	got, cut, err := v.HistogramFound(ctx, q, func(first, last int64) ([]int64, error) {
		seen = []int64{first, last}
		return bounds, nil
	})
	if err != nil || cut || !slices.Equal(got, want) || !slices.Equal(seen, ends) {
		return errOr(err, wrong(fmt.Sprint("histogram of what is found ", bounds, seen, ends), &q, v, got, want))
	}
	return nil
}

func (m *model) facets(ctx context.Context, v *View, rng *rand.Rand, q Query, all []uint64) error {
	f, dimension, top := Fields()[rng.IntN(len(Fields()))], "", 1+rng.IntN(12)
	if f == FieldActor {
		f = FieldBehalf // of which there are lists
	}
	if f == FieldDimension {
		dimension = pick(rng, []string{"org", "or", "site", "org\x00", "none"})
	}
	want := m.values(&q, all, f, dimension, top)
	got, err := v.Values(ctx, q, f, dimension, top)
	if err != nil || !reflect.DeepEqual(got, want) {
		return errOr(err, wrong("values of "+f.String(), &q, v, got, want))
	}
	return nil
}

// matcher asks the leaves themselves.
func (m *model) matcher(rng *rand.Rand, v *View, q Query, all []uint64) error {
	matcher := q.Matcher()
	if v.Cursor() == 0 || q.UpdatedFrom != 0 || q.UpdatedTo != 0 { // an entry doesn't say what amends it
		return nil
	}
	from := rng.Uint64N(v.Cursor())
	for leaf := range m.from(from, min(v.Cursor(), from+8)) {
		_, want := slices.BinarySearch(all, leaf.Entry.Index)
		if got := matcher.Match(&leaf); got != want {
			return wrong(fmt.Sprint("matcher of entry ", leaf.Entry.Index), &q, v, got, want)
		}
	}
	if len(all) > 0 {
		i := all[rng.IntN(len(all))]
		for leaf := range m.from(i, i+1) {
			if !matcher.Match(&leaf) {
				return wrong(fmt.Sprint("matcher of entry ", i), &q, v, false, true)
			}
		}
	}
	return nil
}
