package catalogue

import (
	"fmt"
	"slices"

	"annals/activity"
)

// Over lays a catalogue over another: what both have is the upper one's, in the lower
// one's order. Strict it is where one of them is.
func Over(lower, upper *activity.Overlay) *activity.Overlay {
	out := &activity.Overlay{
		Strict:  lower.Strict || upper.Strict,
		Groups:  over(lower.Groups, upper.Groups, func(g activity.OwnGroup) string { return g.Slug }),
		Objects: over(lower.Objects, upper.Objects, func(n activity.Noun) string { return n.Type }),
		Types:   over(lower.Types, upper.Types, func(t activity.OwnType) string { return t.Slug }),
		Reasons: over(lower.Reasons, upper.Reasons, func(r activity.OwnReason) string { return r.Code }),
	}
	for i := range out.Types {
		// What is published under this slug one day is not to add fields to it.
		if t := &out.Types[i]; t.Fields == nil {
			if _, published := activity.Catalogue().Definition(t.Slug); !published {
				t.Fields = []activity.OwnField{}
			}
		}
	}
	return out
}

func over[T any](lower, upper []T, key func(T) string) []T {
	out := slices.Clone(lower)
	for _, u := range upper {
		if i := slices.IndexFunc(out, func(l T) bool { return key(l) == key(u) }); i >= 0 {
			out[i] = u
		} else {
			out = append(out, u)
		}
	}
	return out
}

// Names are what is taken out of a catalogue.
type Names struct {
	Types, Groups, Objects, Reasons []string
	Strict                          bool // that it is strict
}

// Without takes what is named out of a catalogue. A name that it lacks is an error.
func Without(o *activity.Overlay, n Names) (*activity.Overlay, error) {
	out := *o
	out.Strict = o.Strict && !n.Strict
	var err error
	take := func(what string, lacks []string) {
		if len(lacks) > 0 && err == nil {
			err = fmt.Errorf("the workspace's catalogue has no %s %q", what, lacks[0])
		}
	}
	var lacks []string
	out.Types, lacks = without(o.Types, n.Types, func(t activity.OwnType) string { return t.Slug })
	take("type", lacks)
	out.Groups, lacks = without(o.Groups, n.Groups, func(g activity.OwnGroup) string { return g.Slug })
	take("group", lacks)
	out.Objects, lacks = without(o.Objects, n.Objects, func(n activity.Noun) string { return n.Type })
	take("object", lacks)
	out.Reasons, lacks = without(o.Reasons, n.Reasons, func(r activity.OwnReason) string { return r.Code })
	take("reason", lacks)
	return &out, err
}

func without[T any](list []T, names []string, key func(T) string) (left []T, lacks []string) {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(e T) bool { return key(e) == name }) {
			lacks = append(lacks, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(e T) bool { return slices.Contains(names, key(e)) }), lacks
}
