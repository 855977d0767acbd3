package query

import (
	"strconv"

	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

// lastEventID is the header in which a client that comes again says what it has
// seen (WHATWG HTML, 9.2.4).
const lastEventID = "Last-Event-ID"

const invalidULID = "a ULID is 26 of 0-9 A-H J K M N P-T V-Z, as an event's id or an item has it"

// tailing is what a request says of where its tail begins.
type tailing struct {
	after   ulid.ULID
	resumes bool // after was given
	last    int
}

func init() {
	for _, p := range []*parameter{afterParameter, lastParameter, lastEventIDParameter} {
		parameters[p.name] = p
	}
}

var ulidText = huma.Schema{Type: huma.TypeString, Pattern: ulidPattern}

var afterParameter = &parameter{
	name: "after", in: inQuery, example: "01KA2B3C4D0000000000000005",
	about:  "Begin behind this entry of the workspace: the last id that was seen. 26 zeros are before the first. The header " + lastEventID + " says the same, and wins.",
	schema: ulidText,
	parse: func(f *filter, _ said, v string) (problem.Code, string) {
		var err error
		if f.tailing.after, err = ulid.ParseStrict(v); err != nil {
			return "invalid_ulid", invalidULID
		}
		f.tailing.resumes = true
		return "", ""
	},
}

var lastParameter = &parameter{
	name: "last", in: inQuery, example: 20,
	about:  "Begin with so many of the newest records, oldest first. Default: none, and what is recorded from now on.",
	schema: huma.Schema{Type: huma.TypeInteger, Minimum: ptr(1.0), Maximum: ptr(float64(MaxLimit))},
	parse: func(f *filter, _ said, v string) (code problem.Code, why string) {
		f.tailing.last, code, why = atLeastOne("last", v, MaxLimit+1)
		if code == "" && f.tailing.last > MaxLimit {
			return "last_too_large", "a tail begins with at most " + strconv.Itoa(MaxLimit) + "; older ones are on the timeline's pages"
		}
		return code, why
	},
}

// lastEventIDParameter is documented here and read in [API.beginning]: the query's
// rows don't see headers.
var lastEventIDParameter = &parameter{
	name: lastEventID, in: "header", example: "01KA2B3C4D0000000000000005",
	about:  "The last id that the client has seen: what came after it is sent first. Browsers send it by themselves when they come again.",
	schema: ulidText,
}
