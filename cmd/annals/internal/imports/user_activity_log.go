package imports

import (
	"errors"
	"time"

	"annals/activity/face"
)

// readUserActivityLog reads entries of the billing platform's user activity log, as its
// list answers them. Their dates and times are of the zone that was given, else of UTC.
func readUserActivityLog(t *tape, s *sink) error {
	zone := s.zone
	if zone == nil {
		zone = time.UTC
	}
	return readValues(t, s, envelope{}, func(it *Item) error {
		r, err := face.LogRecord(it.Raw, zone)
		switch {
		case errors.Is(err, face.ErrLogTime):
			return s.refuse(it, &Refusal{Code: codeMissingTime, Pointer: "/activityDate", Detail: err.Error()})
		case errors.Is(err, face.ErrLogType):
			return s.refuse(it, &Refusal{Code: codeNotAnEvent, Pointer: "/activityType", Detail: err.Error()})
		case err != nil:
			return s.refuse(it, fromError(err))
		}
		return s.record(it, r)
	})
}
