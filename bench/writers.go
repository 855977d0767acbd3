package main

import (
	"context"
	"errors"
	"time"

	"annals/cmd/annals/internal/bench"
	"annals/cmd/annals/internal/load"

	"github.com/jackc/pgx/v5"
)

const (
	lockHead = "SELECT id, hash FROM head FOR UPDATE"
	moveHead = "UPDATE head SET id = $1, hash = $2"
	insert   = `INSERT INTO activity (id, workspace, recorded_at, occurred_at, user_id, object_type, object_id,
		type, source, outcome, record, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
)

// waiting is a caller's record.
type waiting struct {
	facts  load.Facts
	record []byte
	done   chan error
}

// eachCaller runs 64 callers, which publish n records between them by write, and
// times each record.
func eachCaller(seed uint64, n int, write func(caller int, w *waiting) error) ([]time.Duration, error) {
	return bench.EachCaller(n, func(caller, share int) ([]time.Duration, error) {
		mine := make([]time.Duration, 0, share)
		records := load.New(seed + uint64(caller))
		for range share {
			var w waiting
			w.record, _ = records.Next(nil)
			w.facts = records.Last()
			began := time.Now()
			if err := write(caller, &w); err != nil {
				return mine, err
			}
			mine = append(mine, time.Since(began))
		}
		return mine, nil
	})
}

// writeAlone has each caller write in a transaction of its own: it locks the
// chain's end, computes the hash, inserts, and commits. That is two round trips.
func writeAlone(ctx context.Context, s *server, seed uint64, n int) (took []time.Duration, err error) {
	conns := make([]*pgx.Conn, bench.Callers)
	for i := range conns {
		if conns[i], err = s.connect(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, conns[i].Close(ctx)) }()
	}
	return eachCaller(seed, n, func(caller int, w *waiting) error {
		return commit(ctx, conns[caller], []*waiting{w})
	})
}

// writeGathered has one goroutine write for all callers: it takes the records that
// wait, whoever they are of, into one transaction, as Annals' publisher does.
func writeGathered(ctx context.Context, s *server, seed uint64, n int) (took []time.Duration, err error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	queue, ended := make(chan *waiting, bench.Callers), make(chan struct{})
	go func() {
		defer close(ended)
		for w := range queue {
			group := []*waiting{w}
			for len(queue) > 0 {
				group = append(group, <-queue)
			}
			err := commit(ctx, c, group)
			for _, w := range group {
				w.done <- err
			}
		}
	}()
	took, err = eachCaller(seed, n, func(_ int, w *waiting) error {
		w.done = make(chan error, 1)
		queue <- w
		return <-w.done
	})
	close(queue)
	<-ended
	return took, err
}

// commit chains and inserts some records in one transaction.
func commit(ctx context.Context, c *pgx.Conn, group []*waiting) error {
	var first pgx.Batch
	first.Queue("BEGIN")
	var at link
	first.Queue(lockHead).QueryRow(func(row pgx.Row) error { return row.Scan(&at.id, &at.hash) })
	if err := c.SendBatch(ctx, &first).Close(); err != nil {
		return err
	}
	var second pgx.Batch
	now := time.Now()
	for _, w := range group {
		before := at
		at = before.next(w.record)
		second.Queue(insert, row(nil, &w.facts, w.record, before, at, now)...)
	}
	second.Queue(moveHead, at.id, at.hash)
	second.Queue("COMMIT")
	return c.SendBatch(ctx, &second).Close()
}
