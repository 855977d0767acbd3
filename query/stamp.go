package query

import "time"

// day prints times, and keeps the date that it printed last: the items of a page
// are mostly of few days, and the calendar is most of the work.
type day struct {
	number int64 // since 1970
	text   [len(time.DateOnly)]byte
	known  bool
}

const nanosecondsDay = int64(24 * time.Hour)

// append appends a time in ns since 1970 as JSON: RFC 3339, UTC, with so many
// digits after the second, the rest cut off.
func (d *day) append(b []byte, ns int64, digits int) []byte {
	number := floorDiv(ns, nanosecondsDay)
	if !d.known || number != d.number {
		d.number, d.known = number, true
		time.Unix(number*int64(byDay), 0).UTC().AppendFormat(d.text[:0], time.DateOnly)
	}
	ns -= number * nanosecondsDay
	second := ns / int64(time.Second)
	b = append(b, '"')
	b = append(b, d.text[:]...)
	b = append(b, 'T')
	b = appendTwo(b, second/3600)
	b = append(b, ':')
	b = appendTwo(b, second/60%60)
	b = append(b, ':')
	b = appendTwo(b, second%60)
	b = append(b, '.')
	for unit := int64(time.Second) / 10; digits > 0; digits, unit = digits-1, unit/10 {
		b = append(b, '0'+byte(ns/unit%10))
	}
	return append(b, 'Z', '"')
}

func appendTwo(b []byte, n int64) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }
