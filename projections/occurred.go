package projections

import (
	"math"
	"time"

	"annals/activity"
	"annals/ledger/chain"
)

// quarter is a quarter of an hour, in ms. Every time zone's days and hours begin
// at a multiple of it.
const quarter = 15 * 60 * 1000

// maxTime, as the end of a range, is no end.
const maxTime = math.MaxInt64

// occurredAt returns when an entry occurred, ns since 1970: the record's
// occurred_at where it can be read, else the time that its ULID has.
func occurredAt(e *chain.Entry, keys *activity.Keys) int64 {
	if keys != nil && keys.OccurredAt != "" {
		if t, ok := activity.Occurred(keys.OccurredAt); ok {
			return Nanoseconds(t)
		}
	}
	return Nanoseconds(time.UnixMilli(int64(e.ULID.Time())))
}

// Nanoseconds returns a time in ns since 1970, as occurred times are compared: the
// first or last one where it is beyond what 64 bits hold, the years 1678 to 2262.
func Nanoseconds(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case s < -most:
		return math.MinInt64
	case s >= most:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// quarterRow is the first index recorded in a quarter of an hour or later.
type quarterRow struct{ quarter, index uint64 }
