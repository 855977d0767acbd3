package query

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/go-json-experiment/json/jsontext"
)

// counts answers how many entries there are, by days, hours or values.
func (a *API) counts(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := f.complete(); err != nil {
		return err
	}
	c := counter{ctx: r.Context(), api: a, f: f}
	view, moment, _, err := a.look(r.Context(), f)
	if err != nil {
		return err
	}
	defer view.Close()
	c.view = view
	if c.q, c.none, err = a.question(view, f, moment.size); err != nil {
		return err
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	b := append((*buffer)[:0], `{"by":`...)
	b, _ = jsontext.AppendQuote(b, f.counting.by)
	if f.counting.unit == 0 {
		b, err = c.values(b)
	} else {
		b, err = c.times(b)
	}
	if err != nil {
		return err
	}
	tag := a.tag("counts", f)
	tag.Write(b)
	if current(w, r, etag(tag)) {
		return nil
	}
	b = append(appendMoment(b, moment), '}')
	*buffer = b
	return write(w, jsonMedia, b)
}

// counter puts one answer of counts together.
type counter struct {
	ctx  context.Context
	api  *API
	f    *filter
	view *projections.View
	q    projections.Query
	none bool // nothing can match
}

// values appends the most frequent values of a field, and what is left.
func (c *counter) values(b []byte) ([]byte, error) {
	var total projections.Count
	var values projections.Values
	var err error
	by := &c.f.counting
	if !c.none {
		if total, err = c.view.Count(c.ctx, c.q); err != nil {
			return b, err
		}
		if values, err = c.view.Values(c.ctx, c.q, by.field, by.dimension, by.top); err != nil {
			return b, err
		}
	}
	truncated := total.Truncated || values.Truncated
	other := total
	if !truncated && len(values.Top) > 0 {
		if other, err = c.other(total, values.Top); err != nil {
			return b, err
		}
	}
	b = append(b, `,"counts":[`...)
	for i, v := range values.Top {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"value":`...)
		b, _ = jsontext.AppendQuote(b, valueText(by.field, v.Value))
		b = append(b, `,"n":`...)
		b = strconv.AppendUint(b, v.N, 10)
		b = append(b, '}')
	}
	b = append(b, `],"distinct":`...)
	b = strconv.AppendUint(b, values.Distinct, 10)
	if !truncated && !other.Truncated {
		b = append(b, `,"other":`...)
		b = strconv.AppendUint(b, other.N, 10)
	}
	return appendTotal(b, total.N, truncated), nil
}

// other counts the entries that have none of the values shown. Where an entry has
// one value at most, that is what the others leave.
func (c *counter) other(total projections.Count, top []projections.ValueCount) (projections.Count, error) {
	not := projections.Condition{Field: c.f.counting.field, Not: true}
	switch not.Field {
	case projections.FieldUser, projections.FieldObject, projections.FieldLinked:
	default:
		for _, v := range top {
			total.N -= v.N
		}
		return total, nil
	}
	for _, v := range top {
		if cutShort(v.Value.A) || cutShort(v.Value.B) {
			return projections.Count{Truncated: true}, nil // what it is in full isn't known
		}
		not.Any = append(not.Any, v.Value)
	}
	q := c.q
	q.Where = append(q.Where[:len(q.Where):len(q.Where)], not)
	return c.view.Count(c.ctx, q)
}

// cutShort reports whether the indexes may have cut a value: they list the
// beginning of long ones.
func cutShort(value string) bool { return len(value) > 240 && strings.HasSuffix(value, "…") }

// slashes writes an object's type as the filter reads it.
var slashes = strings.NewReplacer("%", "%25", "/", "%2F")

// valueText is a value as the filter of its field takes it.
func valueText(field projections.Field, v projections.Value) string {
	switch field {
	case projections.FieldObject, projections.FieldLinked:
		return slashes.Replace(v.A) + "/" + v.B
	case projections.FieldDimension:
		return v.B
	}
	return v.A
}

// times appends how many there were in each day or hour, those without any too.
func (c *counter) times(b []byte) ([]byte, error) {
	by := &c.f.counting
	zone, ok := c.api.zones.of(by.tz)
	if !ok {
		return b, problem.Parameter("tz", "unknown_zone", strconv.Quote(by.tz)+" is no time zone; use an IANA name such as Europe/Berlin, or UTC")
	}
	at, counts, truncated, err := c.buckets(zone)
	if err != nil {
		return b, err
	}
	total := uint64(0)
	b = append(b, `,"time":"`...)
	b = append(b, [...]string{"recorded", "occurred"}[bit(by.occurred)]...)
	b = append(b, `","tz":`...)
	b, _ = jsontext.AppendQuote(b, by.tz)
	b = append(b, `,"counts":[`...)
	for i, n := range counts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"start":"`...)
		b = appendStart(b, at[i])
		b = append(b, `","n":`...)
		b = strconv.AppendUint(b, n, 10)
		b = append(b, '}')
		total += n
	}
	return appendTotal(append(b, ']'), total, truncated), nil
}

// buckets counts by days or hours: how many there were from each start to the next,
// the last of which ends the one before it.
func (c *counter) buckets(zone *time.Location) (at []time.Time, counts []uint64, truncated bool, err error) {
	by := &c.f.counting
	starts := func(from, to time.Time) error {
		var ok bool
		if at, ok = by.unit.starts(from, to, zone, MaxBuckets); !ok {
			return c.tooMany(from, to)
		}
		return nil
	}
	if by.occurred && (c.f.occurredSince == everSince || c.f.occurredUntil == everUntil) {
		if c.none {
			return nil, nil, false, nil
		}
		counts, truncated, err = c.view.HistogramFound(c.ctx, c.q, func(first, last int64) ([]int64, error) {
			from, to := time.Unix(0, first), time.Unix(0, last).Add(1) // a nanosecond: it is shown too
			if c.f.occurredSince != everSince {
				from = time.Unix(0, c.f.occurredSince)
			}
			if c.f.occurredUntil != everUntil {
				to = time.Unix(0, c.f.occurredUntil)
			}
			err := starts(from, to)
			return occurredBounds(at), err
		})
		if truncated && counts == nil {
			return nil, nil, true, problem.Parameter("time", "too_broad", "to find the first and last match by the time of occurrence takes too long; give occurred_since and occurred_until, or narrower filters")
		}
		return at, counts, truncated, err
	}
	from, to, truncated, err := c.span()
	if err != nil || !from.Before(to) {
		return nil, nil, truncated, err
	}
	if err := starts(from, to); err != nil {
		return nil, nil, false, err
	}
	counts, cut, err := c.histogram(at)
	return at, counts, truncated || cut, err
}

// occurredBounds are times as the indexes compare them.
func occurredBounds(at []time.Time) []int64 {
	bounds := make([]int64, len(at))
	for i, t := range at {
		bounds[i] = projections.Nanoseconds(t)
	}
	return bounds
}

// appendStart appends a time in its zone, or in UTC where RFC 3339 can't say the
// offset: before there were time zones it had seconds.
func appendStart(b []byte, t time.Time) []byte {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.AppendFormat(b, time.RFC3339)
}

func (c *counter) tooMany(from, to time.Time) error {
	name, narrow := "hours", "since and until, or count by=day"
	if c.f.counting.unit == byDay {
		name, narrow = "days", "since and until"
	}
	if c.f.counting.occurred {
		narrow = strings.ReplaceAll(strings.ReplaceAll(narrow, "since", "occurred_since"), "until", "occurred_until")
	}
	return problem.Parameter("by", "too_many", "from "+from.UTC().Format(time.RFC3339)+" to "+to.UTC().Format(time.RFC3339)+
		" there are more than "+strconv.Itoa(MaxBuckets)+" "+name+"; ask for a shorter time with "+narrow)
}

// span is the time that is shown, [from, to): what was asked for, else from the
// first to the last match by the time of recording. truncated: a search for these was
// cut short, and has found no match as far as it came.
func (c *counter) span() (from, to time.Time, truncated bool, err error) {
	if c.f.counting.occurred { // else they follow from what is found
		return time.Unix(0, c.f.occurredSince), time.Unix(0, c.f.occurredUntil), false, nil
	}
	since, until := c.f.since, c.f.until
	if since != everSince {
		from = time.UnixMilli(since)
	} else {
		var found bool
		if from, found, truncated, err = c.edge(true); err != nil || !found {
			return from, from, truncated, err
		}
	}
	if until != everUntil {
		return from, time.UnixMilli(until), truncated, nil
	}
	last, found, cut, err := c.edge(false)
	if err != nil || !found {
		return from, from, truncated || cut, err
	}
	return from, last.Add(1), truncated || cut, nil // a nanosecond: it is shown too
}

// edge is the time at which the oldest or the newest match was recorded, or how far
// the search for it came.
func (c *counter) edge(oldest bool) (at time.Time, found, truncated bool, err error) {
	if c.none {
		return at, false, false, nil
	}
	q := c.q
	q.Oldest, q.Limit, q.Order = oldest, 1, projections.ByRecorded
	page, err := c.view.Page(c.ctx, q)
	if err != nil || len(page.Indexes) == 0 && !page.Truncated {
		return at, false, false, err
	}
	err = c.api.each(c.f.turn, []uint64{min(page.Last.Index, c.q.To-1)}, func(leaf *chain.Leaf, _ chain.Hash) error {
		at = recordedAt(&leaf.Entry)
		return nil
	})
	return at, true, page.Truncated && len(page.Indexes) == 0, err
}

// histogram counts what matches between each start and the next.
func (c *counter) histogram(at []time.Time) ([]uint64, bool, error) {
	if c.none {
		return make([]uint64, len(at)-1), false, nil
	}
	if c.f.counting.occurred {
		return c.view.HistogramOccurred(c.ctx, c.q, occurredBounds(at))
	}
	// A day without entries begins and ends at one index: the indexes are asked for
	// the others.
	index := make([]uint64, len(at))
	bounds := make([]uint64, 0, len(at))
	for i, t := range at {
		if err := c.ctx.Err(); err != nil {
			return nil, false, err
		}
		var err error
		if index[i], err = c.api.indexAt(c.view, t.UnixMilli()); err != nil {
			return nil, false, err
		}
		if i == 0 || index[i] > index[i-1] {
			bounds = append(bounds, index[i])
		}
	}
	counts := make([]uint64, len(at)-1)
	if len(bounds) < 2 {
		return counts, false, nil
	}
	found, truncated, err := c.view.Histogram(c.ctx, c.q, bounds)
	if err != nil {
		return nil, false, err
	}
	for i, next := 0, 0; i < len(counts); i++ {
		if index[i+1] > index[i] {
			counts[i] = found[next]
			next++
		}
	}
	return counts, truncated, nil
}
