package load

import "time"

// clock prints times of RFC 3339 to the millisecond. It keeps the day that it
// printed last, since taking a time apart costs as much as the rest of a record.
type clock struct {
	day  int64 // since 1970
	text [len("2006-01-02T")]byte
	set  bool
}

const dayMilliseconds = 24 * 60 * 60 * 1000

func (c *clock) append(dst []byte, ms int64) []byte {
	day := ms / dayMilliseconds
	if !c.set || day != c.day {
		time.UnixMilli(ms).UTC().AppendFormat(c.text[:0], "2006-01-02T")
		c.day, c.set = day, true
	}
	ms -= day * dayMilliseconds
	two := func(n int64) { dst = append(dst, byte('0'+n/10), byte('0'+n%10)) }
	dst = append(dst, c.text[:]...)
	two(ms / 3_600_000)
	dst = append(dst, ':')
	two(ms / 60_000 % 60)
	dst = append(dst, ':')
	two(ms / 1000 % 60)
	dst = append(dst, '.', byte('0'+ms%1000/100))
	two(ms % 100)
	return append(dst, 'Z')
}
