package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"annals/cmd/annals/internal/load"

	"github.com/jackc/pgx/v5"
)

// schema is an audit table as many have it: the record as jsonb, columns for what
// is asked for, a hash chain that the application computes, and an index for each
// of the four questions. There is no key that would find a duplicate, and no tree:
// it does less than Annals.
const schema = `
CREATE TABLE activity (
	id          bigint      NOT NULL,
	workspace   text        NOT NULL,
	recorded_at timestamptz NOT NULL,
	occurred_at timestamptz NOT NULL,
	user_id     text        NOT NULL,
	object_type text        NOT NULL,
	object_id   text        NOT NULL,
	type        text        NOT NULL,
	source      text        NOT NULL,
	outcome     text        NOT NULL,
	record      jsonb       NOT NULL,
	previous    bytea       NOT NULL,
	hash        bytea       NOT NULL
);
CREATE INDEX activity_time   ON activity (workspace, recorded_at, id);
CREATE INDEX activity_user   ON activity (workspace, user_id, id);
CREATE INDEX activity_object ON activity (workspace, object_type, object_id, id);
CREATE INDEX activity_type   ON activity (workspace, type, id);
CREATE TABLE head (id bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO head VALUES (0, '');`

var columns = []string{
	"id", "workspace", "recorded_at", "occurred_at", "user_id", "object_type", "object_id",
	"type", "source", "outcome", "record", "previous", "hash",
}

// link is the end of the hash chain.
type link struct {
	id   int64
	hash []byte
}

// next chains a record to it.
func (l link) next(record []byte) link {
	h := sha256.New()
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(l.id+1))
	h.Write(l.hash)
	h.Write(id[:])
	h.Write(record)
	return link{l.id + 1, h.Sum(nil)}
}

// row is a row of the table, after the link before it. values are put in place.
func row(values []any, f *load.Facts, record []byte, before, at link, now time.Time) []any {
	typ, id := f.Object()
	return append(values[:0], at.id, f.Workspace, now, time.UnixMilli(f.Occurred), f.User(), typ, id,
		f.Type, f.Source, f.Outcome, record, before.hash, at.hash)
}

const copyRows = 1000 // a transaction

// copyAll writes n records by COPY, a thousand rows a transaction, over one
// connection: the chain is one.
func copyAll(ctx context.Context, s *server, n int) (took time.Duration, err error) {
	c, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	src := &rows{records: load.New(seedBulk), at: link{hash: []byte{}}} // empty, which is not null
	began := time.Now()
	for left := n; left > 0; left -= copyRows {
		src.left, src.now = min(left, copyRows), time.Now()
		wrote, err := c.CopyFrom(ctx, pgx.Identifier{"activity"}, columns, src)
		if err != nil {
			return 0, err
		}
		if wrote != int64(min(left, copyRows)) {
			return 0, fmt.Errorf("COPY wrote %d rows of %d", wrote, min(left, copyRows))
		}
	}
	took = time.Since(began)
	_, err = c.Exec(ctx, "UPDATE head SET id = $1, hash = $2", src.at.id, src.at.hash)
	return took, err
}

// rows are the next rows of a series, as COPY takes them.
type rows struct {
	records *load.Records
	left    int
	now     time.Time
	at      link
	record  []byte
	values  []any
}

func (r *rows) Next() bool {
	r.left--
	return r.left >= 0
}

func (r *rows) Values() ([]any, error) {
	r.record, _ = r.records.Next(r.record[:0])
	f := r.records.Last()
	before := r.at
	r.at = before.next(r.record)
	r.values = row(r.values, &f, r.record, before, r.at, r.now)
	return r.values, nil
}

func (r *rows) Err() error { return nil }
