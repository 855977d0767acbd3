package main

import (
	"context"
	"strings"
	"time"

	"annals/cmd/annals/internal/show"
	reading "annals/query/client"

	"github.com/spf13/cobra"
)

type countsFlags struct {
	filterFlags
	url, by, zone, asOf string
	occurred            bool
	top                 int
	output              string
}

func (a *app) counts() *cobra.Command {
	var f countsFlags
	cmd := &cobra.Command{
		Use:   "counts --workspace WS --by FIELD",
		Short: "Count what happened, by day, hour or the values of a field",
		Long: `Count the entries that a timeline with the same filters shows: by day or hour, those
without any too, or by the values of a field, the most frequent first.

--by is day or hour; or kind, type, group, source, outcome, grade, user, object,
linked, session, ip, or dimension.NAME. --by kind counts every kind.

` + filterHelp,
		Example: `  annals counts --workspace ws_7 --by day --since 30d
  annals counts --workspace ws_7 --by day --tz Europe/Berlin --type 'app.*'
  annals counts --workspace ws_7 --by hour --occurred --occurred-since 24h
  annals counts --workspace ws_7 --by user --outcome denied --top 10
  annals counts --workspace ws_7 --by dimension.org --not user=usr_bot
  annals counts --workspace ws_7 --by type -o json | jq .counts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCounts(cmd.Context(), &f) },
	}
	a.urlFlag(cmd, &f.url)
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.by, "by", "", "what to count by: day, hour, or a `FIELD`")
	fl.StringVar(&f.zone, "tz", "", "the time zone of days and hours: an IANA `NAME` such as Europe/Berlin (default UTC)")
	fl.BoolVar(&f.occurred, "occurred", false, "days and hours of when it occurred, not of when it was recorded")
	fl.IntVar(&f.top, "top", 0, "how many values to show (default 20)")
	fl.StringVar(&f.asOf, "as-of", "", "as the ledger stood at this tree `SIZE`")
	fl.StringVarP(&f.output, "output", "o", "table", "table or json (the API's answer)")
	return cmd
}

// query turns the flags into the API's question.
func (f *countsFlags) query(now time.Time) (q reading.Counting, err error) {
	if q.Filter, err = f.filter(now); err != nil {
		return q, err
	}
	switch {
	case f.by == "":
		return q, usagef("count by what? Give --by day, hour, or a field such as user or type")
	case f.top < 0:
		return q, usagef("--top is at least 1, not %d", f.top)
	}
	if err := oneOf("-o", f.output, "table", "json"); err != nil {
		return q, err
	}
	if name, is := strings.CutPrefix(f.by, "dimension."); is {
		q.By = string(reading.Dimension(name))
	} else {
		q.By = f.by
	}
	q.Occurred, q.Zone, q.Top = f.occurred, f.zone, f.top
	q.AsOf, err = asOf(f.asOf)
	return q, err
}

func (a *app) runCounts(ctx context.Context, f *countsFlags) error {
	q, err := f.query(time.Now())
	if err != nil {
		return err
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	counts, err := c.Counts(ctx, f.workspace, q)
	if err != nil {
		return err
	}
	a.cut(counts.Truncated)
	if f.output == "json" {
		return a.printJSON(counts.Raw)
	}
	return show.Counts(a.out, counts, a.style())
}
