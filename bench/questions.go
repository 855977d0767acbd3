package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"annals/cmd/annals/internal/bench"
	"annals/cmd/annals/internal/load"

	"github.com/jackc/pgx/v5"
)

// asked is a question as PostgreSQL is asked it.
type asked struct {
	queries []string // in one round trip; the first one of a count is the total
	values  func(*load.Facts) []any
}

const shown = "SELECT id, recorded_at, record, previous, hash FROM activity WHERE workspace = $1"

// inSQL are the questions of [bench.Questions]. All types that begin with "app."
// are those from "app." up to "app/", the next byte: so an index finds them.
var inSQL = map[string]asked{
	"page_user": {
		queries: []string{shown + " AND user_id = $2 ORDER BY id DESC LIMIT 50"},
		values:  func(f *load.Facts) []any { return []any{f.Workspace, f.User()} },
	},
	"page_object": {
		queries: []string{shown + " AND object_type = $2 AND object_id = $3 ORDER BY id DESC LIMIT 50"},
		values: func(f *load.Facts) []any {
			typ, id := f.Object()
			return []any{f.Workspace, typ, id}
		},
	},
	"page_workspace": {
		queries: []string{shown + " ORDER BY recorded_at DESC, id DESC LIMIT 50"},
		values:  func(f *load.Facts) []any { return []any{f.Workspace} },
	},
	"counts_type": {
		queries: counts("type = $4"),
		values:  func(f *load.Facts) []any { return []any{f.Workspace, f.Source, f.Outcome, f.Type} },
	},
	"counts_group": {
		queries: counts("type >= $4 AND type < $5"),
		values: func(f *load.Facts) []any {
			first := f.Chapter()
			return []any{f.Workspace, f.Source, f.Outcome, first, strings.TrimSuffix(first, ".") + "/"}
		},
	},
	"counts_wide": {
		queries: counts("type <> $4"),
		values:  func(f *load.Facts) []any { return []any{f.Workspace, f.Source, f.Outcome, f.Type} },
	},
}

func counts(types string) []string {
	from := " FROM activity WHERE workspace = $1 AND source = $2 AND outcome = $3 AND " + types
	return []string{
		"SELECT count(*)" + from,
		"SELECT date_trunc('day', occurred_at, 'UTC'), count(*)" + from + " GROUP BY 1 ORDER BY 1",
	}
}

// ask asks one question. The total of a page is its length.
func (a *asked) ask(ctx context.Context, c *pgx.Conn, f *load.Facts) (out bench.Answer, took time.Duration, err error) {
	began := time.Now()
	var b pgx.Batch
	for i, q := range a.queries {
		b.Queue(q, a.values(f)...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var err error
				switch {
				case len(a.queries) == 1:
					out.Total++ // what is on the page was read; nobody looks at it
				case i == 0:
					err = rows.Scan(&out.Total)
				default:
					var day bench.Day
					err = rows.Scan(&day.Start, &day.N)
					day.Start = day.Start.UTC()
					out.Days = append(out.Days, day)
				}
				if err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	err = c.SendBatch(ctx, &b).Close()
	return out, time.Since(began), err
}

// questions asks both sides the same questions, [bench.Turn] of them in turn, after asking each others
// of the same kind, so that both are warm. Their answers must agree.
func (r *round) questions(ctx context.Context) (err error) {
	c, err := r.server.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	reader := r.annals.Reader()
	defer reader.Close()
	for _, q := range bench.Questions() {
		sql := inSQL[q.Name]
		warm, timed := q.Asked(r.records, min(max(r.records/200, 100), 2000))
		var ours, theirs []time.Duration
		for at := 0; at < len(warm)+len(timed); at += bench.Turn {
			facts := append(warm[:len(warm):len(warm)], timed...)[at:min(at+bench.Turn, len(warm)+len(timed))]
			answered := make([]bench.Asked, len(facts))
			for i := range facts {
				if answered[i], err = reader.Ask(ctx, &q, &facts[i]); err != nil {
					return err
				}
				if at+i >= len(warm) {
					ours = append(ours, answered[i].Took)
				}
			}
			found := make([]bench.Answer, len(facts))
			for i := range facts {
				var took time.Duration
				if found[i], took, err = sql.ask(ctx, c, &facts[i]); err != nil {
					return fmt.Errorf("%s: %w", q.Name, err)
				}
				if at+i >= len(warm) {
					theirs = append(theirs, took)
				}
			}
			for i := range facts {
				answer, err := q.Answer(answered[i])
				if err != nil {
					return err
				}
				if !agree(&q, answer, found[i]) {
					return fmt.Errorf("%s: Annals finds %d, %v, and PostgreSQL %d, %v, for %+v",
						q.Name, answer.Total, answer.Days, found[i].Total, found[i].Days, facts[i])
				}
			}
		}
		r.report.addTimes("annals_"+q.Name, ours)
		r.report.addTimes("postgresql_"+q.Name, theirs)
	}
	return nil
}

// agree reports whether both sides found the same: all of a count, day by day, and
// of a page as many as there are on it. Annals' page of an object also holds the
// records that only link it, so there PostgreSQL may find fewer.
func agree(q *bench.Question, ours, theirs bench.Answer) bool {
	if q.Counts {
		return ours.Total == theirs.Total && slices.Equal(ours.Days, theirs.Days)
	}
	shown := min(ours.Total, bench.PageSize)
	return theirs.Total == shown || q.Name == "page_object" && theirs.Total < shown
}
