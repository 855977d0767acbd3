package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// instant reads a time as people give one: RFC 3339, a date or a date and time
// (UTC), or an age: 90m, 24h, 7d.
func instant(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	age, err := time.ParseDuration(s)
	if err != nil || age < 0 {
		return time.Time{}, fmt.Errorf("%q is no time: give RFC 3339 (2026-11-22T08:00:00Z), a date (2026-11-22), or an age (90m, 24h, 7d)", s)
	}
	return now.Add(-age), nil
}
