package projections

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
)

// Count answers with how many entries there are, exactly. What was asked a short
// while ago is counted on from there: only what is new.
func (v *View) Count(ctx context.Context, q Query) (Count, error) {
	key := q.canonical()
	return v.countFrom(ctx, &q, key, v.counted(&q, key))
}

// counted is what is known of a question's count: nothing where its size is that of
// the question's beginning.
func (v *View) counted(q *Query, key string) counted {
	lo, hi := q.span(v.size)
	known := counted{size: lo}
	if !q.updated() { // which later entries change
		known = v.past.counts.get(key)
	}
	if known.size > hi || known.size <= lo {
		known = counted{size: lo}
	}
	return known
}

// remember keeps a count of all that the question is of.
func (v *View) remember(q *Query, key string, n uint64) {
	if lo, hi := q.span(v.size); lo < hi && !q.updated() {
		v.past.counts.put(key, counted{size: hi, n: n})
	}
}

// countFrom counts on from what is known.
func (v *View) countFrom(ctx context.Context, q *Query, key string, known counted) (Count, error) {
	_, hi := q.span(v.size)
	w, err := v.plan(ctx, q, known.size, hi)
	if err != nil {
		return Count{}, err
	}
	defer w.close()
	w.number = true
	n := known.n
	end, err := w.each(true, func(_ uint64, found *set) (bool, error) {
		n += uint64(found.n)
		return true, nil
	})
	if err != nil {
		return Count{}, v.failed(ctx, err)
	}
	if end.found == unlooked {
		return Count{N: n, Truncated: true}, nil
	}
	v.remember(q, key, n)
	return Count{N: n}, nil
}

// canonical prints what a question counts, up to its end: two questions of one
// form have one count at one size.
func (q *Query) canonical() string {
	b := append(make([]byte, 0, 256), q.Workspace[:]...)
	b = binary.AppendUvarint(b, q.From)
	b = binary.AppendVarint(b, q.OccurredFrom)
	b = binary.AppendVarint(b, q.OccurredTo)
	for _, k := range q.kinds() {
		b = append(b, byte(k))
	}
	var conditions []string
	for _, c := range q.Where {
		var values []string
		for _, v := range c.Any {
			value := binary.AppendUvarint(nil, uint64(len(v.A)))
			value = append(append(value, v.A...), v.B...)
			if v.Prefix {
				value = append(value, 1)
			} else {
				value = append(value, 0)
			}
			values = append(values, string(value))
		}
		key := []byte{byte(c.Field), not(c.Not)}
		if c.Field == FieldGroup {
			grouping := q.groups().Grouping()
			key = append(key, grouping[:]...)
		}
		conditions = append(conditions, printed(key, values))
	}
	return printed(append(b, 0), conditions)
}

func not(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// printed prints parts whose order says nothing.
func printed(b []byte, parts []string) string {
	slices.Sort(parts)
	for _, p := range slices.Compact(parts) {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return string(b)
}

// mostCounts is how many counts are remembered: at least so many of the latest,
// at most twice as many. A longer question than mostQuestion bytes isn't.
const (
	mostCounts   = 2048
	mostQuestion = 4096
)

// counts remembers what was counted. When the young ones are many, they are the
// old ones, and the old ones forgotten.
type counts struct {
	mu         sync.Mutex
	young, old map[string]counted
}

// counted is how many entries below size a question has.
type counted struct{ size, n uint64 }

func (c *counts) get(key string) counted {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.young[key]; ok {
		return known
	}
	return c.old[key]
}

// put remembers the count of the larger size.
func (c *counts) put(key string, n counted) {
	if len(key) > mostQuestion {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.young[key]
	if !ok {
		known = c.old[key]
	}
	if known.size > n.size {
		n = known
	}
	if len(c.young) >= mostCounts && !ok {
		c.young, c.old = nil, c.young
	}
	if c.young == nil {
		c.young = make(map[string]counted)
	}
	c.young[key] = n
}
