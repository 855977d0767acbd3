// Command bench runs Annals, PostgreSQL and Tessera beside each other: in one run,
// on the same records, each with its fsyncs.
//
// The rule it exists for: a comparison is worth what the other side was given. So
// PostgreSQL gets sensible settings, warm caches, prepared statements, the four
// indexes that the questions need and no other work; each round measures the three
// in turn, since machines drift; and the answers of both sides are compared, not
// their times alone.
//
// It runs on Unix only, and needs Debian's package postgresql-15 or a folder with
// that version's programs. Servers listen on sockets and on the loopback, and all
// files are in a temporary folder that is removed in the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"annals/cmd/annals/internal/bench"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/pflag"
)

const usage = `Measure Annals beside PostgreSQL and Tessera, on the same records, in one run.

  cd bench && go run .                          300,000 records, three rounds, some minutes
  cd bench && go run . --records 3000000        at full size: an hour and a half, 20 GB of disk
  cd bench && go run . --rounds 1 --records 50000
  cd bench && go run . -o json > today.json

Ctrl-C prints what was measured until then.

`

type options struct {
	records, rounds int
	dir, programs   string
	output          string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	var o options
	f := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	f.SetOutput(out)
	f.SortFlags = false
	f.Usage = func() { fmt.Fprint(out, usage, f.FlagUsages()) }
	f.IntVar(&o.records, "records", 300_000, "how many records a `NUMBER` each round writes to each of the three")
	f.IntVar(&o.rounds, "rounds", 3, "how many `TIMES` to measure everything")
	f.StringVar(&o.dir, "dir", "", "a `DIR` on the disk to measure (default: the temporary folder)")
	f.StringVar(&o.programs, "postgresql", "/usr/lib/postgresql/15/bin", "the `DIR` of PostgreSQL 15's programs")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.records < 1000 || o.rounds < 1 || o.output != "table" && o.output != "json" {
		return errors.New("records are at least 1,000, rounds at least 1, the output is table or json, and there is no other argument")
	}
	if _, err := os.Stat(filepath.Join(o.programs, "initdb")); err != nil {
		return fmt.Errorf("no PostgreSQL in %s: install Debian's package postgresql-15, or name the folder of its programs with --postgresql: %w", o.programs, err)
	}
	dir, err := os.MkdirTemp(o.dir, "annals-beside-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// PostgreSQL may run as another user, who has to reach its folder in this one.
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	report, failed := compare(ctx, o, dir, func(what string) { fmt.Fprintln(errs, what) })
	if ctx.Err() != nil {
		failed = errors.New("interrupted; what is printed was measured until then")
	}
	return errors.Join(failed, print(out, report, o.output))
}

func print(out io.Writer, r *report, output string) error {
	if output == "json" {
		if err := json.MarshalWrite(out, r, jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out)
		return err
	}
	bench.PrintTable(out, r.Measures)
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"how many times better is Annals", "median", "least", "most", "bar", ""})
	right := func(n int) table.ColumnConfig {
		return table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	t.SetColumnConfigs([]table.ColumnConfig{right(2), right(3), right(4), right(5)})
	for _, b := range r.Bars {
		bar, met := "", ""
		if b.Bar > 0 {
			bar, met = bench.Figure(b.Bar), "not reached"
			if b.Met {
				met = "reached"
			}
		}
		t.AppendRow(table.Row{b.Name + ": " + b.Better + " to " + b.Worse, bench.Figure(b.Median), bench.Figure(b.Least), bench.Figure(b.Most), bar, met})
	}
	t.Render()
	fmt.Fprintf(out, "%s, %s, %d processors, %s; %d records, %d rounds, %.0f s\n",
		r.Go, r.System, r.Processors, r.PostgreSQL, r.Records, r.Rounds, r.Seconds)
	return nil
}
