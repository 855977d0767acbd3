package query

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
)

// parse reads a request's parameters. A parameter that is unknown, empty or given
// twice where once is meant is refused: a filter that is silently dropped would
// widen an answer.
func (f *filter) parse(ps []*parameter, r *http.Request) error {
	f.reset()
	for _, p := range ps {
		if p.in != inPath {
			continue
		}
		if code, why := p.parse(f, said{}, pathValue(r, p.name)); code != "" {
			return problem.Parameter(p.name, code, why)
		}
	}
	// By hand: the standard library's map would be most of the garbage of a page.
	given := uint64(0) // which of ps
	for rest := r.URL.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, err := splitPair(pair)
		if err != nil {
			return problem.New(problem.BadRequest, "the query does not parse: %v; percent-encode values", err)
		}
		at, said, err := find(ps, name)
		if err != nil {
			return err
		}
		if value == "" {
			return problem.Parameter(name, "empty", "it has no value; leave it out instead")
		}
		p := ps[at]
		if !p.filter && given&(1<<at) != 0 {
			return problem.Parameter(name, "repeated", "give it once")
		}
		given |= 1 << at
		for more := p.list; ; {
			one := value
			if p.list {
				one, value, more = strings.Cut(value, ",")
			}
			if code, why := p.parse(f, said, one); code != "" {
				return problem.Parameter(name, code, why)
			}
			if !more {
				break
			}
		}
	}
	return f.check()
}

// splitPair decodes name=value.
func splitPair(pair string) (name, value string, err error) {
	if strings.Contains(pair, ";") {
		return "", "", errSemicolon
	}
	name, value, _ = strings.Cut(pair, "=")
	if name, err = unescape(name); err != nil {
		return "", "", err
	}
	value, err = unescape(value)
	return name, value, err
}

type queryError string

func (e queryError) Error() string { return string(e) }

const errSemicolon = queryError("a semicolon stands in it, which some take for the end of a parameter; write %3B")

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// find returns the place in ps of the parameter that a name means.
func find(ps []*parameter, name string) (int, said, error) {
	var s said
	base := name
	if n := len(name); n > 0 && name[n-1] == '!' {
		base, s.not = name[:n-1], true
	}
	stem, dotted, hasDot := strings.Cut(base, ".")
	for i, p := range ps {
		switch {
		case p.in != inQuery, s.not && !p.filter:
		case p.dotted && hasDot && p.name == stem:
			var code problem.Code
			var why string
			if s.name, code, why = afterDot(dotted); code != "" {
				return 0, s, problem.Parameter(name, code, why)
			}
			return i, s, nil
		case p.name == base && !p.dotted:
			return i, s, nil
		}
	}
	why := "not a parameter here; there is " + valid(ps)
	return 0, s, problem.New(problem.UnknownParameter, "%s: %s", strconv.Quote(name), why).With(problem.Of(name, problem.UnknownParameter, why))
}

// afterDot reads the name that stands after a dot: a dimension's.
func afterDot(spelt string) (name string, code problem.Code, why string) {
	name, err := url.PathUnescape(spelt)
	if err != nil {
		return "", "invalid_name", "the name after the dot is percent-encoded by itself: % is %25"
	}
	if code, why = text(name); code != "" {
		why = "of the name after the dot: " + why
	}
	return name, code, why
}

// valid lists the query's parameters.
func valid(ps []*parameter) string {
	var names []string
	filters := false
	for _, p := range ps {
		if p.in != inQuery {
			continue
		}
		name := p.name
		if p.dotted {
			name += ".NAME"
		}
		names = append(names, name)
		filters = filters || p.filter
	}
	if names == nil {
		return "none"
	}
	list := strings.Join(names, ", ")
	if filters {
		list += "; a ! after a filter's name, as in kind!, means none of the values"
	}
	return list
}

// document is the parameter in OpenAPI: itself, and turned round where it can be.
func (p *parameter) document() []*huma.Param {
	about, schema := p.about, p.schema
	if p.names != nil {
		about += p.names() + "."
	}
	doc := &huma.Param{Name: p.name, In: p.in, Required: p.in == inPath, Description: about, Schema: &schema, Example: p.example}
	if !p.filter {
		return []*huma.Param{doc}
	}
	doc.Description += " Repeated: any of them."
	if p.list {
		doc.Description += " Commas do the same."
	}
	if p.dotted {
		// An object whose members are parameters of their own.
		doc.Style, doc.Explode = "form", ptr(true)
		doc.Description += " With a ! after NAME: none of them."
		return []*huma.Param{doc}
	}
	doc.Schema = &huma.Schema{Type: huma.TypeArray, Items: &schema, MaxItems: ptr(MaxValues)}
	doc.Style, doc.Explode = "form", ptr(true)
	doc.Example = []any{p.example}
	return []*huma.Param{doc, {
		Name: p.name + "!", In: p.in, Schema: doc.Schema, Style: doc.Style, Explode: doc.Explode, Example: doc.Example,
		Description: "None of these: `" + p.name + "` turned round. Entries to which `" + p.name + "` says nothing are found too.",
	}}
}
