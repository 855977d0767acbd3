package imports

import "annals/activity/face"

// readActivityTracking reads rows of the table activity_events under the published names
// of its columns: one after the other, as databases write them out, in arrays, or as pages
// of our own list, {"events":[…]}. One without an id gets that of what it says.
func readActivityTracking(t *tape, s *sink) error {
	page := envelope{lists: []string{"events"}, beside: []string{"next_cursor", "total", "truncated", "as_of"}}
	return readValues(t, s, page, func(it *Item) error {
		r, err := face.TrackingRecord(it.Raw)
		if err != nil {
			return s.refuse(it, fromFace(err, "/created_at"))
		}
		if r.ID == "" {
			r.ID = s.identifyValue(it.Raw)
		}
		return s.record(it, r)
	})
}
