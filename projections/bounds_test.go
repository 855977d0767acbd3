package projections

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// spread folds a ledger over several eras, into small tails.
func spread(t *testing.T, seed uint64, size int) (*model, *Projections, *rand.Rand) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	m := newModel()
	m.grow(rng, size, &short)
	p := open(t, m.ledger, Options{FS: vfs.NewMem(), flush: 1 << 12, eraBits: 1})
	check(t, p.Fold(m.all()))
	return m, p, rng
}

// TestTruncated lets answers read hardly any rows: each says so, none says what is
// wrong, and from page to page everything is found all the same.
func TestTruncated(t *testing.T) {
	m, p, rng := spread(t, 1, 4*blockSize+100)
	defer shut(t, p)
	v, err := p.View()
	check(t, err)
	defer v.Close()
	cut := map[string]int{}
	for range 100 {
		q := m.query(rng, &short, v.Cursor())
		q.Work = 1 + rng.IntN(30)
		all := m.found(&q, v.Cursor())
		n, err := v.Count(t.Context(), q)
		check(t, err)
		if n.N > uint64(len(all)) || !n.Truncated && n.N != uint64(len(all)) {
			t.Fatal(wrong("count", &q, v, n, len(all)))
		}
		if n.Truncated {
			cut["count"]++
		}
		values, err := v.Values(t.Context(), q, FieldType, "", MaxLimit)
		check(t, err)
		want := m.values(&q, all, FieldType, "", MaxLimit)
		for _, c := range values.Top {
			if i := slices.IndexFunc(want.Top, func(w ValueCount) bool { return w.Value == c.Value }); i < 0 || c.N > want.Top[i].N {
				t.Fatal(wrong("values", &q, v, values, want))
			}
		}
		if values.Truncated {
			cut["values"]++
		}
		asked := false
		counts, short, err := v.HistogramFound(t.Context(), q, func(first, last int64) ([]int64, error) {
			asked = true
			return []int64{first, last, maxTime}, nil
		})
		check(t, err)
		counted := uint64(0)
		for _, n := range counts {
			counted += n
		}
		if counted > uint64(len(all)) || !short && counted != uint64(len(all)) || asked != (counts != nil) || !short && asked != (len(all) > 0) {
			t.Fatal(wrong("histogram of what is found", &q, v, counts, len(all)))
		}
		switch {
		case short && asked:
			cut["histogram"]++
		case short:
			cut["histogram without ends"]++
		}
		whole := q
		whole.Limit, whole.After = max(1, len(all)), nil
		sorted := m.page(&whole, all).Indexes
		got, stuck := []uint64{}, false
		q.Limit = max(q.Limit, len(all)/20)
		for range 2000 {
			page, err := v.Page(t.Context(), q)
			check(t, err)
			if rng.IntN(2) == 0 {
				same, n, err := v.PageAndCount(t.Context(), q)
				check(t, err)
				if n.N > uint64(len(all)) || !n.Truncated && n.N != uint64(len(all)) || n != (Count{}) && !reflect.DeepEqual(same, page) {
					t.Fatal(wrong("page and count", &q, v, fmt.Sprint(same, n), fmt.Sprint(page, len(all))))
				}
			}
			if got = append(got, page.Indexes...); page.Truncated {
				cut[[]string{"page", "page by occurrence"}[q.Order]]++
			}
			if stuck = page.Truncated && len(page.Indexes) == 0 && q.Order == ByOccurred; stuck || !page.More {
				break
			}
			q.After = &page.Last
		}
		if len(got) > len(sorted) || !slices.Equal(got, sorted[:len(got)]) || !stuck && len(got) != len(sorted) {
			t.Fatal(wrong("pages", &q, v, got, sorted))
		}
	}
	for _, what := range []string{"count", "values", "page", "page by occurrence", "histogram", "histogram without ends"} {
		if cut[what] < 3 {
			t.Errorf("%s was cut short %d times: the test tries nothing", what, cut[what])
		}
	}
	t.Log(cut)
}

// TestIndexAt asks for the index at every quarter of an hour that there is, and
// beyond, while the newest are in memory.
func TestIndexAt(t *testing.T) {
	m, p, _ := spread(t, 2, 5000)
	defer shut(t, p)
	look := func() {
		t.Helper()
		v, err := p.View()
		check(t, err)
		defer v.Close()
		first, next := millis(0)/quarter-2, uint64(0)
		for q := first; q*quarter < millis(m.size())+3*quarter; q++ {
			for next < v.Cursor() && m.facts[next].ms < q*quarter {
				next++
			}
			if at, err := v.IndexAt(q * quarter); err != nil || at != next {
				t.Fatalf("quarter %d: index %d (%v), want %d of %d", q, at, err, next, v.Cursor())
			}
		}
	}
	look()
	shut(t, p)
	p = open(t, m.ledger, p.options)
	look()
	from := m.size()
	m.grow(rand.New(rand.NewPCG(2, 2)), 3000, &short)
	check(t, p.Fold(m.from(from, m.size())))
	look()
}

// TestAsOf asks as of earlier sizes while the ledger grows.
func TestAsOf(t *testing.T) {
	m, p, rng := spread(t, 3, 9000)
	defer shut(t, p)
	check(t, p.Reset())
	for at := uint64(0); at < m.size(); {
		to := min(m.size(), at+1+uint64(rng.IntN(900)))
		check(t, p.Fold(m.from(at, to)))
		at = to
		v, err := p.View()
		check(t, err)
		for range 4 {
			q := m.query(rng, &short, v.Cursor())
			q.To = 1 + rng.Uint64N(v.Cursor())
			check(t, m.compare(v, rng, q))
		}
		check(t, v.Close())
	}
}

// TestShuffled asks by the time of occurrence for records that were imported in no
// order at all: no zone rules anything out, and the answers are right.
func TestShuffled(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 11))
	from := short
	from.workspaces = from.workspaces[:1]
	m := newModel()
	m.grow(rng, 3*blockSize, &from)
	p := open(t, m.ledger, Options{FS: vfs.NewMem(), eraBits: 1})
	defer shut(t, p)
	check(t, p.Fold(m.all()))
	v, err := p.View()
	check(t, err)
	defer v.Close()
	for range 15 {
		q := m.query(rng, &from, v.Cursor())
		q.Workspace, q.Order = tagOf(from.workspaces[0]), ByOccurred
		q.OccurredFrom, q.OccurredTo = m.moment(rng), m.moment(rng)
		check(t, m.compare(v, rng, q))
	}
}

// TestCountCache counts on from what was counted, and forgets what is old.
func TestCountCache(t *testing.T) {
	c := new(counts)
	c.put("a", counted{10, 1})
	c.put("a", counted{5, 9}) // an earlier size says less
	if got := c.get("a"); got != (counted{10, 1}) {
		t.Errorf("%+v", got)
	}
	for i := range 3 * mostCounts {
		c.put(string(rune('b'+i)), counted{1, 1})
	}
	if got := c.get("a"); got != (counted{}) || len(c.young)+len(c.old) > 2*mostCounts {
		t.Errorf("%+v after %d others, %d kept", got, 3*mostCounts, len(c.young)+len(c.old))
	}
	long := string(make([]byte, mostQuestion+1))
	if c.put(long, counted{1, 1}); c.get(long) != (counted{}) {
		t.Error("a question of any length is kept")
	}
	one := is(FieldUser, Value{A: "a"})
	for name, other := range map[string]Query{
		"not":       {Where: []Condition{{Field: FieldUser, Any: []Value{{A: "a"}}, Not: true}}},
		"prefix":    is(FieldUser, Value{A: "a", Prefix: true}),
		"field":     is(FieldType, Value{A: "a"}),
		"parts":     is(FieldObject, Value{B: "a"}),
		"twice":     {Where: append(slices.Clone(one.Where), is(FieldType, Value{A: "a"}).Where...)},
		"from":      {Where: one.Where, From: 1},
		"occurred":  {Where: one.Where, OccurredTo: 1},
		"workspace": {Where: one.Where, Workspace: tagOf("a")},
		"kinds":     {Where: one.Where, Kinds: recordKinds},
	} {
		if one.canonical() == other.canonical() {
			t.Errorf("%s: two questions have one form", name)
		}
	}
	same := Query{Where: []Condition{{Field: FieldUser, Any: []Value{{A: "a"}, {A: "a"}}}}, To: 7, Limit: 3, Kinds: defaultKinds}
	if one.canonical() != same.canonical() {
		t.Error("one question has two forms")
	}
}
