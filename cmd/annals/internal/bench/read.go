package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"annals/cmd/annals/internal/load"

	"github.com/go-json-experiment/json"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// Question is a kind of question, asked of the records of a series.
type Question struct {
	Name string
	// Key appends what tells questions apart.
	Key func([]byte, *load.Facts) []byte
	// Path is what to ask over HTTP for the question about a record.
	Path func(*load.Facts) string
	// Counts: the answer is a total and counts by day, not a page.
	Counts bool
}

// PageSize is how many records a page has.
const PageSize = 50

// Turn is how many questions are asked before their answers are taken apart.
const Turn = 50

// Questions are what is asked. A page is the newest 50 of 50 or more. A count is exact, in all
// and by day of occurring, of what three filters leave of a workspace: a source, an
// outcome, and one type, or the types that begin alike, or all types but one. So
// there is little to count, more, and much.
func Questions() []Question {
	page := fmt.Sprintf("?limit=%d", PageSize)
	workspace := func(f *load.Facts) string { return "/v1/workspaces/" + url.PathEscape(f.Workspace) }
	counts := func(name, filter string, types func(*load.Facts) string) Question {
		return Question{
			Name: name, Counts: true,
			Key: func(b []byte, f *load.Facts) []byte { return key(b, f.Workspace, f.Source, f.Outcome, types(f)) },
			Path: func(f *load.Facts) string {
				return workspace(f) + "/counts?by=day&time=occurred&" +
					url.Values{filter: {types(f)}, "source": {f.Source}, "outcome": {f.Outcome}}.Encode()
			},
		}
	}
	return []Question{
		{
			Name: "page_user",
			Key:  func(b []byte, f *load.Facts) []byte { return key(b, f.Workspace, f.User()) },
			Path: func(f *load.Facts) string {
				return workspace(f) + "/users/" + url.PathEscape(f.User()) + "/timeline" + page
			},
		},
		{
			Name: "page_object",
			Key: func(b []byte, f *load.Facts) []byte {
				typ, id := f.Object()
				return key(b, f.Workspace, typ, id)
			},
			Path: func(f *load.Facts) string {
				typ, id := f.Object()
				return workspace(f) + "/objects/" + url.PathEscape(typ) + "/" + url.PathEscape(id) + "/history" + page
			},
		},
		{
			Name: "page_workspace",
			Key:  func(b []byte, f *load.Facts) []byte { return key(b, f.Workspace) },
			Path: func(f *load.Facts) string { return workspace(f) + "/timeline" + page },
		},
		counts("counts_type", "type", func(f *load.Facts) string { return f.Type }),
		counts("counts_group", "type", func(f *load.Facts) string { return f.Chapter() + "*" }),
		counts("counts_wide", "type!", func(f *load.Facts) string { return f.Type }),
	}
}

func key(b []byte, parts ...string) []byte {
	for _, part := range parts {
		b = append(append(b, part...), ' ')
	}
	return b
}

// Asked returns what to ask about the records of mode ndjson: first n questions
// to ask once for their answers alone, then n others to be timed. So nothing that
// is timed was asked before, and nothing is read for the first time either.
func (q *Question) Asked(records, n int) (warm, timed []load.Facts) {
	least := 1
	if !q.Counts {
		least = PageSize
	}
	all := load.Questions(seedLines, records, 2*n, least, q.Key)
	return all[:len(all)/2], all[len(all)/2:]
}

// Asked is a question that was answered, and not looked at yet: to take an answer apart
// empties the processor's caches for whatever is asked next.
type Asked struct {
	Took time.Duration // until the answer's last byte
	path string
	body []byte
}

// Answer is what a question was answered with.
type Answer struct {
	Total uint64
	Days  []Day // of a count: those with any, in order
}

// Day is how many entries a day has.
type Day struct {
	Start time.Time // midnight, UTC
	N     uint64
}

// Reader asks over HTTP, on one connection that stays open.
type Reader struct {
	client http.Client
	url    string
	body   bytes.Buffer
}

// Reader returns one that asks this service.
func (r *Rig) Reader() *Reader {
	return &Reader{client: http.Client{Timeout: time.Minute, Transport: &http.Transport{}}, url: r.service.URL()}
}

// Close closes the connection.
func (r *Reader) Close() { r.client.CloseIdleConnections() }

// Ask asks one question.
func (r *Reader) Ask(ctx context.Context, q *Question, f *load.Facts) (Asked, error) {
	path := q.Path(f)
	took, err := r.get(ctx, path)
	return Asked{took, path, bytes.Clone(r.body.Bytes())}, err
}

// Answer takes the answer apart. The error says why it can't be one.
func (q *Question) Answer(asked Asked) (Answer, error) {
	var a struct {
		Records []struct{} `json:"records"`
		Counts  []struct {
			Start time.Time `json:"start"`
			N     uint64    `json:"n"`
		} `json:"counts"`
		Total     uint64 `json:"total"`
		Truncated bool   `json:"truncated"`
	}
	if err := unmarshal(asked.body, &a); err != nil {
		return Answer{}, fmt.Errorf("%s: %w", asked.path, err)
	}
	switch {
	case a.Truncated:
		return Answer{}, fmt.Errorf("%s: the answer is truncated", asked.path)
	case a.Total == 0 && q.Name != "counts_wide", !q.Counts && uint64(len(a.Records)) != min(a.Total, PageSize):
		return Answer{}, fmt.Errorf("%s: %d records on the page, %d in all: that can't be", asked.path, len(a.Records), a.Total)
	}
	out := Answer{Total: a.Total}
	for _, c := range a.Counts {
		if c.N > 0 {
			out.Days = append(out.Days, Day{c.Start.UTC(), c.N})
		}
	}
	return out, nil
}

// askAll asks a question about all of the records, and takes the answers apart a [Turn] at
// a time. It returns how long each took.
func (r *Reader) askAll(ctx context.Context, q *Question, facts []load.Facts) (took []time.Duration, err error) {
	for turn := range slices.Chunk(facts, Turn) {
		var asked []Asked
		for i := range turn {
			a, err := r.Ask(ctx, q, &turn[i])
			if err != nil {
				return nil, err
			}
			asked, took = append(asked, a), append(took, a.Took)
		}
		for _, a := range asked {
			if _, err := q.Answer(a); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}

// get reads a path's answer into the body.
func (r *Reader) get(ctx context.Context, path string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return 0, err
	}
	r.body.Reset()
	began := time.Now()
	response, err := r.client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(&r.body, response.Body)
	took := time.Since(began)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s: %s", path, response.Status, bytes.TrimSpace(r.body.Bytes()))
	}
	return took, nil
}

// read measures pages and counts, and the floor of both: the least that a request
// takes.
func (r *round) read(ctx context.Context, rig *Rig) error {
	if err := Settled(ctx); err != nil {
		return err
	}
	reader := rig.Reader()
	defer reader.Close()
	n := min(max(r.Records/200, 100), 2000)
	var floor []time.Duration
	for range n {
		took, err := reader.get(ctx, "/healthz")
		if err != nil {
			return err
		}
		floor = append(floor, took)
	}
	r.report.add(Once("ceiling_http_p50", Milliseconds, n, Quantile(floor, 0.5)))
	for _, q := range Questions() {
		warm, timed := q.Asked(r.Records, n)
		if _, err := reader.askAll(ctx, &q, warm); err != nil {
			return err
		}
		took, err := reader.askAll(ctx, &q, timed)
		if err != nil {
			return err
		}
		r.report.add(Once(q.Name+"_p50", Milliseconds, len(took), Quantile(took, 0.5)),
			Once(q.Name+"_p99", Milliseconds, len(took), Quantile(took, 0.99)))
	}
	return nil
}
