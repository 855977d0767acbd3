package imports

import (
	"errors"
	"slices"

	"annals/activity/face"

	"github.com/go-json-experiment/json/jsontext"
)

// readUserActivity reads rows of the deal platform's user activity: one after the other,
// in arrays, or as answers of its endpoint, {"totalRecords":…,"rows":[…]}. A row has no id:
// it gets that of what it says.
func readUserActivity(t *tape, s *sink) error {
	return readValues(t, s, envelope{lists: []string{"rows"}, beside: []string{"totalRecords"}}, func(it *Item) error {
		r, err := face.UserActivityRowRecord(it.Raw)
		if err != nil {
			return s.refuse(it, fromFace(err, "/eventDate"))
		}
		r.ID = s.identifyValue(it.Raw)
		return s.record(it, r)
	})
}

// fromFace makes a refusal of one of a face's; times are where an item says when it happened.
func fromFace(err error, times ...string) *Refusal {
	r, ok := errors.AsType[*face.Refusal](err)
	switch {
	case !ok:
		return fromError(err)
	case slices.Contains(times, r.Pointer):
		return &Refusal{Code: codeMissingTime, Pointer: r.Pointer, Detail: r.Detail}
	}
	return &Refusal{Code: codeNotAnEvent, Pointer: r.Pointer, Detail: r.Detail}
}

// identifyValue is [sink.identify] for JSON of which there are copies that differ in the
// white space between its tokens, as whoever takes a page apart leaves it.
func (s *sink) identifyValue(raw []byte) string {
	v := jsontext.Value(raw).Clone()
	if err := v.Compact(); err != nil {
		return s.identify(raw)
	}
	return s.identify(v)
}
