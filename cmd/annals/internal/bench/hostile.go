package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/attack"
	"annals/cmd/annals/internal/durable"
	"annals/cmd/annals/internal/load"
	"annals/internal/access"

	"github.com/go-json-experiment/json"
)

// attacks are how hard each kind is attacked by: connections at once. The first is none:
// what two windows alike differ by is what no attack can be told from.
var attacks = []struct {
	kind attack.Kind
	many int
}{
	{"", 0},
	{attack.Stalled, 1000},
	{attack.Slowloris, 1000},
	{attack.Queries, 500},
	{attack.Headers, 64},
	{attack.Tokens, 64},
}

// attackReaders are the tokens that an attacker has: so many that the limits of each don't
// bound what all may have.
const attackReaders = 10

// How a kind is measured in a round: records for a few seconds alone and then under
// attack, or the other way round, many times. What a machine does besides, its disk above
// all, comes and goes within seconds, and the ratio of two windows that follow one another
// has less of it than that of two long ones; the median of many has less again.
const (
	hostilePairs   = 8
	hostileRecords = 10 * latencyRate
)

// hostile times records as the mode latency does, alone and under each attack, of a
// service behind access. The attackers are a process of their own, as if they were
// elsewhere: it is given what the service leaves of the processors, so that what they do
// themselves takes nothing from it, and what they make the service do takes what it takes.
func (r *round) hostile(ctx context.Context) (err error) {
	step := r.step(Hostile)
	dir := filepath.Join(r.dir, "hostile")
	o := attack.Orders{Workspace: busiest(seedHostile, r.Records)}
	rig, err := Start(ctx, RigOptions{
		Dir: dir, Version: r.Version, Program: r.Program, Prepare: func(data string) error { return letIn(data, &o) },
		// What is logged of each request is printed as it would be.
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Remove()) }()
	// What the questions are about.
	if _, err := rig.Publish(ctx, Lines, seedHostile, r.Records, func(int, int) {}); err != nil {
		return err
	}
	pairs := min(hostilePairs, max(1, r.Records/hostileRecords))
	for i, a := range attacks {
		o.Kind, o.Many = a.kind, a.many
		for pair := range pairs {
			done := i*pairs + pair
			if err := r.pair(ctx, rig, o, pair, seedHostile+uint64(2*done+1)); err != nil {
				return fmt.Errorf("%s: %w", cmp.Or(a.kind, "nobody"), err)
			}
			step(done+1, len(attacks)*pairs)
		}
	}
	return nil
}

// pair times records alone and under an attack, which of them first by turns, so that
// neither has what the other leaves behind more often.
func (r *round) pair(ctx context.Context, rig *Rig, o attack.Orders, number int, seed uint64) error {
	n := min(r.Records, hostileRecords)
	var alone, under Published
	var tally attack.Tally
	for turn := range 2 {
		err := Settled(ctx)
		if err == nil {
			if turn == number%2 {
				alone, err = rig.Publish(ctx, Latency, seed, n, func(int, int) {})
			} else {
				under, tally, err = r.under(ctx, rig, o, seed+1, n)
			}
		}
		if err != nil {
			return err
		}
	}
	name := "hostile_" + string(cmp.Or(o.Kind, "nobody"))
	r.report.add(
		Once(name+"_alone_p99", Milliseconds, n, Quantile(alone.Took, 0.99)),
		Once(name+"_p99", Milliseconds, n, Quantile(under.Took, 0.99)),
		Once(name+"_alone_cpu", Microseconds, n, alone.CPU.Seconds()*1e6/float64(n)),
		Once(name+"_cpu", Microseconds, n, under.CPU.Seconds()*1e6/float64(n)))
	if o.Kind != "" {
		r.report.add(Once(name+"_turned_away", Attempts, tally.TurnedAway(), float64(tally.TurnedAway())/under.Wall.Seconds()))
	}
	return nil
}

// under times records while a service is attacked; where the orders name no kind, by
// nobody.
func (r *round) under(ctx context.Context, rig *Rig, o attack.Orders, seed uint64, n int) (run Published, tally attack.Tally, err error) {
	if o.Kind == "" {
		run, err = rig.Publish(ctx, Latency, seed, n, func(int, int) {})
		return run, tally, err
	}
	u, err := url.Parse(rig.service.URL())
	if err != nil {
		return run, tally, err
	}
	o.Address = u.Host
	text, err := json.Marshal(o)
	if err != nil {
		return run, tally, err
	}
	cmd := program(ctx, r.Program, "bench", "attack")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		return run, tally, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return run, tally, err
	}
	if err := startLowly(cmd); err != nil {
		return run, tally, err
	}
	wait := func() error {
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("the attackers: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
		}
		return nil
	}
	lines := bufio.NewReader(out)
	_, err = in.Write(append(text, '\n'))
	if err == nil {
		_, err = lines.ReadString('\n') // they have begun
	}
	if err != nil {
		return run, tally, errors.Join(err, in.Close(), wait())
	}
	run, failed := rig.Publish(ctx, Latency, seed, n, func(int, int) {})
	failed = errors.Join(failed, in.Close()) // they end with that
	told, err := io.ReadAll(lines)
	if err = errors.Join(failed, err, wait()); err != nil {
		return run, tally, err
	}
	return run, tally, json.Unmarshal(told, &tally)
}

// Attack attacks as the orders say that are read from in, a line of JSON, until that
// ends, and prints what came of it.
func Attack(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	var o attack.Orders
	if err := orders(lines, &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, lines)
	}()
	tally, err := attack.Run(ctx, o, func() { fmt.Fprintln(out, "begun") })
	if err != nil {
		return err
	}
	return json.MarshalWrite(out, tally)
}

// letIn makes the tokens that attackers have, in a data folder whose service has not
// been started.
func letIn(data string, o *attack.Orders) error {
	if err := durable.Dir(filepath.Dir(accessfile.Path(data))); err != nil {
		return err
	}
	book, err := accessfile.LoadOrNew(data)
	if err != nil {
		return err
	}
	workspaces, err := access.ParseWorkspaces([]string{o.Workspace})
	if err != nil {
		return err
	}
	mint := func(scopes access.Scopes) string {
		_, token, e := book.Add(access.Request{Name: "bench", Scopes: scopes, Workspaces: workspaces, Life: time.Hour}, time.Now())
		err = errors.Join(err, e)
		return token
	}
	for range attackReaders {
		o.Readers = append(o.Readers, mint(access.Read))
	}
	o.Recorder = mint(access.Record)
	return err
}

// busiest is the workspace of most of a series' records.
func busiest(seed uint64, records int) (workspace string) {
	series, times := load.New(seed), map[string]int{}
	var b []byte
	for range min(records, 50_000) {
		var w string
		b, w = series.Next(b[:0])
		if times[w]++; times[w] > times[workspace] {
			workspace = w
		}
	}
	return workspace
}
