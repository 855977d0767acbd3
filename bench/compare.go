package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"annals/cmd/annals/internal/bench"
)

// How many records each of the 64 callers' modes publishes: enough for some
// seconds, and the same share of the run.
const (
	awaitShare  = 10 // a tenth of the records
	writerShare = 50
)

// Series of records, apart from that of the bulk: no id comes twice.
const (
	seedBulk     = 1 // that the questions are about
	seedAwait    = 1000
	seedWriters  = 2000
	seedGathered = 3000
)

// compare measures, round after round. What was measured before an error comes
// with it.
func compare(ctx context.Context, o options, dir string, say func(string)) (*report, error) {
	began := time.Now()
	r := &report{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.GOMAXPROCS(0),
		Settings: settings, Records: o.records, Rounds: o.rounds, Began: began.UTC().Truncate(time.Second),
	}
	var err error
	for n := range o.rounds {
		round := &round{options: o, report: r, number: n, dir: filepath.Join(dir, fmt.Sprintf("round-%d", n+1)), say: say}
		if err = round.run(ctx); err != nil {
			err = fmt.Errorf("round %d: %w", n+1, err)
			break
		}
	}
	r.Seconds = time.Since(began).Seconds()
	r.Complete = err == nil
	r.settle()
	return r, err
}

// round is one round: an empty folder for each of the three.
type round struct {
	options
	report *report
	number int
	dir    string
	say    func(string)

	annals *bench.Rig
	server *server
	log    *log
}

func (r *round) run(ctx context.Context) (err error) {
	if err := os.Mkdir(r.dir, 0o711); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.annals, err = bench.Start(ctx, bench.RigOptions{Dir: filepath.Join(r.dir, "annals"), Version: "beside"}); err != nil {
		return fmt.Errorf("starting Annals: %w", err)
	}
	defer func() { err = errors.Join(err, r.annals.Remove()) }()
	if r.server, err = startServer(ctx, filepath.Join(r.dir, "postgresql"), r.programs); err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, r.server.stop()) }()
	r.report.PostgreSQL = r.server.version
	if r.log, err = newLog(ctx, filepath.Join(r.dir, "tessera")); err != nil {
		return fmt.Errorf("starting Tessera: %w", err)
	}
	defer func() { err = errors.Join(err, r.log.close()) }()

	// Each group is taken in turn, and every other round the other way round.
	for _, group := range [][]step{
		{{"annals_ndjson", r.annalsBulk}, {"postgresql_copy", r.postgresqlBulk}, {"tessera_append", r.tesseraAppend}},
		{{"questions", r.questions}},
		{{"annals_verify", r.annalsVerify}, {"annals_verify_closed", r.annalsVerifyClosed}, {"tessera_fsck", r.tesseraFsck}},
		{{"annals_await", r.annalsAwait}, {"postgresql_writers", r.postgresqlWriters}, {"postgresql_gathered", r.postgresqlGathered}},
	} {
		for i := range group {
			s := group[i]
			if r.number%2 == 1 {
				s = group[len(group)-1-i]
			}
			r.say(fmt.Sprintf("round %d of %d: %s", r.number+1, r.rounds, s.name))
			if err := bench.Settled(ctx); err != nil {
				return err
			}
			if err := s.measure(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// step is one measurement.
type step struct {
	name    string
	measure func(context.Context) error
}

func (r *round) annalsBulk(ctx context.Context) error {
	p, err := r.annals.Publish(ctx, bench.Lines, seedBulk, r.records, func(int, int) {})
	if err != nil {
		return err
	}
	r.report.add("annals_ndjson", bench.PerSecond, p.Records, p.Rate())
	return nil
}

func (r *round) annalsAwait(ctx context.Context) error {
	p, err := r.annals.Publish(ctx, bench.Await, seedAwait, max(64, r.records/awaitShare), func(int, int) {})
	if err != nil {
		return err
	}
	r.report.add("annals_await", bench.PerSecond, p.Records, p.Rate())
	r.report.addTimes("annals_await", p.Took)
	return nil
}

func (r *round) annalsVerify(ctx context.Context) error {
	entries, took, err := r.annals.Audit(ctx)
	if err != nil {
		return err
	}
	r.report.add("annals_verify", bench.Entries, entries, float64(entries)/took.Seconds())
	return nil
}

// annalsVerifyClosed audits what fsck reads of the log: closed files, by nobody's cache.
func (r *round) annalsVerifyClosed(ctx context.Context) error {
	entries, took, err := r.annals.AuditClosed(ctx)
	if err != nil {
		return err
	}
	r.report.add("annals_verify_closed", bench.Entries, entries, float64(entries)/took.Seconds())
	return nil
}

func (r *round) tesseraAppend(ctx context.Context) error {
	took, err := r.log.append(ctx, r.records)
	if err != nil {
		return err
	}
	r.report.add("tessera_append", bench.PerSecond, r.records, float64(r.records)/took.Seconds())
	return nil
}

// tesseraFsck checks with one worker, as the command fsck does unless it is told
// otherwise, and with one a core.
func (r *round) tesseraFsck(ctx context.Context) error {
	for _, f := range []struct {
		name    string
		workers int
	}{{"tessera_fsck", 1}, {"tessera_fsck_parallel", runtime.GOMAXPROCS(0)}} {
		took, err := r.log.fsck(ctx, f.workers)
		if err != nil {
			return err
		}
		r.report.add(f.name, bench.Entries, r.records, float64(r.records)/took.Seconds())
	}
	return nil
}

func (r *round) postgresqlBulk(ctx context.Context) error {
	took, err := copyAll(ctx, r.server, r.records)
	if err != nil {
		return err
	}
	r.report.add("postgresql_copy", bench.PerSecond, r.records, float64(r.records)/took.Seconds())
	return r.server.tidy(ctx)
}

func (r *round) postgresqlWriters(ctx context.Context) error {
	return r.writers(ctx, "postgresql_writers", seedWriters, writeAlone)
}

func (r *round) postgresqlGathered(ctx context.Context) error {
	return r.writers(ctx, "postgresql_gathered", seedGathered, writeGathered)
}

func (r *round) writers(ctx context.Context, name string, seed uint64, write func(context.Context, *server, uint64, int) ([]time.Duration, error)) error {
	n := max(64, r.records/writerShare)
	began := time.Now()
	took, err := write(ctx, r.server, seed, n)
	if err != nil {
		return err
	}
	r.report.add(name, bench.PerSecond, n, float64(n)/time.Since(began).Seconds())
	r.report.addTimes(name, took)
	return nil
}
