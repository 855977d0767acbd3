package query

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"annals/activity"
	"annals/internal/problem"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

// Where a parameter stands.
const (
	inPath  = "path"
	inQuery = "query"
)

// Bounds of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// parameter is one thing that a request can say. parse puts it into the filter;
// a code says that it is refused, and why.
type parameter struct {
	name, in string
	about    string
	example  any
	schema   huma.Schema
	parse    func(f *filter, said said, value string) (code problem.Code, why string)

	// A filter may be repeated: any of its values. A ! after its name turns it
	// round: none of them. Of a list, one value is several, between commas. What is
	// dotted goes on with a name of the client's.
	filter, list, dotted bool

	names func() string // ends about, where the names are not this package's
}

// said is what of a filter stands in the parameter's name.
type said struct {
	not  bool
	name string // after the dot
}

// parameters is every parameter there is, by the name that operations use; a new
// one is a new row, and a new filter a row of filters.
var parameters = map[string]*parameter{
	"ws": {
		name: "ws", in: inPath, example: "ws_7",
		about:  "The workspace. `_system` holds what belongs to none: control entries, and rejections whose workspace is unknown.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^([A-Za-z0-9-][A-Za-z0-9_-]{0,63}|_system)$`},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.workspace = v
			switch {
			case activity.ValidWorkspace(v), v == activity.SystemWorkspace:
				return "", ""
			case strings.HasPrefix(v, "_"):
				return "reserved_workspace", "names that begin with _ are the system's; there is only _system"
			}
			return "invalid_workspace", "a workspace is 1 to 64 of A-Z a-z 0-9 _ -"
		},
	},
	"id": {
		name: "id", in: inPath, example: "user:1",
		about:  "The user's id, percent-encoded: `actor.id` or `on_behalf_of.id`.",
		schema: identifier,
		parse: func(f *filter, s said, v string) (problem.Code, string) {
			f.pathID = v
			return filters["user"].parse(f, s, v)
		},
	},
	"object-type": {
		name: "type", in: inPath, example: "app",
		about:  "The object's type, percent-encoded.",
		schema: huma.Schema{Type: huma.TypeString, MinLength: ptr(1)},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.typ = v
			return text(v)
		},
	},
	"object-id": {
		name: "id", in: inPath, example: "ops/42",
		about:  "The object's id, percent-encoded.",
		schema: identifier,
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if code, why := id(v); code != "" {
				return code, why
			}
			f.pathID = v
			return f.add(projections.FieldObject, false, projections.Value{A: f.typ, B: v})
		},
	},
	"ulid": {
		name: "ulid", in: inPath, example: "01K9Z0W3QH0000000000000005",
		about:  "The entry's ULID: 26 characters of Crockford's base 32, in either case.",
		schema: huma.Schema{Type: huma.TypeString, MinLength: ptr(26), MaxLength: ptr(26)},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			u, code, why := parseULID(v)
			f.ulid = u
			return code, why
		},
	},
	// The two of a tile are read from the path as it was written: see parseTile.
	"level": {
		name: "level", in: inPath, example: "0",
		about:  "The tile's level: 0 to 63.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^[0-9]{1,2}$`},
		parse:  func(*filter, said, string) (problem.Code, string) { return "", "" },
	},
	"tile": {
		name: "n", in: inPath, example: "x001/x234/067.p/112",
		about:  "The tile's number in groups of three digits, all but the last behind an `x`, with slashes between them that are not encoded; `.p/W` for the first W of 256.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$`},
		parse:  func(*filter, said, string) (problem.Code, string) { return "", "" },
	},
	"limit": {
		name: "limit", in: inQuery, example: 50,
		// Clamped, not refused: "cap" is the contract's word, and a script that asks
		// for 5,000 follows next_cursor to the same records. Nothing is lost to it.
		about:  "Records on a page, at least 1. More than 1000 is taken as 1000.",
		schema: huma.Schema{Type: huma.TypeInteger, Minimum: ptr(1.0), Default: DefaultLimit},
		parse: func(f *filter, _ said, v string) (code problem.Code, why string) {
			f.limit, code, why = atLeastOne("limit", v, MaxLimit)
			return code, why
		},
	},
	"cursor": {
		name: "cursor", in: inQuery,
		about:  "`next_cursor` of the page before, with the same filters and order. It is bound to them, and to the tree size of the first page.",
		schema: huma.Schema{Type: huma.TypeString, MinLength: ptr(cursorText), MaxLength: ptr(cursorText)},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.cursor = v // opened once all of the filter is known
			return "", ""
		},
	},
	"as_of": {
		name: "as_of", in: inQuery, example: 1048576,
		about: "Answer as the ledger stood at this tree size: the same entries, total and root, whenever it is asked. " +
			"`as_of.size` of an earlier answer is one; beyond what the indexes hold it is `behind`. Default: as many entries as the indexes hold.",
		schema: huma.Schema{Type: huma.TypeInteger, Minimum: ptr(0.0)},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			size, err := strconv.ParseUint(v, 10, 63)
			if err != nil || v[0] == '+' {
				return "invalid_size", "a tree size is a whole number, at least 0"
			}
			f.asOf, f.then = size, true
			return "", ""
		},
	},
	"order": {
		name: "order", in: inQuery, example: "occurred",
		about: "What the page is in the order of: recorded, the ledger's own; or occurred, when it happened as the record says (`occurred_at`), " +
			"and where it says nothing that can be read, when it was recorded. What occurred at one time is in the ledger's order.",
		schema: choice("recorded", "occurred"),
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			switch v {
			case "recorded":
				f.order = projections.ByRecorded
			case "occurred":
				f.order = projections.ByOccurred
			default:
				return "unknown_order", strconv.Quote(v) + " is no order; use recorded or occurred"
			}
			return "", ""
		},
	},
	"first": {
		name: "first", in: inQuery, example: "oldest",
		about:  "Where the order begins: newest or oldest.",
		schema: choice("newest", "oldest"),
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != "newest" && v != "oldest" {
				return "unknown_order", strconv.Quote(v) + " is no end to begin at; use newest or oldest"
			}
			f.oldest = v == "oldest"
			return "", ""
		},
	},
	"with": {
		name: "with", in: inQuery, example: "sentence",
		about:  "What to add to each item: sentence, what the record tells in words. It is not there unasked because it takes longer than the rest of the page.",
		schema: huma.Schema{Type: huma.TypeString, Enum: []any{"sentence"}},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != "sentence" {
				return "unknown_addition", strconv.Quote(v) + " can't be added; there is sentence"
			}
			f.sentence = true
			return "", ""
		},
	},
	"since": {
		name: "since", in: inQuery, example: "2026-11-01T00:00:00Z",
		about:  "Recorded at or after this time (RFC 3339).",
		schema: huma.Schema{Type: huma.TypeString, Format: "date-time"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			return recorded(&f.since, v)
		},
	},
	"until": {
		name: "until", in: inQuery, example: "2026-12-01T00:00:00Z",
		about:  "Recorded before this time (RFC 3339).",
		schema: huma.Schema{Type: huma.TypeString, Format: "date-time"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			return recorded(&f.until, v)
		},
	},
	"updated_since": {
		name: "updated_since", in: inQuery, example: "2026-11-01T00:00:00Z",
		about:  "Recorded, or amended, at or after this time (RFC 3339).",
		schema: huma.Schema{Type: huma.TypeString, Format: "date-time"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			return recorded(&f.updatedSince, v)
		},
	},
	"occurred_since": {
		name: "occurred_since", in: inQuery, example: "2026-11-01T00:00:00Z",
		about:  "Occurred at or after this time (RFC 3339), to the nanosecond. What `occurred` means is said at `order`.",
		schema: huma.Schema{Type: huma.TypeString, Format: "date-time"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			return occurred(&f.occurredSince, v)
		},
	},
	"occurred_until": {
		name: "occurred_until", in: inQuery, example: "2026-12-01T00:00:00Z",
		about:  "Occurred before this time (RFC 3339), to the nanosecond.",
		schema: huma.Schema{Type: huma.TypeString, Format: "date-time"},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			code, why := occurred(&f.occurredUntil, v)
			if f.occurredUntil == everSince {
				f.occurredUntil++ // what occurred before 64 bits begin counts as their first
			}
			return code, why
		},
	},
}

// parseULID reads a ULID.
func parseULID(v string) (ulid.ULID, problem.Code, string) {
	u, err := ulid.ParseStrict(v)
	if err != nil {
		return ulid.ULID{}, "invalid_ulid", "a ULID is 26 characters of Crockford's base 32, the first at most 7"
	}
	return u, "", ""
}

var identifier = huma.Schema{Type: huma.TypeString, MinLength: ptr(1), MaxLength: ptr(activity.MaxID)}

// choice is one of a few words, the first of which goes without saying.
func choice(words ...any) huma.Schema {
	return huma.Schema{Type: huma.TypeString, Enum: words, Default: words[0]}
}

// atLeastOne reads a whole number from 1, and takes what is more than most for
// most.
func atLeastOne(what, v string, most int) (n int, code problem.Code, why string) {
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			n = 0
			break
		}
		n = min(n*10+int(c-'0'), most) // never overflows: it is clamped as it grows
	}
	if n == 0 {
		return 0, problem.Code("invalid_" + what), "it is a whole number, at least 1"
	}
	return n, "", ""
}

// id holds an id to what a record's can be.
func id(v string) (problem.Code, string) {
	if len(v) > activity.MaxID {
		return "id_too_long", "an id has at most " + strconv.Itoa(activity.MaxID) + " bytes, this one has " + strconv.Itoa(len(v))
	}
	return text(v)
}

func text(v string) (problem.Code, string) {
	switch {
	case v == "":
		return "empty", "it is empty"
	case !utf8.ValidString(v):
		return "invalid_utf8", "it is not UTF-8, and no record's can be"
	}
	return "", ""
}

func instant(v string) (time.Time, problem.Code, string) {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return t, "invalid_time", "a time is RFC 3339, such as 2026-11-22T08:00:00Z; percent-encode a + in the query as %2B"
	}
	return t, "", ""
}

// recorded reads a time as milliseconds since 1970, rounded up: what is recorded
// is known to the millisecond, so "at or after" and "before" mean the next one.
func recorded(into *int64, v string) (problem.Code, string) {
	t, code, why := instant(v)
	if code != "" {
		return code, why
	}
	*into = t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		*into++
	}
	return "", ""
}

// occurred reads a time as nanoseconds since 1970; what 64 bits don't hold is
// the last that they do, as in the indexes.
func occurred(into *int64, v string) (problem.Code, string) {
	t, code, why := instant(v)
	if code == "" {
		*into = projections.Nanoseconds(t)
	}
	return code, why
}

func ptr[T any](v T) *T { return &v }
