package bench

import (
	"bufio"
	"bytes"
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

// attacks are how hard each kind is attacked by: connections at once.
var attacks = []struct {
	kind attack.Kind
	many int
}{
	{attack.Stalled, 1000},
	{attack.Slowloris, 1000},
	{attack.Queries, 500},
	{attack.Headers, 64},
	{attack.Tokens, 64},
}

// attackReaders are the tokens that an attacker has: so many that the limits of each don't
// bound what all may have.
const attackReaders = 10

// hostile times records as the mode latency does, alone and then under each attack, of a
// service behind access. The attackers are a process of their own, as if they were
// elsewhere: it has the lowest priority, so that what they do themselves takes little
// from the service, and what they make the service do takes what it takes.
func (r *round) hostile(ctx context.Context) (err error) {
	step := r.step(Hostile)
	dir := filepath.Join(r.dir, "hostile")
	o := attack.Orders{Workspace: busiest(seedHostile, r.Records)}
	rig, err := Start(ctx, RigOptions{
		Dir: dir, Version: r.Version, Prepare: func(data string) error { return letIn(data, &o) },
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
	n := min(r.Records, 15*latencyRate)
	for i, a := range attacks {
		name := "hostile_" + string(a.kind)
		if err := Settled(ctx); err != nil {
			return err
		}
		alone, err := rig.Publish(ctx, Latency, seedHostile+uint64(2*i+1), n, step)
		if err != nil {
			return fmt.Errorf("%s, alone: %w", a.kind, err)
		}
		o.Kind, o.Many = a.kind, a.many
		under, tally, err := r.under(ctx, rig, o, seedHostile+uint64(2*i+2), n)
		if err != nil {
			return fmt.Errorf("%s: %w", a.kind, err)
		}
		r.report.add(
			Once(name+"_alone_p99", Milliseconds, n, Quantile(alone.Took, 0.99)),
			Once(name+"_p99", Milliseconds, n, Quantile(under.Took, 0.99)),
			Once(name+"_turned_away", Attempts, tally.TurnedAway(), float64(tally.TurnedAway())/under.Wall.Seconds()))
		step(i+1, len(attacks))
	}
	return nil
}

// under times records while a service is attacked.
func (r *round) under(ctx context.Context, rig *Rig, o attack.Orders, seed uint64, n int) (run Published, tally attack.Tally, err error) {
	u, err := url.Parse(rig.service.URL())
	if err != nil {
		return run, tally, err
	}
	o.Address = u.Host
	orders, err := json.Marshal(o)
	if err != nil {
		return run, tally, err
	}
	cmd := r.program(ctx, "bench", "attack")
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
	_, err = in.Write(append(orders, '\n'))
	if err == nil {
		_, err = lines.ReadString('\n') // they have begun
	}
	if err != nil {
		return run, tally, errors.Join(err, in.Close(), wait())
	}
	run, failed := rig.Publish(ctx, Latency, seed, n, func(int, int) {})
	failed = errors.Join(failed, in.Close()) // they end with that
	text, err := io.ReadAll(lines)
	if err = errors.Join(failed, err, wait()); err != nil {
		return run, tally, err
	}
	return run, tally, json.Unmarshal(text, &tally)
}

// Attack attacks as the orders say that are read from in, a line of JSON, until that
// ends, and prints what came of it.
func Attack(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no orders came: %w", err)
	}
	var o attack.Orders
	if err := json.Unmarshal(text, &o, json.RejectUnknownMembers(true)); err != nil {
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
