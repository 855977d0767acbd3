package query

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"annals/activity"
	"annals/internal/access"
	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

// settled are the groups that a workspace's catalogue gives types, in its order, as a
// naive reader has them.
type settled []struct{ slug, group string }

// groups draws a catalogue: types and beginnings that overlap one another and what is
// published.
func (g guess) groups() (s settled) {
	slugs := []string{"app.renamed", "app.created", "application", "t", "t.x", "app.*", "app*", "ap*", "t*", "frontend_*", "frontend_c*", "user.*"}
	g.Shuffle(len(slugs), func(i, j int) { slugs[i], slugs[j] = slugs[j], slugs[i] })
	for _, slug := range slugs[:g.IntN(len(slugs))] {
		s = append(s, struct{ slug, group string }{slug, g.of([]string{"own", "ours", "app", "frontend", ""})})
	}
	return s
}

// document is the catalogue as it is signed.
func (s settled) document() string {
	type labelled map[string]string
	types := []labelled{}
	for _, t := range s {
		is := labelled{"slug": t.slug, "label": t.slug, "sentence": "{actor}"}
		if t.group != "" {
			is["group"] = t.group
		}
		types = append(types, is)
	}
	b, err := json.Marshal(map[string]any{"types": types, "groups": []labelled{{"slug": "own", "label": "Own"}, {"slug": "ours", "label": "Ours"}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// of is the group of a type: what the workspace says of it, else of the first beginning
// that it goes on from, else what is published.
func (s settled) of(typ string) string {
	published := func(slug string) string {
		for _, d := range activity.Catalogue().Definitions() {
			if d.Slug == slug {
				return d.Group
			}
		}
		return ""
	}
	for _, t := range s {
		if t.slug == typ && t.group != "" {
			return t.group
		} else if t.slug == typ {
			return published(typ)
		}
	}
	for _, t := range s {
		if stem, many := strings.CutSuffix(t.slug, "*"); many && len(typ) > len(stem) && strings.HasPrefix(typ, stem) {
			if t.group != "" {
				return t.group
			}
			return published(t.slug)
		}
	}
	d, _ := activity.Lookup(typ)
	return d.Group
}

// told are the facts as they are told by the groups that a workspace has.
func (s settled) told(facts []fact, workspace string) []fact {
	facts = slices.Clone(facts)
	for i := range facts {
		f := &facts[i]
		if f.workspace != workspace || len(f.says["type"]) == 0 {
			continue
		}
		f.says = maps.Clone(f.says)
		delete(f.says, "group")
		if group := s.of(f.says["type"][0]); group != "" {
			f.says["group"] = []string{group}
		}
	}
	return facts
}

// TestOwnGroupsModel settles a workspace's groups anew time and again, and compares what
// is asked by groups, and counted by them, with a naive reading: by the catalogue at the
// size that is asked about, of all that was recorded before it too.
func TestOwnGroupsModel(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(30, 1))}
	s := serveOn(t, chaintest.NewKeyed("groups"), Options{})
	type version struct {
		entry uint64
		settled
	}
	var versions []version
	for range 8 {
		s.history(g, 50)
		own := g.groups()
		s.catalogue("ws", own.document())
		versions = append(versions, version{s.api.o.Ledger.Head().Size - 1, own})
	}
	s.history(g, 50)
	s.settle()
	facts := s.facts(0)
	from, to := facts[0].recorded, facts[len(facts)-1].recorded.Add(time.Hour)
	counted := map[string]int{}
	for range questions() / 4 {
		q := g.question(from, to)
		size := uint64(len(facts))
		if g.chance(70) {
			size = g.Uint64N(size + 1)
		}
		var own settled
		groups := []string{"app", "frontend", "user", "settings"}
		for _, v := range versions {
			if v.entry < size && q.workspace == "ws" {
				own = v.settled
				groups = []string{"app", "frontend", "user", "own", "ours"}
			}
		}
		for _, asked := range []map[string][]string{q.is, q.not} {
			if g.chance(30) {
				asked["group"] = make([]string, 1+g.IntN(2))
			}
			for i := range asked["group"] {
				asked["group"][i] = g.of(groups)
			}
		}
		want := q.find(own.told(facts, "ws"), size)
		v := q.parameters()
		v.Set("as_of", strconv.FormatUint(size, 10))
		v.Set("limit", strconv.Itoa(max(1+g.IntN(60), len(want)/8)))
		a, err := s.follow(q.workspace, v)
		if err == nil {
			err = a.compare(want)
		}
		if err != nil {
			t.Fatalf("%s %s: %v\n%v", q.workspace, v.Encode(), err, own)
		}
		top := 1 + g.IntN(4)
		for _, name := range []string{"limit", "cursor", "order", "first"} {
			v.Del(name)
		}
		v.Set("by", "group")
		v.Set("top", strconv.Itoa(top))
		c := s.counted("/v1/workspaces/" + q.workspace + "/counts?" + v.Encode())
		got := fmt.Sprintf("%s; %d other %d", c.lines(), c.Distinct, *c.Other)
		if want := valuesOf(want, "group", top); got != want || c.Total != a.total || c.Truncated {
			t.Fatalf("%s %s: %s of %d, want %s\n%v", q.workspace, v.Encode(), got, c.Total, want, own)
		}
		for _, n := range c.Counts {
			counted[n.Value]++
		}
	}
	for _, group := range []string{"own", "ours", "app", "frontend", "user"} {
		if counted[group] < questions()/100 {
			t.Errorf("%s was counted %d times: %v", group, counted[group], counted)
		}
	}
}

// TestTrackingKeepsItsGroups: what the activity-tracking backend publishes is found by
// its own table, whatever the workspace says of the types.
func TestTrackingKeepsItsGroups(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("tracking"), Options{})
	for n, typ := range []string{"frontend_click", "user_login", "app.renamed"} {
		s.publish("ws", fmt.Sprintf(`{"id":"t%d","type":%q,"actor":{"type":"user","id":"u"}}`, n, typ))
	}
	s.catalogue("ws", settled{{"frontend_*", "own"}, {"user_login", "own"}, {"app.renamed", "frontend"}}.document())
	a := s.do("GET", TrackingPath, access.WorkspaceHeader, "ws")
	var page TrackingPage
	if err := json.Unmarshal(a.body, &page); err != nil || a.status != 200 {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	types := []string{}
	for _, e := range page.Events {
		types = append(types, e.EventType)
	}
	if want := []string{"user_login", "frontend_click"}; !slices.Equal(types, want) {
		t.Errorf("it finds %q, want %q", types, want)
	}
}
