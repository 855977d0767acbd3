package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"

	"annals/cmd/annals/internal/bench"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// benchOptions are the bench command's choices.
type benchOptions struct {
	records, rounds int
	modes           []string
	dir, output     string
	profile         string
}

func (a *app) bench() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine",
		Long: `Measure Annals on this machine, in a temporary folder: with records of about 466
bytes that are the same each time, and with every fsync real. Each round measures
every mode once; what is printed is the median of the rounds, the least and the most,
and how that compares with what the machine can do at best.

  ceilings  that best: JetStream's atomic batches with a raw client, Pebble, SHA-256
  ndjson    a workspace's waiting records gathered into NDJSON messages, until they
            are durable in the stream, in the ledger and in every index
  memory    the memory meanwhile
  read      pages of 50 and exact counts over HTTP, from the records of ndjson
  proof     receipts over HTTP of records from all over the tree, and verifying them
  restart   kill -9 in the middle of recording, and the time until it is ready again
  audit     the full audit from elsewhere: over HTTP, by the tiles, without payloads
  verify    the full audit of the folder
  rebuild   the indexes folded anew
  disk      bytes a record, flushed and compacted, without the stream
  checkpoints  as ndjson: without checkpoints, with one a second, and with readers of tiles
  batch     as ndjson, but a message a record, in atomic batches
  await     64 callers, each waiting until its record is recorded; a tenth of the records
  latency   1,000 records a second, each timed until it is recorded
  http      records posted over HTTP by 64 clients, a record and 500 at a time, until the
            stream has them, beside a handler that reads and parses and does nothing else
  append    in process, without a stream, parsing included
  hostile   as latency, alone and under attack by turns: live tails that nobody reads, connections
            that drip, the dearest questions, endless headers, bad tokens. Asked for by
            its name alone: it takes minutes

Ctrl-C prints what was measured until then. Close what else is busy on the machine
first, and read the spread before the figure.`,
		Example: `  annals bench                                     everything, in less than two minutes
  annals bench --records 3000000                   at full size: half an hour
  annals bench --mode ndjson,batch --rounds 5      two modes, more often
  annals bench --dir /var/lib/annals               measure that disk
  annals bench -o json > today.json                keep every round's figures
  annals bench -o json | jq -r '.measures[] | [.name, .median, .unit] | @tsv'
  annals bench --mode hostile --records 50000 --rounds 1   what an attack does to who records
  annals bench --mode ndjson --cpuprofile cpu.out && go tool pprof -top cpu.out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runBench(cmd.Context(), o) },
	}
	var modes []string
	for _, m := range bench.Usual() {
		modes = append(modes, string(m))
	}
	f := cmd.Flags()
	f.IntVar(&o.records, "records", 200_000, "how many records a `NUMBER` each round publishes in ndjson, batch and append")
	f.IntVar(&o.rounds, "rounds", 3, "how many `TIMES` to measure each mode")
	f.StringSliceVar(&o.modes, "mode", modes, "the `MODES` to measure, separated by commas")
	f.StringVar(&o.dir, "dir", "", "a `DIR` on the disk to measure (default: the temporary folder)")
	f.StringVar(&o.profile, "cpuprofile", "", "write a processor profile of the rounds to a `FILE`, for go tool pprof")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	cmd.AddCommand(a.benchAttack(), a.benchPace())
	return cmd
}

// benchAttack is the process that mode hostile attacks from.
func (a *app) benchAttack() *cobra.Command {
	return &cobra.Command{
		Use: "attack", Hidden: true, Args: cobra.NoArgs,
		Short: "Attack as the orders say that are read from standard input",
		RunE:  func(cmd *cobra.Command, _ []string) error { return bench.Attack(cmd.Context(), a.in, a.out) },
	}
}

// benchPace is the process that modes latency and hostile publish from.
func (a *app) benchPace() *cobra.Command {
	return &cobra.Command{
		Use: "pace", Hidden: true, Args: cobra.NoArgs,
		Short: "Publish at a fixed rate as the orders say that are read from standard input",
		RunE:  func(cmd *cobra.Command, _ []string) error { return bench.Pace(cmd.Context(), a.in, a.out) },
	}
}

// benchModes takes the modes that were asked for.
func benchModes(names []string) (modes []bench.Mode, err error) {
	for _, name := range names {
		if !slices.Contains(bench.Modes(), bench.Mode(name)) {
			return nil, usagef("there is no mode %q: choose among %v", name, bench.Modes())
		}
		modes = append(modes, bench.Mode(name))
	}
	return modes, nil
}

func (a *app) runBench(ctx context.Context, o benchOptions) (err error) {
	modes, err := benchModes(o.modes)
	if err != nil {
		return err
	}
	if o.records < 1 || o.rounds < 1 || o.output != "table" && o.output != "json" {
		return usagef("records and rounds are at least 1, and the output is table or json")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "annals-bench-")
	if err != nil {
		return fmt.Errorf("can't make a folder to measure in; name another place with --dir: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stopProfile, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	progress := &benchProgress{app: a}
	report, failed := bench.Run(ctx, bench.Options{
		Dir: dir, Records: o.records, Rounds: o.rounds, Modes: modes, Program: program, Version: versionName(),
		Logger:   slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError})),
		Progress: progress.show,
	})
	progress.finish()
	if ctx.Err() != nil {
		failed = errors.New("interrupted; what is printed was measured until then")
	}
	return errors.Join(failed, stopProfile(), a.printBench(report, o.output))
}

// startProfile starts a processor profile, where a file is named for one.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// benchProgress shows what is being measured, on a terminal only.
type benchProgress struct {
	app  *app
	what string
	bar  *progressbar.ProgressBar
}

func (p *benchProgress) show(what string, done, total int) {
	if what != p.what {
		p.finish()
		p.what, p.bar = what, p.app.progress(-1, what, false)
	}
	if total > 0 {
		p.bar.ChangeMax(total)
		_ = p.bar.Set(done)
	} else {
		_ = p.bar.RenderBlank()
	}
}

func (p *benchProgress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

func (a *app) printBench(r *bench.Report, output string) error {
	if output == "json" {
		err := json.MarshalWrite(a.out, r, jsontext.WithIndent("  "))
		return errors.Join(err, newline(a.out))
	}
	bench.PrintTable(a.out, r.Measures)
	fmt.Fprintf(a.out, "%s, %s, %s/%s, %d processors; %d records, %d rounds, %.0f s\n",
		r.Version, r.Go, r.System, r.Architecture, r.Processors, r.Records, r.Rounds, r.Seconds)
	return nil
}

func newline(w io.Writer) error {
	_, err := io.WriteString(w, "\n")
	return err
}
