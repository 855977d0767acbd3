package imports

import (
	"errors"
	"time"

	"annals/activity/face"
)

// readUserActivityLog reads entries of the billing platform's user activity log, as its
// list answers them. Their dates and times are of the zone that was given, else of UTC;
// their types and reasons what the catalogues that were given call so.
func readUserActivityLog(t *tape, s *sink) error {
	zone := s.zone
	if zone == nil {
		zone = time.UTC
	}
	var labels *face.LogLabels
	if s.labels != nil {
		labels = s.labels.log
	}
	return readValues(t, s, envelope{}, func(it *Item) error {
		r, err := face.LogRecord(it.Raw, zone, labels)
		ambiguous, _ := errors.AsType[*face.LogLabelError](err)
		switch {
		case ambiguous != nil:
			return s.refuse(it, &Refusal{Code: codeAmbiguous, Pointer: "/" + ambiguous.Field, Detail: err.Error()})
		case errors.Is(err, face.ErrLogTime):
			return s.refuse(it, &Refusal{Code: codeMissingTime, Pointer: "/activityDate", Detail: err.Error()})
		case errors.Is(err, face.ErrLogType):
			return s.refuse(it, &Refusal{Code: codeNotAnEvent, Pointer: "/activityType", Detail: err.Error() + "; one that a workspace's catalogue labels is read by that catalogue (docs/import.md)"})
		case err != nil:
			return s.refuse(it, fromError(err))
		}
		return s.record(it, r)
	})
}
