package query

import (
	"bytes"

	"annals/activity"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
)

// trace returns the ids that tell of which trace an entry's record is, and which span
// published it: what the door says of the request, else the one valid traceparent
// among the message's headers, which is of all its records. "": neither.
func trace(leaf *chain.Leaf, door []byte) (id, span string) {
	if bytes.Contains(door, []byte(`"trace"`)) {
		var said struct {
			Trace activity.Trace `json:"trace"`
		}
		// A door may say anything there; what isn't ours is passed over.
		if json.Unmarshal(door, &said) == nil {
			if id, span, ok := activity.ParseTraceparent(said.Trace.Parent); ok {
				return id, span
			}
		}
	}
	if leaf.Payload == nil || leaf.Entry.Kind == chain.KindControl || !bytes.Contains(leaf.Payload.Envelope, []byte("traceparent")) {
		return "", ""
	}
	var values []string
	for pairs := leaf.Payload.Headers(); len(pairs) > 1; pairs = pairs[2:] {
		if pairs[0] == "traceparent" {
			values = append(values, pairs[1])
		}
	}
	id, span, _ = activity.ParseTraceparent(activity.TraceOf(values, nil).Parent)
	return id, span
}

// appendTrace appends both ids, where an entry has them.
func appendTrace(b []byte, leaf *chain.Leaf, door []byte) []byte {
	id, span := trace(leaf, door)
	if id == "" {
		return b
	}
	b = append(b, `,"trace_id":"`...)
	b = append(b, id...)
	b = append(b, `","span_id":"`...)
	b = append(b, span...)
	return append(b, '"')
}
