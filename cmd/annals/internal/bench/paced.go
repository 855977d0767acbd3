package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/load"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
)

// latencyRate is how many records the mode Latency publishes in a second.
const latencyRate = 1000

// pacing is what the process that publishes at a fixed rate is told.
type pacing struct {
	NATS    string `json:"nats"` // URL
	Seed    uint64 `json:"seed"`
	Records int    `json:"records"`
}

// due is when a record is to be published.
func due(began time.Time, i int) time.Time {
	return began.Add(time.Duration(i) * time.Second / latencyRate)
}

// Pace publishes records at a fixed rate as orders say that are read from in, a line of
// JSON, whatever becomes of the records before, and returns once the stream has all of
// them. When it began it prints first, in nanoseconds since 1970.
func Pace(ctx context.Context, in io.Reader, out io.Writer) error {
	var o pacing
	if err := orders(bufio.NewReader(in), &o); err != nil {
		return err
	}
	return publishing(ctx, o.NATS, func(p *ingest.Publisher) error {
		records := load.New(o.Seed)
		began := time.Now().Add(10 * time.Millisecond)
		if _, err := fmt.Fprintln(out, began.UnixNano()); err != nil {
			return err
		}
		for i := range o.Records {
			record, workspace := records.Next(nil)
			sleepUntil(due(began, i))
			if _, err := p.PublishAsync(ctx, workspace, chain.OwnType, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// orders reads what a process is told.
func orders(lines *bufio.Reader, o any) error {
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no orders came: %w", err)
	}
	return json.Unmarshal(text, o, json.RejectUnknownMembers(true))
}

// paced has a process of its own publish at a fixed rate, and times each record from when
// it was due until the ledger has it: a record that is held up by others counts its
// waiting too. The publisher is elsewhere, as it usually is: what the service does to its
// own process's timers, when it collects garbage, is not what a producer sees.
func (r *Rig) paced(ctx context.Context, seed uint64, n int) ([]time.Duration, error) {
	number := make(map[string]int, n) // of each record, by its id
	records := load.New(seed)
	for i := range n {
		record, _ := records.Next(nil)
		var keys activity.Keys
		if bad := activity.Scan(record, &keys); bad != nil {
			return nil, bad
		}
		number[keys.ID] = i
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := r.service.Ledger().Head().Size
	var began time.Time
	var failed error
	var elsewhere sync.WaitGroup
	elsewhere.Go(func() {
		if began, failed = r.publishElsewhere(ctx, pacing{NATS: r.service.NATSURL(), Seed: seed, Records: n}); failed != nil {
			cancel() // what it didn't publish is not waited for
		}
	})
	at, err := recorded(ctx, r.service.Ledger(), size, number)
	if err != nil {
		cancel()
	}
	elsewhere.Wait()
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	took := make([]time.Duration, n)
	for i := range took {
		took[i] = at[i].Sub(due(began, i))
	}
	return took, nil
}

// publishElsewhere runs the process that publishes, and returns when it began.
func (r *Rig) publishElsewhere(ctx context.Context, o pacing) (began time.Time, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return began, err
	}
	cmd := program(ctx, r.o.Program, "bench", "pace")
	cmd.Stdin = bytes.NewReader(append(text, '\n'))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	var at int64
	if err == nil {
		at, err = strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	}
	if err != nil {
		return began, fmt.Errorf("the publisher: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return time.Unix(0, at), nil
}

// recorded follows a ledger from an entry on, and returns when it had each of the records
// that are numbered, by their ids.
func recorded(ctx context.Context, l *ledger.Ledger, from uint64, number map[string]int) ([]time.Time, error) {
	at := make([]time.Time, len(number))
	var scanned activity.Keys
	for left := len(number); left > 0; {
		head, err := l.Wait(ctx, from)
		now := time.Now()
		if err != nil {
			return nil, err
		}
		for leaf, err := range l.Leaves(ctx, from, head.Size) {
			if err != nil {
				return nil, err
			}
			if leaf.Entry.Kind != chain.KindRecord {
				continue
			}
			keys := leaf.Keys
			if keys == nil {
				if !leaf.Scan(&scanned) {
					continue
				}
				keys = &scanned
			}
			if i, ok := number[keys.ID]; ok && at[i].IsZero() {
				at[i] = now
				left--
			}
		}
		from = head.Size
	}
	return at, nil
}
