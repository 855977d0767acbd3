package activity

import (
	"fmt"
	"slices"
	"strings"
)

// A sentence's template is text with holes:
//
//	{actor} {object} {on_behalf_of} {event} {ip}   what the record says
//	{field}         a field of data, quoted, with its object's noun before it
//	{field:name}    quoted, without the noun
//	{field:bare}    neither
//	[ from {field}] a part that is left out when a hole in it has no value
//	[{field}|text]  the same, with something else in its place
//
// Only {actor} and {object} may stand outside brackets or after the bar: they
// always have something to say.

// template is a sentence taken apart.
type template []piece

// piece is text, a hole, or a bracket with its alternative.
type piece struct {
	text      string
	hole      string
	style     holeStyle
	field     *Field // of the hole, nil for one that the record itself fills
	bracket   template
	otherwise template
}

type holeStyle uint8

const (
	styleFull holeStyle = iota // station "S 4"
	styleName                  // "S 4"
	styleBare                  // S 4
)

// always are the holes that can be filled from any record, sometimes those that
// a record may fill without a field of data.
var (
	always    = []string{"actor", "object"}
	sometimes = []string{"on_behalf_of", "event", "ip"}
)

func parseTemplate(s string, fields []Field) (template, error) {
	if s == "" {
		return nil, fmt.Errorf("it has no sentence")
	}
	var out template
	for s != "" {
		open := strings.IndexByte(s, '[')
		if open < 0 {
			open = len(s)
		}
		plain, err := parseHoles(s[:open], fields, false)
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
		if s = s[open:]; s == "" {
			break
		}
		inside, rest, ok := strings.Cut(s[1:], "]")
		if !ok {
			return nil, fmt.Errorf("a bracket stays open in %q", s)
		}
		inside, otherwise, _ := strings.Cut(inside, "|")
		bracket, err := parseHoles(inside, fields, true)
		if err != nil {
			return nil, err
		}
		instead, err := parseHoles(otherwise, fields, false)
		if err != nil {
			return nil, err
		}
		out = append(out, piece{bracket: bracket, otherwise: instead})
		s = rest
	}
	return out, nil
}

func parseHoles(s string, fields []Field, bracket bool) (template, error) {
	var out template
	for s != "" {
		text, rest, ok := strings.Cut(s, "{")
		if text != "" {
			out = append(out, piece{text: text})
		}
		if !ok {
			break
		}
		inside, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, fmt.Errorf("a hole stays open in %q", s)
		}
		name, style, _ := strings.Cut(inside, ":")
		p := piece{hole: name}
		switch style {
		case "":
		case "name":
			p.style = styleName
		case "bare":
			p.style = styleBare
		default:
			return nil, fmt.Errorf("{%s} has an unknown style", inside)
		}
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Slug == name })
		switch {
		case slices.Contains(always, name):
		case !bracket:
			return nil, fmt.Errorf("{%s} may have no value, so it stands in brackets", name)
		case i >= 0:
			p.field = &fields[i]
		case !slices.Contains(sometimes, name):
			return nil, fmt.Errorf("{%s} is no field of it", name)
		}
		out = append(out, p)
		s = rest
	}
	return out, nil
}
