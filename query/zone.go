package query

import (
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // for machines that have no zones of their own
)

// zones keeps the time zones that were asked for: to load one reads a file.
type zones struct {
	known sync.Map // *time.Location by name
	n     atomic.Int32
}

// maxZones bounds what is kept. There are some 600, and no other name gets in.
const maxZones = 1000

// of finds a time zone by its IANA name.
func (z *zones) of(name string) (*time.Location, bool) {
	if found, ok := z.known.Load(name); ok {
		return found.(*time.Location), true
	}
	if name == "" || name == "Local" { // Go's names, and this machine's zone
		return nil, false
	}
	found, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	if z.n.Load() < maxZones {
		if _, before := z.known.LoadOrStore(name, found); !before {
			z.n.Add(1)
		}
	}
	return found, true
}

// unit is what times are gathered in: the days or the hours of a zone.
type unit int64

// The units, in seconds of a clock on the wall.
const (
	byHour unit = 60 * 60
	byDay  unit = 24 * byHour
)

// around is more than any clock was ever changed by.
const around = 48 * time.Hour

// starts returns when the units begin that [from, to) touches, in order: the
// first at or before from, and at last one at or after to, which ends the one
// before it. ok is false where there are more than most units.
//
// A day begins when its date does, however the clocks are changed: it has 23 or
// 25 hours then, and one that a zone left out is not there. Should a date begin
// twice, a clock having been put back across midnight, the day begins the second
// time. An hour begins at its minute 0, or where a clock jumps into it; one that
// a clock goes through twice is two.
func (u unit) starts(from, to time.Time, zone *time.Location, most int) (at []time.Time, ok bool) {
	var labels []int64 // which day or hour it is on the wall, since 1970
	limit := to.Add(around)
	slack := 2*int(around/time.Second)/int(u) + 8 // before from and after to
	for t := from.Add(-around).In(zone); t.Before(limit) && len(at) <= most+slack; {
		_, offset := t.Zone()
		wall := t.Unix() + int64(offset)
		label := floorDiv(wall, int64(u))
		for u == byDay && len(labels) > 1 && labels[len(labels)-1] > label { // its date comes again
			at, labels = at[:len(at)-1], labels[:len(labels)-1]
		}
		last := len(labels) - 1
		if last < 0 || label != labels[last] || u == byHour && wall%int64(u) == 0 {
			at, labels = append(at, t), append(labels, label)
		}
		next := time.Unix((label+1)*int64(u)-int64(offset), 0).In(zone)
		if _, change := t.ZoneBounds(); !change.IsZero() && change.Before(next) {
			next = change
		}
		t = next
	}
	first, end := 0, len(at)
	for i := range at {
		if !at[i].After(from) {
			first = i
		}
		if !at[i].Before(to) {
			end = i
			break
		}
	}
	if end == len(at) || end-first > most {
		return nil, false
	}
	return at[first : end+1], true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
