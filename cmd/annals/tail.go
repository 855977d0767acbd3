package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"
	reading "annals/query/client"

	"github.com/spf13/cobra"
)

type tailFlags struct {
	filterFlags
	url, after string
	last       int
	follow     bool
	output     string
}

func (a *app) tail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail --workspace WS",
		Short: "Show what happens, as it happens",
		Long: `Show the last entries of a workspace, oldest first, and with -f what is recorded from
then on, as it is recorded. Only what is durable is shown, in the ledger's order.

With -f it goes on until Ctrl-C. When the server stops or can't be reached it comes
again by itself, and goes on behind what it has shown: nothing is missed, and
nothing is shown twice. --after goes on behind an entry that was shown another day.

` + filterHelp,
		Example: `  annals tail --workspace ws_7
  annals tail --workspace ws_7 -f
  annals tail --workspace ws_7 -f --last 0 --type 'app.*' --outcome denied
  annals tail --workspace ws_7 -f --after 01KA2B3C4D0000000000000005 -o jsonl | jq -c .record`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runTail(cmd.Context(), &f) },
	}
	a.urlFlag(cmd, &f.url)
	f.add(cmd)
	fl := cmd.Flags()
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on with what is recorded from now on")
	fl.IntVar(&f.last, "last", 20, "begin with so many of the newest entries, at most 1000")
	fl.StringVar(&f.after, "after", "", "begin behind the entry with this `ULID`, instead of with the newest; for -f")
	fl.StringVarP(&f.output, "output", "o", "table", "table or jsonl (an entry a line)")
	return cmd
}

func (f *tailFlags) check() error {
	if err := oneOf("-o", f.output, "table", "jsonl"); err != nil {
		return err
	}
	least := 1
	if f.follow {
		least = 0
	}
	switch {
	case f.follow && (f.since != "" || f.until != "" || f.updatedSince != ""):
		return usagef("--since, --until and --updated-since are of what was recorded already: leave out -f, or use --last or --after")
	case !f.follow && f.after != "":
		return usagef("--after is for -f; for what was recorded already use annals timeline --oldest")
	case f.last < least || f.last > reading.MaxLimit:
		return usagef("--last is %d to %d, not %d", least, reading.MaxLimit, f.last)
	}
	return nil
}

func (a *app) runTail(ctx context.Context, f *tailFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	filter, err := f.filter(time.Now())
	if err != nil {
		return err
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	lines := show.Lines{W: a.out, Style: a.style()}
	print := func(i *reading.Item) error { return a.printJSON(i.Raw) }
	if f.output == "table" {
		print = lines.Print
	}
	if f.follow {
		return a.follow(ctx, c, f, filter, print)
	}
	return newestOf(ctx, c, f, filter, print)
}

// follow prints what comes until ctx ends, which is how it is meant to end.
func (a *app) follow(ctx context.Context, c *client.Client, f *tailFlags, filter reading.Filter, print func(*reading.Item) error) error {
	what := reading.Following{Filter: filter, After: f.after, Last: f.last, Sentences: f.output == "table"}
	what.Lost = func(why error, again time.Duration) {
		fmt.Fprintf(a.err, "annals: %s; coming again in %s\n", oneLine(why), again.Round(time.Second/10))
	}
	for item, err := range c.Follow(ctx, f.workspace, what) {
		if err != nil {
			return err
		}
		if err := print(item); err != nil {
			return err
		}
	}
	return nil
}

// newestOf prints the newest entries, oldest first.
func newestOf(ctx context.Context, c *client.Client, f *tailFlags, filter reading.Filter, print func(*reading.Item) error) error {
	q := reading.Query{Filter: filter, Limit: f.last, Sentences: f.output == "table"}
	items := make([]*reading.Item, 0, f.last)
	for item, err := range c.All(ctx, f.workspace, q) {
		if err != nil {
			return err
		}
		if items = append(items, item); len(items) == f.last {
			break
		}
	}
	for _, item := range slices.Backward(items) {
		if err := print(item); err != nil {
			return err
		}
	}
	return nil
}
