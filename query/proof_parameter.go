package query

import (
	"strconv"

	"annals/internal/problem"
	"annals/ledger/proof"

	"github.com/danielgtaylor/huma/v2"
)

// proving is what a request for a proof asks.
type proving struct {
	bare     bool // without the payload
	ask      proof.Grade
	from, to uint64
	ends     bool // to was given
}

func init() {
	parameters["proof-payload"] = &parameter{
		name: "payload", in: inQuery, example: "false",
		about:  "false: leave out what was published, and show only what it was committed to with. Whoever has the bytes still proves that it is of them.",
		schema: choice("true", "false"),
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != "true" && v != "false" {
				return "unknown_choice", strconv.Quote(v) + " is neither true nor false"
			}
			f.proving.bare = v == "false"
			return "", ""
		},
	}
	parameters["proof-wait"] = &parameter{
		name: "wait", in: inQuery, example: "witnessed",
		about:  "witnessed: wait, 20 s at most, for a checkpoint that enough witnesses cosigned. Where none comes the answer is the one without it; Annals-Grade says which it is.",
		schema: choice(string(proof.Witnessed)),
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != string(proof.Witnessed) {
				return "unknown_choice", strconv.Quote(v) + " is not witnessed: without it the answer waits for the ledger's own signature"
			}
			f.proving.ask = proof.Witnessed
			return "", ""
		},
	}
	parameters["consistency-from"] = sizeParameter("from", "The size of the tree that the other begins with: of a checkpoint that you remember.", 1000,
		func(f *filter, size uint64) { f.proving.from = size })
	parameters["consistency-to"] = sizeParameter("to", "The size of the larger tree. Default: the last published checkpoint's.", 1048576,
		func(f *filter, size uint64) { f.proving.to, f.proving.ends = size, true })
}

// sizeParameter is a tree size.
func sizeParameter(name, about string, example int, set func(*filter, uint64)) *parameter {
	return &parameter{
		name: name, in: inQuery, example: example, about: about,
		schema: huma.Schema{Type: huma.TypeInteger, Minimum: ptr(0.0)},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			size, err := strconv.ParseUint(v, 10, 63)
			if err != nil || v[0] == '+' {
				return "invalid_size", "a tree size is a whole number, at least 0"
			}
			set(f, size)
			return "", ""
		},
	}
}
