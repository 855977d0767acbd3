package problem

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Document adds to an operation the responses that these codes make, one for
// each status, naming the codes and what to do about each. The schema is the one
// that every problem has.
func Document(op *huma.Operation, registry huma.Registry, codes ...Code) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for _, c := range codes {
		row, ok := table[c]
		if !ok {
			panic(fmt.Sprintf("problem: code %q has no row; add it to the table", c))
		}
		status := strconv.Itoa(row.Status)
		line := fmt.Sprintf("`%s`: %s; %s.", c, row.Title, row.Advice)
		if at := op.Responses[status]; at != nil {
			at.Description += "\n\n" + line
			continue
		}
		r := &huma.Response{
			Description: line,
			Content: map[string]*huma.MediaType{
				MediaType: {Schema: registry.Schema(reflect.TypeFor[Problem](), true, "")},
			},
		}
		if row.Retry > 0 {
			r.Headers = map[string]*huma.Param{
				"Retry-After": {Description: "Seconds after which to try again.", Schema: &huma.Schema{Type: huma.TypeInteger}},
			}
		}
		op.Responses[status] = r
	}
}
