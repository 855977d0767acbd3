package main

import (
	"errors"
	"slices"
	"testing"
	"time"

	reading "annals/query/client"

	"github.com/spf13/cobra"
)

// TestFilterFlags reads flags into the API's filter. A comma parts the values of
// no field by itself, and an id is never touched.
func TestFilterFlags(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	parse := func(args ...string) (reading.Filter, error) {
		var f filterFlags
		cmd := &cobra.Command{Use: "x"}
		f.add(cmd)
		if err := cmd.ParseFlags(append([]string{"--workspace", "ws"}, args...)); err != nil {
			return reading.Filter{}, err
		}
		return f.filter(now)
	}
	got, err := parse("--user", "a,b", "--user", " c ", "--object", "a%2Fb/c/d", "--kind", "record, conflict", "--dimension", "n!=v=w", "--not", "type=app.*", "--not", "dimension.50%=x", "--since", "24h", "--occurred-until", "2026-11-01")
	if err != nil {
		t.Fatal(err)
	}
	want := []reading.Condition{
		{Field: "user", Any: []string{"a,b"}},
		{Field: "user", Any: []string{" c "}},
		{Field: "object", Any: []string{"a%2Fb/c/d"}},
		{Field: "kind", Any: []string{"record,conflict"}},
		{Field: "dimension.n%21", Any: []string{"v=w"}},
		{Field: "type", Any: []string{"app.*"}, Not: true},
		{Field: "dimension.50%25", Any: []string{"x"}, Not: true},
	}
	if !slices.EqualFunc(got.Where, want, func(a, b reading.Condition) bool {
		return a.Field == b.Field && a.Not == b.Not && slices.Equal(a.Any, b.Any)
	}) {
		t.Errorf("%+v, want %+v", got.Where, want)
	}
	if !got.Since.Equal(now.Add(-24*time.Hour)) || !got.OccurredUntil.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) || !got.Until.IsZero() || !got.OccurredSince.IsZero() {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{
		{"--user", ""}, {"--kind", " "}, {"--not", "user"}, {"--not", "=x"}, {"--not", "limit=3"}, {"--not", "dimension.=x"}, {"--dimension", "=x"}, {"--dimension", "x"}, {"--since", "soon"}, {"--workspace", ""},
	} {
		var usage *usageError
		if got, err := parse(args...); !errors.As(err, &usage) {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
}
