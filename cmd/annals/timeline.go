package main

import (
	"context"
	"fmt"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"
	reading "annals/query/client"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

type timelineFlags struct {
	filterFlags
	url, cursor, order, asOf string
	limit                    int
	all, oldest              bool
	output                   string
}

func (a *app) timeline() *cobra.Command {
	var f timelineFlags
	cmd := &cobra.Command{
		Use:   "timeline --workspace WS",
		Short: "Show what happened, newest first",
		Long: `Show what happened in a workspace, newest first: all of it, or what concerns a user
(who acted, or on whose behalf), an object, a type, and whatever else a record says.
Records and conflicts are shown; --kind asks for other kinds of entries.

` + filterHelp,
		Example: `  annals timeline --workspace ws_7
  annals timeline --workspace ws_7 --user usr_dana --since 24h
  annals timeline --workspace ws_7 --object app/app_42 --limit 20
  annals timeline --workspace ws_7 --type 'app.*' --not type=app.viewed --outcome denied
  annals timeline --workspace ws_7 --ip 10.0.0.0/8 --dimension org=org_1 --dimension org=org_2
  annals timeline --workspace ws_7 --order occurred --occurred-since 2026-03-01 --occurred-until 2026-04-01
  annals timeline --workspace ws_7 --kind rejection,duplicate --oldest
  annals timeline --workspace ws_7 --as-of 1048576          as the ledger stood at that size
  annals timeline --workspace ws_7 --all -o jsonl | jq -c .record`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runTimeline(cmd.Context(), &f) },
	}
	a.urlFlag(cmd, &f.url)
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.order, "order", "recorded", "in the `ORDER` in which things were recorded, or occurred")
	fl.BoolVar(&f.oldest, "oldest", false, "oldest first")
	fl.StringVar(&f.asOf, "as-of", "", "as the ledger stood at this tree `SIZE`")
	fl.IntVar(&f.limit, "limit", 50, "at most so many records; with -o json at most 1000")
	fl.StringVar(&f.cursor, "cursor", "", "go on with the next_cursor of an earlier page, with the same filters and order")
	fl.BoolVar(&f.all, "all", false, "every page, not the first")
	fl.StringVarP(&f.output, "output", "o", "table", "table, json (the API's page) or jsonl (an entry a line)")
	return cmd
}

// query turns the flags into the API's question.
func (f *timelineFlags) query(now time.Time) (q reading.Query, err error) {
	if q.Filter, err = f.filter(now); err != nil {
		return q, err
	}
	switch {
	case f.limit < 1:
		return q, usagef("--limit is at least 1, not %d", f.limit)
	case f.limit > reading.MaxLimit && f.output == "json":
		return q, usagef("-o json is one page, of at most %d records; for more use -o jsonl or -o table", reading.MaxLimit)
	case f.all && f.output == "json":
		return q, usagef("-o json is one page; for every page use -o jsonl or -o table")
	}
	if err := oneOf("-o", f.output, "table", "json", "jsonl"); err != nil {
		return q, err
	}
	if err := oneOf("--order", f.order, "recorded", "occurred"); err != nil {
		return q, err
	}
	q.AsOf, err = asOf(f.asOf)
	q.ByOccurred, q.Oldest, q.Cursor, q.Sentences = f.order == "occurred", f.oldest, f.cursor, f.output == "table"
	return q, err
}

func (a *app) runTimeline(ctx context.Context, f *timelineFlags) error {
	q, err := f.query(time.Now())
	if err != nil {
		return err
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	for shown := 0; ; {
		q.Limit = min(f.limit-shown, reading.MaxLimit)
		if f.all {
			q.Limit = reading.MaxLimit
		}
		page, err := c.Timeline(ctx, f.workspace, q)
		if err != nil {
			return err
		}
		shown += len(page.Items)
		// A page holds fewer than were asked for where they are large, or where the
		// search was cut short.
		last := page.NextCursor == "" || f.output == "json" || !f.all && shown >= f.limit
		if err := a.printPage(f, page, shown, last); err != nil {
			return err
		}
		if last {
			a.cut(page.Truncated)
			return nil
		}
		q.Cursor = page.NextCursor
	}
}

func (a *app) printPage(f *timelineFlags, page *client.Page, shown int, last bool) error {
	switch f.output {
	case "json":
		return a.printJSON(page.Raw)
	case "jsonl":
		for i := range page.Items {
			if err := a.printJSON(page.Items[i].Raw); err != nil {
				return err
			}
		}
		return nil
	}
	if len(page.Items) > 0 {
		style := a.style()
		style.Occurred = f.order == "occurred"
		if err := show.Timeline(a.out, page, style); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	first := "newest"
	if f.oldest {
		first = "oldest"
	}
	fmt.Fprintln(a.out, show.Summary(page, shown, first))
	if page.NextCursor != "" {
		fmt.Fprintf(a.out, "more: --all, or --cursor %s\n", page.NextCursor)
	}
	return nil
}

// printJSON prints JSON on a line: as it came, but on a terminal with whatever
// could steer it escaped.
func (a *app) printJSON(v jsontext.Value) error {
	text := string(v)
	if _, is := terminal(a.out); is {
		text = show.Escape(text)
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}
