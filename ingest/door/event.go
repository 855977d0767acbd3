package door

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"annals/activity"
	"annals/internal/problem"
)

// mediaBinary stands for a CloudEvent in binary mode, whatever its data is.
const mediaBinary = "binary mode"

// told returns the record that an event tells.
func told(event []byte) ([]byte, *activity.Refusal) {
	e, bad := activity.ParseEvent(event)
	if bad != nil {
		return nil, bad
	}
	return e.AppendRecord(nil)
}

// binaryEvent prints an event in binary mode in the JSON event format, in which a door
// publishes it: headers of a message are for all of its records. JSON data stands in it
// byte for byte, and the same request gives the same bytes.
func binaryEvent(h http.Header, body []byte) ([]byte, error) {
	header := []string{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		spelt := strings.ToLower(name) // names are case-insensitive (RFC 9110, 5.1)
		if name == "Content-Type" {
			spelt = name
		} else if !strings.HasPrefix(spelt, "ce-") {
			continue
		}
		for _, value := range h[name] {
			header = append(header, spelt, value)
		}
	}
	e, bad := activity.ParseBinaryEvent(header, body)
	if bad != nil {
		code := problem.Code(bad.Code.String())
		return nil, problem.New(code, "%s", bad.Detail).With(problem.At(bad.Pointer, code, bad.Detail))
	}
	return e.Append(nil), nil
}
