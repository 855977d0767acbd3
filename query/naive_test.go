package query

import (
	"cmp"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"annals/activity"
	"annals/ledger/chain"
)

// fact is an entry as the naive reader knows it: what it says of each field, as
// the filters spell it, from the record decoded in full.
type fact struct {
	index     uint64
	workspace string
	kind      string
	recorded  time.Time
	occurred  int64  // ns since 1970
	amends    uint64 // an index plus one; 0: nothing
	says      map[string][]string
}

// factOf reads an entry without any index's help.
func factOf(workspace string, leaf *chain.Leaf) fact {
	e := &leaf.Entry
	f := fact{
		index: e.Index, workspace: workspace, kind: e.Kind.String(),
		recorded: time.UnixMilli(int64(e.ULID.Time())).UTC(), says: map[string][]string{"grade": {e.Grade.String()}},
	}
	f.occurred = f.recorded.UnixNano()
	if e.Kind != chain.KindRecord && e.Kind != chain.KindDuplicate && e.Kind != chain.KindConflict {
		return f
	}
	_, record := leaf.Record()
	r, err := activity.Parse(record)
	if err != nil {
		panic(err)
	}
	say := func(field string, values ...string) {
		for _, v := range values {
			if v != "" && !slices.Contains(f.says[field], v) {
				f.says[field] = append(f.says[field], v)
			}
		}
	}
	if t, err := time.Parse(time.RFC3339, r.OccurredAt); err == nil {
		switch {
		case t.Year() < 1700:
			f.occurred = math.MinInt64
		case t.Year() > 2200:
			f.occurred = math.MaxInt64
		default:
			f.occurred = t.UnixNano()
		}
	}
	say("user", r.Actor.ID)
	if r.OnBehalfOf != nil {
		say("user", r.OnBehalfOf.ID)
	}
	refer := func(o *activity.Object, fields ...string) {
		if o == nil || o.Type == "" && o.ID == "" {
			return
		}
		for _, field := range fields {
			say(field, url.PathEscape(o.Type)+"/"+o.ID)
		}
	}
	refer(r.Object, "object")
	for i := range r.Linked {
		refer(&r.Linked[i], "object", "linked")
	}
	typ := cmp.Or(r.Type, leaf.Subject().Type)
	say("type", typ)
	if d, ok := activity.Lookup(typ); ok {
		say("group", d.Group)
	}
	if e.Kind == chain.KindRecord && e.Ref != chain.NoRef {
		say("amends", amendable(e.Ref))
		f.amends = e.Ref + 1
	}
	say("source", r.Source)
	say("outcome", r.Outcome)
	if c := r.Context; c != nil {
		say("session", c.SessionID)
		say("ip", c.IP)
		if ip, err := netip.ParseAddr(c.IP); err == nil {
			f.says["ip"] = []string{ip.String()}
		}
	}
	for name, value := range r.Dimensions {
		say("dimension."+name, value)
	}
	return f
}

// asked is a question as the naive reader understands it.
type asked struct {
	workspace string
	is, not   map[string][]string // by the parameter's name, as filters spell values
	since     time.Time           // zero: none; so are the others
	until     time.Time
	updated   time.Time
	occurred  [2]time.Time
	order     string
	first     string
}

// parameters of the question, in an order of chance's.
func (q *asked) parameters() url.Values {
	v := url.Values{}
	for name, values := range q.is {
		v[name] = values
	}
	for name, values := range q.not {
		v[name+"!"] = values
	}
	for name, t := range map[string]time.Time{"since": q.since, "until": q.until, "updated_since": q.updated, "occurred_since": q.occurred[0], "occurred_until": q.occurred[1]} {
		if !t.IsZero() {
			v.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	for name, s := range map[string]string{"order": q.order, "first": q.first} {
		if s != "" {
			v.Set(name, s)
		}
	}
	return v
}

// holds reports whether an entry is what is asked for.
func (q *asked) holds(f *fact) bool {
	kinds := append(slices.Clone(q.is["kind"]), q.not["kind"]...)
	if f.workspace != q.workspace || len(kinds) == 0 && f.kind != "record" && f.kind != "conflict" {
		return false
	}
	for name, values := range q.is {
		if !f.any(name, values) {
			return false
		}
	}
	for name, values := range q.not {
		if f.any(name, values) {
			return false
		}
	}
	return within(f.recorded, q.since, q.until) && within(time.Unix(0, f.occurred), q.occurred[0], q.occurred[1])
}

func within(t, since, until time.Time) bool {
	return (since.IsZero() || !t.Before(since)) && (until.IsZero() || t.Before(until))
}

// any reports whether an entry says any of some values in a field.
func (f *fact) any(field string, values []string) bool {
	name, _ := url.PathUnescape(field) // a dimension's is encoded by itself
	says := f.says[name]
	if field == "kind" {
		says = []string{f.kind}
	}
	for _, want := range values {
		for _, has := range says {
			beginning, prefix := strings.CutSuffix(want, "*")
			switch {
			case has == want:
			case field == "type" && prefix && strings.HasPrefix(has, beginning):
			case (field == "object" || field == "linked") && strings.HasSuffix(want, "/") && strings.HasPrefix(has, want) && strings.Count(want, "/") == 1:
			case field == "ip" && in(has, want):
			default:
				continue
			}
			return true
		}
	}
	return false
}

func in(address, network string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	if same, err := netip.ParseAddr(network); err == nil {
		return a == same
	}
	p, err := netip.ParsePrefix(network)
	return err == nil && p.Masked().Contains(a)
}

// isUpdated reports whether an entry, or a record of its workspace that amends it, was
// recorded since.
func (q *asked) isUpdated(facts []fact, i int, size uint64) bool {
	for j := range facts {
		f := &facts[j]
		if f.index < size && !f.recorded.Before(q.updated) && (i == j || f.amends == facts[i].index+1 && f.workspace == facts[i].workspace) {
			return true
		}
	}
	return q.updated.IsZero()
}

// find returns what matches of a tree of a size, in the order asked for.
func (q *asked) find(facts []fact, size uint64) []fact {
	found := []fact{}
	for i := range facts {
		if facts[i].index < size && q.holds(&facts[i]) && q.isUpdated(facts, i, size) {
			found = append(found, facts[i])
		}
	}
	slices.SortFunc(found, func(a, b fact) int {
		if q.order == "occurred" {
			return cmp.Or(cmp.Compare(a.occurred, b.occurred), cmp.Compare(a.index, b.index))
		}
		return cmp.Compare(a.index, b.index)
	})
	if q.first != "oldest" {
		slices.Reverse(found)
	}
	return found
}
