package projections

import (
	"net/netip"
	"strings"

	"annals/activity"
	"annals/ledger/chain"
)

// Matcher tells of one leaf what the indexes say of its entry, without them. It
// is not for concurrent use.
type Matcher struct {
	q      Query
	bad    bool // the question is malformed: nothing matches
	kinds  uint16
	from   int64
	to     int64
	reader reader
	found  bool
	say    func(a, b string)
	at     *condition
	where  []condition
}

// condition is one that is made ready.
type condition struct {
	Condition
	groups   *activity.Vocabulary
	networks []netip.Prefix // of an address's values; those that are none are invalid
}

// Matcher returns a matcher for the question, but not for its page. Of a
// malformed question ([Query.Check]) nothing matches.
func (q *Query) Matcher() *Matcher {
	m := &Matcher{q: *q, bad: q.Check() != nil}
	m.from, m.to = q.times()
	m.q.From = max(q.From, q.UpdatedFrom)
	for _, k := range q.kinds() {
		m.kinds |= 1 << k
	}
	for _, c := range q.Where {
		made := condition{Condition: c, groups: q.groups()}
		if c.Field == FieldIP {
			for _, v := range c.Any {
				p, _ := network(v.A)
				made.networks = append(made.networks, p)
			}
		}
		m.where = append(m.where, made)
	}
	m.say = func(a, b string) { m.found = m.found || m.at.holds(a, b) }
	return m
}

// Match reports whether the question finds the leaf.
func (m *Matcher) Match(leaf *chain.Leaf) bool {
	e := &leaf.Entry
	if m.bad || e.Workspace != m.q.Workspace || m.kinds&(1<<e.Kind) == 0 ||
		e.Index < m.q.From || m.q.To != 0 && e.Index >= m.q.To ||
		m.q.UpdatedTo != 0 && e.Index >= m.q.UpdatedTo {
		return false
	}
	defer m.reader.forget()
	f := m.reader.read(leaf)
	if t := occurredAt(e, f.keys); t < m.from || t >= m.to && m.to != maxTime {
		return false
	}
	for i := range m.where {
		m.at, m.found = &m.where[i], false
		field := m.at.Field
		if field == FieldGroup {
			field = FieldType
		}
		f.has(field, m.say)
		if m.found == m.at.Not {
			return false
		}
	}
	return true
}

// holds reports whether a value is one that is asked for.
func (c *condition) holds(a, b string) bool {
	for i := range c.Any {
		v := &c.Any[i]
		switch {
		case c.Field == FieldGroup:
			if c.groups.GroupOf(a) == v.A {
				return true
			}
		case c.Field == FieldIP && !v.Prefix:
			if c.networks[i].IsValid() {
				if at, err := netip.ParseAddr(a); err == nil && c.networks[i].Contains(at.Unmap()) {
					return true
				}
			} else if canonicalAddress(a) == canonicalAddress(v.A) {
				return true
			}
		case !v.Prefix:
			if a == v.A && b == v.B {
				return true
			}
		case !c.Field.paired():
			if strings.HasPrefix(a, v.A) {
				return true
			}
		case v.A == "" && v.B == "" || a == v.A && strings.HasPrefix(b, v.B):
			return true
		}
	}
	return false
}

// canonicalAddress returns an address in the form in which it is compared.
func canonicalAddress(text string) string { return string(appendAddress(nil, text)) }
