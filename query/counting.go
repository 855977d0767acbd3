package query

import (
	"strconv"
	"strings"

	"annals/internal/problem"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
)

// Bounds of counts.
const (
	DefaultTop = 20
	MaxTop     = 1000
	MaxBuckets = 10_000 // days or hours
)

// counting is what a request for counts asks besides its filters.
type counting struct {
	by        string // as it was asked
	unit      unit   // 0: by the values of field
	field     projections.Field
	dimension string
	occurred  bool
	tz        string
	top       int
	timely    string // a parameter that only days and hours have
}

func init() {
	for name, p := range countings {
		p.name, p.in = name, inQuery
		parameters[name] = p
	}
}

// countings are the parameters of counts: rows of [parameters] too.
var countings = map[string]*parameter{
	"by": {
		example: "day",
		about: "What to count by: day or hour; or the values of a field: kind, type, group, source, outcome, grade, user, object, linked, session, ip, " +
			"or dimension.NAME, the name percent-encoded as in the filter. Required.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^(day|hour|kind|type|group|source|outcome|grade|user|object|linked|session|ip|dimension\..+)$`},
		parse:  parseBy,
	},
	"time": {
		example: "occurred",
		about:   "Which time days and hours are of: recorded or occurred, as `order` means them.",
		schema:  choice("recorded", "occurred"),
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != "recorded" && v != "occurred" {
				return "unknown_time", strconv.Quote(v) + " is no time; use recorded or occurred"
			}
			f.counting.occurred, f.counting.timely = v == "occurred", "time"
			return "", ""
		},
	},
	"tz": {
		example: "Europe/Berlin",
		about:   "The time zone whose days and hours are meant: an IANA name. Default: UTC.",
		schema:  huma.Schema{Type: huma.TypeString, Default: "UTC"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.counting.tz, f.counting.timely = v, "tz" // found once it is needed
			return "", ""
		},
	},
	"top": {
		example: DefaultTop,
		about:   "Of values, how many to show, the most frequent first. More than 1000 is taken as 1000.",
		schema:  huma.Schema{Type: huma.TypeInteger, Minimum: ptr(1.0), Default: DefaultTop},
		parse: func(f *filter, _ said, v string) (code problem.Code, why string) {
			f.counting.top, code, why = atLeastOne("top", v, MaxTop)
			return code, why
		},
	},
}

func parseBy(f *filter, _ said, v string) (problem.Code, string) {
	const what = "use day, hour, kind, type, group, source, outcome, grade, user, object, linked, session, ip or dimension.NAME"
	c := &f.counting
	c.by = v
	name, dimension, dotted := strings.Cut(v, ".")
	field, known := projections.ParseField(name)
	switch {
	case v == "day":
		c.unit = byDay
	case v == "hour":
		c.unit = byHour
	case !known || field >= projections.FieldAmends || // which is a ULID to others, and what others don't ask for
		dotted != (field == projections.FieldDimension):
		return "unknown_field", strconv.Quote(v) + " is nothing to count by; " + what
	case dotted:
		var code problem.Code
		var why string
		if c.dimension, code, why = afterDot(dimension); code != "" {
			return code, why
		}
	}
	c.field = field
	return "", ""
}

// complete fills in what a request for counts leaves out, and looks at its
// parameters together.
func (f *filter) complete() error {
	c := &f.counting
	switch {
	case c.by == "":
		return problem.Parameter("by", "missing", "say what to count by: day, hour, or a field such as user or type")
	case c.unit != 0 && c.top != 0:
		return problem.Parameter("top", "not_here", "days and hours are all shown; top goes with the values of a field")
	case c.unit == 0 && c.timely != "":
		return problem.Parameter(c.timely, "not_here", "it goes with by=day and by=hour")
	}
	if c.top == 0 {
		c.top = DefaultTop
	}
	if c.tz == "" {
		c.tz = "UTC"
	}
	if c.field == projections.FieldKind && f.any|f.none == 0 {
		// A list of kinds that leaves out those that timelines leave out would say
		// that there are none.
		f.kinds = allKinds
	}
	return nil
}
