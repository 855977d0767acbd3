// Package bench measures Annals on the machine that it runs on.
//
// The rule it exists for: a figure is worth what stands beside it. So every
// measurement is taken in rounds and says its spread; what the machine can do at
// best, without Annals, is measured in the same rounds; and the records are the
// same each time (package load).
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Mode is something to measure.
type Mode string

// The modes.
const (
	Ceilings    Mode = "ceilings"    // what the machine can do without Annals
	Lines       Mode = "ndjson"      // a workspace's waiting records gathered into NDJSON messages
	Single      Mode = "batch"       // a message a record, in atomic batches
	Await       Mode = "await"       // 64 callers, each waiting until its record is recorded
	Latency     Mode = "latency"     // 1,000 records a second, each timed until it is recorded
	HTTP        Mode = "http"        // records posted over HTTP, until the stream has them
	Append      Mode = "append"      // in process, without a stream
	Read        Mode = "read"        // pages and counts over HTTP
	Proof       Mode = "proof"       // receipts over HTTP, and their verification
	Remote      Mode = "audit"       // the full audit from elsewhere, over HTTP, by tiles
	Checkpoints Mode = "checkpoints" // recording while the ledger is signed, and its tiles are read
	Verify      Mode = "verify"      // the full audit of the folder
	Rebuild     Mode = "rebuild"     // the indexes folded anew
	Restart     Mode = "restart"     // kill -9, and start again
	Disk        Mode = "disk"        // bytes a record
	Memory      Mode = "memory"      // while records pour through
	Hostile     Mode = "hostile"     // as latency, alone and under attack
)

// Modes lists them in the order in which a round measures them.
func Modes() []Mode {
	return []Mode{Ceilings, Lines, Memory, Read, Proof, Remote, Restart, Verify, Rebuild, Disk, Checkpoints, Single, Await, Latency, HTTP, Append, Hostile}
}

// Usual lists those that are measured where no others are asked for: without those that
// attack, which take minutes and say nothing of how fast anything is.
func Usual() []Mode { return Modes()[:len(Modes())-1] }

// Options say what to measure. All but Logger and Progress are required.
type Options struct {
	Dir     string // a folder that is there; each round makes and removes its own in it
	Records int    // that ndjson, batch and append publish; the others take their share
	Rounds  int
	Modes   []Mode
	Program string // path of annals itself, which latency, restart, rebuild and hostile run
	Version string

	Logger *slog.Logger // nil discards
	// Progress is told what is being measured, and how far it is of how much; where
	// it can't be told, total is 0.
	Progress func(what string, done, total int)
}

// Seeds of the series of records that a round publishes.
const (
	seedLines   = 1
	seedSingle  = 2
	seedLatency = 3
	seedRestart = 4
	seedHostile = 100  // and two more for each pair of windows
	seedAwait   = 1000 // and one more for each caller
	seedHTTP    = 2000 // likewise
)

// Run measures, round after round. When ctx ends, or something fails, the report
// holds what was measured until then and comes with the error.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	began := time.Now()
	report := &Report{
		Version: o.Version, Go: runtime.Version(), System: runtime.GOOS, Architecture: runtime.GOARCH,
		Processors: runtime.GOMAXPROCS(0), Records: o.Records, Rounds: o.Rounds, Began: began.UTC().Truncate(time.Second),
	}
	var err error
	for i := range o.Rounds {
		r := round{Options: o, report: report, number: i + 1}
		if err = r.run(ctx); err != nil {
			err = fmt.Errorf("round %d: %w", i+1, err)
			break
		}
	}
	report.Seconds = time.Since(began).Seconds()
	report.Complete = err == nil
	report.settle()
	return report, err
}

// round is one round: each mode once.
type round struct {
	Options
	report *Report
	number int
	dir    string
}

func (r *round) run(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp(r.Dir, "round-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	for _, group := range []struct {
		measure func(context.Context) error
		modes   []Mode
	}{
		{r.ceilings, []Mode{Ceilings}},
		{r.filled, []Mode{Lines, Memory, Read, Proof, Remote, Restart, Verify, Rebuild, Disk}},
		{r.checkpoints, []Mode{Checkpoints}},
		{r.singles, []Mode{Single, Await, Latency}},
		{r.http, []Mode{HTTP}},
		{r.append, []Mode{Append}},
		{r.hostile, []Mode{Hostile}},
	} {
		if !slices.ContainsFunc(group.modes, r.wants) {
			continue
		}
		if err := errors.Join(group.measure(ctx), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) wants(m Mode) bool { return slices.Contains(r.Modes, m) }

// step tells whoever follows what is being measured.
func (r *round) step(what Mode) func(done, total int) {
	name := fmt.Sprintf("round %d of %d: %s", r.number, r.Rounds, what)
	r.Progress(name, 0, 0)
	return func(done, total int) { r.Progress(name, done, total) }
}

// ceilings measures what the machine can do without Annals.
func (r *round) ceilings(ctx context.Context) error {
	r.step(Ceilings)
	c, err := measureCeilings(ctx, filepath.Join(r.dir, "ceilings"), min(r.Records, ceilingRecords))
	if err != nil {
		return fmt.Errorf("the ceilings: %w", err)
	}
	r.report.add(c...)
	return nil
}

// filled measures what needs a service that holds records, in the order in which
// one leaves to the next what it needs.
func (r *round) filled(ctx context.Context) (err error) {
	rig, err := Start(ctx, RigOptions{Dir: filepath.Join(r.dir, "filled"), Version: r.Version, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Remove()) }()
	watch := watchMemory(rig.folded)
	run, err := rig.Publish(ctx, Lines, seedLines, r.Records, r.step(Lines))
	samples := watch()
	if err != nil {
		return fmt.Errorf("ndjson: %w", err)
	}
	if r.wants(Lines) {
		r.report.addRun(Lines, run)
	}
	if r.wants(Memory) {
		r.report.addMemory(samples, r.Records)
	}
	for _, s := range []struct {
		mode    Mode
		measure func(context.Context, *Rig) error
	}{{Read, r.read}, {Proof, r.proofs}, {Remote, r.remote}, {Restart, r.restart}, {Verify, r.verify}, {Rebuild, r.rebuild}, {Disk, r.disk}} {
		if !r.wants(s.mode) {
			continue
		}
		r.step(s.mode)
		if err := errors.Join(s.measure(ctx, rig), ctx.Err()); err != nil {
			return fmt.Errorf("%s: %w", s.mode, err)
		}
	}
	return nil
}

// singles measures records that come by themselves.
func (r *round) singles(ctx context.Context) (err error) {
	rig, err := Start(ctx, RigOptions{Dir: filepath.Join(r.dir, "singles"), Version: r.Version, Program: r.Program, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Remove()) }()
	for _, s := range []struct {
		mode Mode
		seed uint64
		n    int
	}{
		{Single, seedSingle, r.Records},
		{Await, seedAwait, max(1, r.Records/10)},
		{Latency, seedLatency, min(r.Records, max(r.Records/40, 2*latencyRate), 30*latencyRate)},
	} {
		if !r.wants(s.mode) {
			continue
		}
		run, err := rig.Publish(ctx, s.mode, s.seed, s.n, r.step(s.mode))
		if err != nil {
			return fmt.Errorf("%s: %w", s.mode, err)
		}
		r.report.addRun(s.mode, run)
	}
	return nil
}

func (r *round) append(ctx context.Context) error {
	run, err := appendInProcess(ctx, filepath.Join(r.dir, "append"), r.Records, r.step(Append))
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	r.report.addRun(Append, run)
	return nil
}
