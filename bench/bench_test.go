package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/bench"
	"annals/cmd/annals/internal/load"

	"github.com/go-json-experiment/json"
)

// TestBars: rates are compared as they are and times the other way round, round by
// round; a bar is reached by the median.
func TestBars(t *testing.T) {
	r := &report{}
	for _, m := range []struct {
		name   string
		values []float64
	}{
		{"annals_ndjson", []float64{60_000, 100_000, 30_000}},
		{"postgresql_copy", []float64{30_000, 25_000, 30_000}}, // 2, 4, 1
		{"annals_await", []float64{8_000}},
		{"postgresql_writers", []float64{2_000}}, // 4
		{"annals_counts_group_p50", []float64{0.5, 0.25}},
		{"postgresql_counts_group_p50", []float64{10, 10}}, // 20, 40
		{"annals_page_user_p50", []float64{0.4}},
		{"postgresql_page_user_p50", []float64{0.2}}, // 0.5
	} {
		for _, v := range m.values {
			r.add(m.name, "", 1, v)
		}
	}
	r.settle()
	want := []struct {
		name                string
		median, least, most float64
		met                 bool
	}{
		{"bulk", 2, 1, 4, true},
		{"singles", 4, 4, 4, false},
		{"page_user", 0.5, 0.5, 0.5, false},
		{"counts_group", 30, 20, 40, true},
	}
	if len(r.Bars) != len(want) {
		t.Fatalf("bars %+v", r.Bars)
	}
	for i, w := range want {
		b := r.Bars[i]
		if b.Name != w.name || b.Median != w.median || b.Least != w.least || b.Most != w.most || b.Met != w.met {
			t.Errorf("bar %+v, want %+v", b, w)
		}
	}
}

// TestNames: a script that reads the JSON goes on working.
func TestNames(t *testing.T) {
	r := &report{}
	r.add("annals_ndjson", bench.PerSecond, 1, 2)
	r.add("postgresql_copy", bench.PerSecond, 1, 1)
	r.settle()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]struct {
		object map[string]any
		names  string
	}{
		"report":  {got, "bars began complete go measures os postgresql processors records rounds seconds settings"},
		"measure": {got["measures"].([]any)[0].(map[string]any), "least median most n name runs unit"},
		"bar":     {got["bars"].([]any)[0].(map[string]any), "against bar least measure median met most name runs"},
	} {
		var names []string
		for name := range want.object {
			names = append(names, name)
		}
		slices.Sort(names)
		if s := strings.Join(names, " "); s != want.names {
			t.Errorf("%s: names %s, want %s", of, s, want.names)
		}
	}
}

// TestQuestions: whatever Annals is asked, PostgreSQL can be asked too.
func TestQuestions(t *testing.T) {
	for _, q := range bench.Questions() {
		sql, ok := inSQL[q.Name]
		if !ok {
			t.Errorf("%s is not asked in SQL", q.Name)
			continue
		}
		f := load.Questions(seedBulk, 1000, 1, 1, q.Key)[0]
		for _, text := range sql.queries {
			if n := strings.Count(text, "$"); n != len(sql.values(&f)) {
				t.Errorf("%s has %d parameters and %d values: %s", q.Name, n, len(sql.values(&f)), text)
			}
		}
		if q.Counts != (len(sql.queries) == 2) {
			t.Errorf("%s: %d statements", q.Name, len(sql.queries))
		}
	}
}

// TestChain: each row names the hash before it, and its own is over that one, its
// number and the record.
func TestChain(t *testing.T) {
	r := rows{records: load.New(1), left: 3, at: link{hash: []byte{}}, now: time.Now()}
	last := []byte{}
	n := 0
	for r.Next() {
		n++
		v, err := r.Values()
		if err != nil || len(v) != len(columns) {
			t.Fatal(len(v), err)
		}
		record, previous, hash := v[10].([]byte), v[11].([]byte), v[12].([]byte)
		var id [8]byte
		binary.BigEndian.PutUint64(id[:], uint64(n))
		want := sha256.Sum256(slices.Concat(last, id[:], record))
		if v[0] != int64(n) || !bytes.Equal(previous, last) || !bytes.Equal(hash, want[:]) {
			t.Errorf("row %d: %v", n, v)
		}
		last = hash
	}
	if n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

func TestAgree(t *testing.T) {
	page, object := bench.Question{Name: "page_user"}, bench.Question{Name: "page_object"}
	count := bench.Question{Name: "counts_type", Counts: true}
	day := func(n uint64) []bench.Day { return []bench.Day{{Start: time.Unix(0, 0).UTC(), N: n}} }
	for _, c := range []struct {
		q            bench.Question
		ours, theirs bench.Answer
		want         bool
	}{
		{page, bench.Answer{Total: 7}, bench.Answer{Total: 7}, true},
		{page, bench.Answer{Total: 7}, bench.Answer{Total: 6}, false},
		{page, bench.Answer{Total: 4711}, bench.Answer{Total: bench.PageSize}, true},
		{object, bench.Answer{Total: 7}, bench.Answer{Total: 6}, true},
		{object, bench.Answer{Total: 7}, bench.Answer{Total: 8}, false},
		{count, bench.Answer{Total: 4711, Days: day(4711)}, bench.Answer{Total: 4711, Days: day(4711)}, true},
		{count, bench.Answer{Total: 4711, Days: day(4711)}, bench.Answer{Total: 4711}, false},
		{count, bench.Answer{Total: 4711, Days: day(4711)}, bench.Answer{Total: 4710, Days: day(4711)}, false},
	} {
		if got := agree(&c.q, c.ours, c.theirs); got != c.want {
			t.Errorf("%s: %+v and %+v agree: %v", c.q.Name, c.ours, c.theirs, got)
		}
	}
}

// TestMissing: whoever has no PostgreSQL is told what to install.
func TestMissing(t *testing.T) {
	err := run(t.Context(), []string{"--postgresql", t.TempDir()}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "postgresql-15") {
		t.Error(err)
	}
	for _, args := range [][]string{{"--records", "10"}, {"--rounds", "0"}, {"-o", "yaml"}, {"more"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q passes", args)
		}
	}
}

// TestRun runs all of it, small: everything is measured, both sides answer alike,
// and nothing is left behind. What the figures are is no matter here.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: it starts servers")
	}
	const programs = "/usr/lib/postgresql/15/bin"
	if _, err := os.Stat(filepath.Join(programs, "initdb")); err != nil {
		t.Skip("NOT COMPARED: no PostgreSQL 15 here; install Debian's package postgresql-15, as .ci/run does")
	}
	// A short path: a socket's name may have a hundred bytes.
	dir, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, []string{"--records", "2000", "--rounds", "2", "--dir", dir, "-o", "json"}, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Complete || len(r.Bars) != len(bars()) || !strings.HasPrefix(r.PostgreSQL, "PostgreSQL 15") {
		t.Errorf("complete %v, %d bars of %d, %q", r.Complete, len(r.Bars), len(bars()), r.PostgreSQL)
	}
	for _, m := range r.Measures {
		if len(m.Runs) != 2 || slices.Min(m.Runs) <= 0 {
			t.Errorf("%s: %v", m.Name, m.Runs)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
