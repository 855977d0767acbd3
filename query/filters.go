package query

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"annals/activity"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
)

// filters are the parameters that say what an entry must be: rows of
// [parameters] too, for every operation that looks for entries. Of different
// ones all must hold; of one repeated, any.
var filters = map[string]*parameter{
	"kind": {
		list: true, example: "record,conflict",
		about:  "Kinds of entries: record, duplicate, conflict, rejection, control, gap. Where neither `kind` nor `kind!` is given: record and conflict.",
		schema: huma.Schema{Type: huma.TypeString, Default: "record,conflict"},
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			k, err := chain.ParseKind(v)
			switch {
			case err != nil:
				return "unknown_kind", strconv.Quote(v) + " is no kind; use record, duplicate, conflict, rejection, control or gap, separated by commas"
			case said.not:
				f.none |= 1 << k
			default:
				f.any |= 1 << k
			}
			return "", ""
		},
	},
	"user": {
		example: "user:1",
		about:   "What this user did, or what was done on their behalf.",
		schema:  identifier,
		parse:   plain(projections.FieldUser, id),
	},
	"object": {
		example: "app/ops/42",
		about: "Records of this object, or that link it: type/id. The type ends at the first slash, and is percent-encoded by itself, before the query is: " +
			"of the type `a/b` the object 7 is `a%2Fb/7`. The id is taken as it is, and may hold anything. Without an id, `app/`: every object of the type.",
		schema: reference,
		parse:  objectIn(projections.FieldObject),
	},
	"linked": {
		example: "app/ops/42",
		about:   "Records that link this object: type/id, or type/, written as for `object`.",
		schema:  reference,
		parse:   objectIn(projections.FieldLinked),
	},
	"type": {
		list: true, example: "app.renamed",
		about:  "Records of this activity type. With a * at its end, of every type that begins so: `app.*`.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^[A-Za-z0-9_.-]{1,128}\*?(,[A-Za-z0-9_.-]{1,128}\*?)*$`},
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			v, prefix := strings.CutSuffix(v, "*")
			if !activity.ValidType(v) && !(prefix && v == "_") {
				return "invalid_type", "a type is 1 to 128 of A-Z a-z 0-9 _ . - and not _ alone; a * may follow, for every type that begins so"
			}
			return f.add(projections.FieldType, said.not, projections.Value{A: v, Prefix: prefix})
		},
	},
	"group": {
		list: true, example: "app",
		about:  "Records whose type stands in this group of the activity catalogue, or of the workspace's own: ",
		names:  groups,
		schema: nonEmpty,
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			if !activity.ValidType(v) {
				return unknownGroup(v, activity.Catalogue())
			}
			return f.add(projections.FieldGroup, said.not, projections.Value{A: v})
		},
	},
	"source": {
		example: "web",
		about:   "Records of this `source`, as it was written.",
		schema:  nonEmpty,
		parse:   plain(projections.FieldSource, text),
	},
	"outcome": {
		example: "denied",
		about:   "Records of this `outcome`, as it was written.",
		schema:  nonEmpty,
		parse:   plain(projections.FieldOutcome, text),
	},
	"session": {
		example: "s_1",
		about:   "Records of this session: `context.session_id`.",
		schema:  nonEmpty,
		parse:   plain(projections.FieldSession, text),
	},
	"ip": {
		example: "10.0.0.0/8",
		about:   "Records from this address: `context.ip`, however it was written; or from this network, such as 10.0.0.0/8 or 2001:db8::/32.",
		schema:  nonEmpty,
		parse:   plain(projections.FieldIP, network),
	},
	"grade": {
		list: true, example: "verified,delegated",
		about:  "How it is known who acted: verified, delegated, asserted, anonymous; or none, where nobody did.",
		schema: nonEmpty,
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			for g := chain.GradeNone; g <= chain.GradeVerified; g++ {
				if g.String() == v {
					return f.add(projections.FieldGrade, said.not, projections.Value{A: v})
				}
			}
			return "unknown_grade", strconv.Quote(v) + " is no grade; use verified, delegated, asserted, anonymous or none, separated by commas"
		},
	},
	"amends": {
		example: "01K9Z0W3QH0000000000000005",
		about:   "Records that amend this entry: its ULID.",
		schema:  huma.Schema{Type: huma.TypeString, MinLength: ptr(26), MaxLength: ptr(26)},
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			u, code, why := parseULID(v)
			if code != "" {
				return code, why
			}
			_, index := chain.SplitULID(u)
			return f.add(projections.FieldAmends, said.not, projections.Value{A: strconv.FormatUint(index, 10)})
		},
	},
	"dimension": {
		dotted: true, example: map[string]any{"dimension.org": []string{"org_1"}},
		about: "Records with this value in one of their `dimensions`: `dimension.NAME=VALUE`. NAME is percent-encoded by itself, before the query is, where it holds % or ends in !: " +
			"of the name `new!` it is `new%21`. Of different names all must hold.",
		schema: huma.Schema{
			Type:                 huma.TypeObject,
			AdditionalProperties: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}},
			Extensions:           map[string]any{"propertyNames": map[string]any{"pattern": `^dimension\..+$`}},
		},
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			if code, why := text(v); code != "" {
				return code, why
			}
			return f.add(projections.FieldDimension, said.not, projections.Value{A: said.name, B: v})
		},
	},
}

// filterNames are the filters in the order that documents show them.
var filterNames = []string{"kind", "user", "object", "linked", "type", "group", "source", "outcome", "session", "ip", "grade", "dimension", "amends"}

func init() {
	for name, p := range filters {
		p.name, p.in, p.filter = name, inQuery, true
		parameters[name] = p
	}
}

var (
	nonEmpty  = huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
	reference = huma.Schema{Type: huma.TypeString, Pattern: `^[^/]+/[\s\S]*$`}
)

// plain takes a value as it is, if it passes.
func plain(field projections.Field, check func(string) (problem.Code, string)) func(*filter, said, string) (problem.Code, string) {
	return func(f *filter, said said, v string) (problem.Code, string) {
		if code, why := check(v); code != "" {
			return code, why
		}
		return f.add(field, said.not, projections.Value{A: v})
	}
}

// objectIn reads type/id.
func objectIn(field projections.Field) func(*filter, said, string) (problem.Code, string) {
	return func(f *filter, said said, v string) (problem.Code, string) {
		typ, of, cut := strings.Cut(v, "/")
		typ, err := url.PathUnescape(typ)
		switch {
		case !cut || typ == "" && err == nil:
			return "invalid_object", "an object is type/id; every object of a type is type/"
		case err != nil:
			return "invalid_object", "an object is type/id, and the type is percent-encoded by itself: / is %2F, % is %25"
		}
		if code, why := text(typ); code != "" {
			return code, why
		}
		if of != "" {
			if code, why := id(of); code != "" {
				return code, why
			}
		}
		return f.add(field, said.not, projections.Value{A: typ, B: of, Prefix: of == ""})
	}
}

// network holds what looks like a network to being one. Anything else may stand
// in a record's context.ip, and be asked for.
func network(v string) (problem.Code, string) {
	if host, _, is := strings.Cut(v, "/"); is {
		if _, err := netip.ParseAddr(host); err == nil {
			if _, err := netip.ParsePrefix(v); err != nil {
				return "invalid_network", strconv.Quote(v) + " is no network; one looks like 10.0.0.0/8 or 2001:db8::/32"
			}
		}
	}
	return text(v)
}

// groups lists the published catalogue's groups.
func groups() string { return groupsOf(activity.Catalogue()) }

func groupsOf(words *activity.Vocabulary) string {
	var slugs []string
	for _, g := range words.Groups() {
		slugs = append(slugs, g.Slug)
	}
	return strings.Join(slugs, ", ")
}

func unknownGroup(group string, words *activity.Vocabulary) (problem.Code, string) {
	return "unknown_group", strconv.Quote(group) + " is no group of the catalogue; there is " + groupsOf(words)
}
