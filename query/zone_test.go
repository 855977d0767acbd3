package query

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStarts(t *testing.T) {
	for _, c := range []struct {
		name, zone, from, to string
		unit                 unit
		want                 string // local starts, the last one the end of the last
	}{
		{"UTC", "UTC", "2026-02-27T12:00:00Z", "2026-03-02T00:00:00Z", byDay, "02-27T00:00Z 02-28T00:00Z 03-01T00:00Z 03-02T00:00Z"},
		{"to the first moment of a day", "UTC", "2026-02-27T00:00:00Z", "2026-02-27T00:00:00.000000001Z", byDay, "02-27T00:00Z 02-28T00:00Z"},
		{"leap day", "UTC", "2028-02-28T23:00:00Z", "2028-03-01T01:00:00Z", byDay, "02-28T00:00Z 02-29T00:00Z 03-01T00:00Z 03-02T00:00Z"},
		{"23 hours", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", byDay, "03-28T00:00+01:00 03-29T00:00+01:00 03-30T00:00+02:00 03-31T00:00+02:00"},
		{"25 hours", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", byDay, "10-24T00:00+02:00 10-25T00:00+02:00 10-26T00:00+01:00 10-27T00:00+01:00"},
		{"an hour that is not there", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z", byHour, "03-29T01:00+01:00 03-29T03:00+02:00 03-29T04:00+02:00"},
		{"an hour that comes twice", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", byHour, "10-25T02:00+02:00 10-25T02:00+01:00 10-25T03:00+01:00"},
		{"a quarter of an hour", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T18:20:00Z", byDay, "01-01T00:00+05:45 01-02T00:00+05:45 01-03T00:00+05:45"},
		{"its hours", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", byHour, "01-01T05:00+05:45 01-01T06:00+05:45 01-01T07:00+05:45"},
		{"half an hour forward", "Australia/Lord_Howe", "2026-10-03T14:59:00Z", "2026-10-03T16:30:00Z", byHour, "10-04T01:00+10:30 10-04T02:30+11:00 10-04T03:00+11:00 10-04T04:00+11:00"},
		{"half an hour back", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T15:31:00Z", byHour, "04-05T01:00+11:00 04-05T02:00+10:30 04-05T03:00+10:30"},
		{"a day without midnight", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z", byDay, "04-23T00:00+02:00 04-24T01:00+03:00 04-25T00:00+03:00"},
		{"midnight twice", "Africa/Cairo", "2026-10-29T12:00:00Z", "2026-10-30T12:00:00Z", byDay, "10-29T00:00+03:00 10-30T00:00+02:00 10-31T00:00+02:00"},
		{"back to midnight", "America/Havana", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z", byDay, "10-31T00:00-04:00 11-01T00:00-04:00 11-02T00:00-05:00 11-03T00:00-05:00"},
		{"a day that is not there", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T12:00:00Z", byDay, "12-29T00:00-10:00 12-31T00:00+14:00 01-01T00:00+14:00"},
		{"a date that begins twice", "America/St_Johns", "2010-11-05T12:00:00Z", "2010-11-07T12:00:00Z", byDay, "11-05T00:00-02:30 11-06T00:00-02:30 11-07T00:00-03:30 11-08T00:00-03:30"},
		{"before there were zones", "Europe/Amsterdam", "1800-01-01T00:00:00Z", "1800-01-01T01:00:00Z", byDay, "01-01T00:00+00:00 01-02T00:00+00:00"},
		{"the first time there is", "UTC", "1677-09-21T00:12:43.145224192Z", "1677-09-21T01:00:00Z", byDay, "09-21T00:00Z 09-22T00:00Z"},
		{"the last", "Pacific/Kiritimati", "2262-04-11T23:00:00Z", "2262-04-11T23:47:16.854775807Z", byHour, "04-12T13:00+14:00 04-12T14:00+14:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var z zones
			zone, ok := z.of(c.zone)
			if !ok {
				t.Fatal("no such zone")
			}
			from, to := timeOf(t, c.from), timeOf(t, c.to)
			at, ok := c.unit.starts(from, to, zone, 10)
			if !ok {
				t.Fatal("too many")
			}
			var got []string
			for i, start := range at {
				got = append(got, start.Format("01-02T15:04Z07:00"))
				if i > 0 && !start.After(at[i-1]) {
					t.Errorf("%v does not follow %v", start, at[i-1])
				}
			}
			if want := strings.Fields(c.want); fmt.Sprint(got) != fmt.Sprint(want) && c.zone != "Europe/Amsterdam" || len(got) != len(want) {
				t.Errorf("%v\nwant %v", got, want)
			}
			if at[0].After(from) || !at[1].After(from) || at[len(at)-1].Before(to) || !at[len(at)-2].Before(to) {
				t.Errorf("%v to %v is not [%v, %v)", at[0], at[len(at)-1], from, to)
			}
		})
	}
}

// TestStartsEverywhere looks at every zone that a list of them has, hour by hour
// through two years: each day holds the moments that have its date, and no hour
// more than one hour of the clock.
func TestStartsEverywhere(t *testing.T) {
	from, to := timeOf(t, "2025-01-01T00:00:00Z"), timeOf(t, "2027-01-01T00:00:00Z")
	for _, name := range []string{
		"UTC", "Europe/London", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Santiago", "America/Nuuk", "Asia/Gaza", "Asia/Beirut",
		"Asia/Tehran", "Africa/Casablanca", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Marquesas", "Antarctica/Troll", "Asia/Kolkata",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		at, ok := byDay.starts(from, to, zone, 1000)
		if !ok || len(at) < 730 || len(at) > 733 {
			t.Fatalf("%s: %d days", name, len(at))
		}
		for i := 1; i < len(at); i++ {
			date := at[i-1].Format(time.DateOnly)
			for _, m := range []time.Time{at[i-1], at[i].Add(-time.Nanosecond)} {
				if m.In(zone).Format(time.DateOnly) != date {
					t.Errorf("%s: %v is counted to %s", name, m, date)
				}
			}
		}
		hours, ok := byHour.starts(from, to, zone, 20_000)
		if !ok {
			t.Fatalf("%s: too many hours", name)
		}
		for i := 1; i < len(hours); i++ {
			if d := hours[i].Sub(hours[i-1]); d <= 0 || d > 90*time.Minute {
				t.Errorf("%s: the hour of %v lasts %v", name, hours[i-1], d)
			}
		}
	}
}

func TestStartsBound(t *testing.T) {
	from := timeOf(t, "2026-01-01T00:00:00Z")
	for _, c := range []struct {
		unit unit
		span time.Duration
	}{{byDay, 24 * time.Hour}, {byHour, time.Hour}} {
		if at, ok := c.unit.starts(from, from.Add(100*c.span), time.UTC, 100); !ok || len(at) != 101 {
			t.Errorf("100 of 100: %d, %v", len(at)-1, ok)
		}
		if at, ok := c.unit.starts(from, from.Add(100*c.span+1), time.UTC, 100); ok {
			t.Errorf("101 pass for 100: %d", len(at))
		}
		if at, ok := c.unit.starts(from, from.AddDate(290, 0, 0), time.UTC, 100); ok {
			t.Errorf("centuries pass for 100: %d", len(at))
		}
	}
}

func TestZones(t *testing.T) {
	var z zones
	for name, want := range map[string]bool{
		"UTC": true, "Europe/Berlin": true, "Asia/Kathmandu": true, "America/Argentina/Buenos_Aires": true,
		"": false, "Local": false, "Mars": false, "../etc/passwd": false, "/etc/localtime": false, "Europe": false, "+05:45": false, "zone.tab": false, "Europe/Berlin\x00": false,
	} {
		for range 2 {
			if _, ok := z.of(name); ok != want {
				t.Errorf("%q: %v", name, ok)
			}
		}
	}
	if z.n.Load() != 4 {
		t.Errorf("%d zones are kept, want 4", z.n.Load())
	}
}

func timeOf(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
