package imports

import (
	"annals/activity"
	"annals/activity/face"
)

// readUserActivities reads activities of the user-activities model: one after the other,
// in arrays, or as a page of their list, {"useractivities":[…]}. Each becomes the record
// that it becomes when it is posted, its bytes as they stand in the file; one without an
// id gets that of its bytes.
func readUserActivities(t *tape, s *sink) error {
	return readValues(t, s, envelope{lists: []string{"useractivities"}, beside: []string{"flags", "total", "next_cursor", "truncated", "as_of"}}, func(it *Item) error {
		if bad := unambiguous(it.Raw); bad != nil {
			return s.refuse(it, bad)
		}
		id, err := face.UserActivityID(it.Raw)
		if err != nil {
			return s.refuse(it, fromError(err))
		}
		if id == "" {
			id = s.identify(it.Raw)
		}
		record, err := face.UserActivityRecord(it.Raw, id)
		if err != nil {
			return s.refuse(it, fromError(err))
		}
		var keys activity.Keys
		if r := activity.Scan(record, &keys); r != nil {
			bad := refused(r)
			bad.Pointer = face.UserActivityPointer(bad.Pointer) // in what was sent
			return s.refuse(it, bad)
		}
		it.Record = record
		return s.check(it)
	})
}
