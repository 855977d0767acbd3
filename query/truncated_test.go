package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain"
)

// fillers publishes n records that have no source.
func (s *served) fillers(n int) {
	const line = `{"type":"fill","actor":{"id":"filler"}}` + "\n"
	for ; n > 0; n -= min(n, 1000) {
		s.stream.Publish("activity.ws._", strings.Repeat(line, min(n, 1000)), "Content-Type", chain.NDJSON)
	}
}

// TestTruncated lets every search stop after a few rows, in indexes of several
// blocks: each says so, totals don't overstate, and the cursors lead to every
// entry all the same. By the time of occurrence a search may be refused, having
// shown nothing wrong.
func TestTruncated(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(9, 1))}
	s := serve(t, Options{Work: 3})
	for range 5 {
		s.history(g, 80)
		s.fillers(16_000)
		s.settle()
	}
	facts := s.facts(0)
	from, to := facts[0].recorded, facts[len(facts)-1].recorded.Add(time.Hour)
	truncated, refused := 0, 0
	for range 150 {
		q := g.question(from, to)
		q.is["source"] = []string{"web", "mobile"}
		v := q.parameters()
		v.Set("limit", "40")
		want := q.find(facts, uint64(len(facts)))
		a, err := s.follow(q.workspace, v)
		switch {
		case err != nil && q.order == "occurred" && strings.Contains(err.Error(), "too_broad"):
			refused++
			a.total = uint64(len(a.indexes))
			err = a.compare(want[:min(len(a.indexes), len(want))])
		case err == nil:
			err = a.compare(want)
		}
		if err != nil {
			v.Del("cursor")
			t.Fatalf("%s %s: %v", q.workspace, v.Encode(), err)
		}
		if a.truncated {
			truncated++
		}
		v = q.parameters()
		for _, name := range []string{"order", "first"} {
			v.Del(name)
		}
		v.Set("by", g.of([]string{"type", "user", "day", "outcome"}))
		c := s.counted("/v1/workspaces/" + q.workspace + "/counts?" + v.Encode())
		if c.Total > uint64(len(want)) || !c.Truncated && c.Total != uint64(len(want)) || c.Truncated && c.Other != nil {
			t.Fatalf("%s: %+v, want %d", v.Encode(), c, len(want))
		}
	}
	if truncated < 20 || refused == 0 {
		t.Errorf("%d searches were cut short, %d refused: the test tests little", truncated, refused)
	}
	for _, query := range []string{"by=user&source=web", "by=day&source=web"} {
		if c := s.counted("/v1/workspaces/ws/counts?" + query); !c.Truncated || c.Total == 0 {
			t.Errorf("%s: %+v", query, fmt.Sprint(c))
		}
	}
	p := s.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws/counts?by=day&time=occurred&source=web")
	if p.Errors[0].Parameter != "time" || p.Errors[0].Code != "too_broad" {
		t.Errorf("%+v", p)
	}
}
