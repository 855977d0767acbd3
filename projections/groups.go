package projections

import (
	"strings"

	"annals/activity"
)

// Groups have no lists. A type is in one group, that of the definition by which the
// question's vocabulary tells it, and a group is asked for as the lists of its types: so
// a workspace settles its groups anew at any time, and nothing of the indexes is.

// groups is the vocabulary that says which group a type is in.
func (q *Query) groups() *activity.Vocabulary {
	if q.Groups == nil {
		return activity.Catalogue()
	}
	return q.Groups
}

// group adds the sources of a group's types to a term; ranging says that one is a range.
func (w *walk) group(t *term, group string) (ranging bool) {
	g, _ := w.groups.Group(group)
	for _, slug := range g.Types {
		stem, many := strings.CutSuffix(slug, "*")
		lo, hi := FieldType.names(w.workspace, Value{A: stem, Prefix: many})
		switch {
		case many:
			s := &span{w: w, lo: append(lo, 1), hi: hi} // a prefix of the catalogue goes on: it is no type itself
			if w.groups.Overlay() != nil {
				s.only = w.only(group)
			}
			t.sources, ranging = append(t.sources, s), true
		case w.groups.GroupOf(slug) == group: // else a prefix of the workspace's goes before it
			t.sources = append(t.sources, newStream(w, lo))
		}
	}
	return ranging
}

// only reports which names of lists are those of types in a group. What a workspace says
// of one type or of a longer beginning may take it out of what a prefix has.
func (w *walk) only(group string) func(name []byte) (bool, error) {
	var last string
	var is bool
	return func(name []byte) (bool, error) {
		if last == string(name) { // the lists of a type stand together
			return is, nil
		}
		v, err := FieldType.cutName(name[listPrefix:])
		if err != nil {
			return false, damaged(name, err)
		}
		last, is = string(name), w.groups.GroupOf(v.A) == group
		return is, nil
	}
}
