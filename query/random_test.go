package query

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
)

// Values that mean something in a URL, a pattern or a list, beside plain ones.
var oddIDs = []string{"u1", "u2", "u3", "a/b", "a,b", "new!", "50%", "%2F", "über böse", "日本", "a b+c", "*", "app.*", "x;y&z=1", `"q"`}

// guess draws what publishers write and readers ask for.
type guess struct{ *rand.Rand }

func (g guess) of(list []string) string { return list[g.IntN(len(list))] }

func (g guess) chance(percent int) bool { return g.IntN(100) < percent }

var (
	oddTypes      = []string{"app.renamed", "app.created", "application", "app", "frontend_click", "user.created", "t", "t.x", "_x"}
	oddSources    = []string{"web", "mobile", "Web", "a,b", "q!"}
	oddAddresses  = []string{"10.0.0.1", "10.0.1.77", "192.168.7.7", "2001:db8::1", "2001:DB8:0::0001", "::1", "nowhere", "10.0.0.1/8"}
	oddNetworks   = []string{"10.0.0.0/8", "10.0.1.0/24", "2001:db8::/32", "::/0", "0.0.0.0/0", "10.0.0.1"}
	oddDimensions = []string{"org", "a.b", "new!", "50%"}
	oddTimes      = []string{"2026-01-05T06:07:08Z", "2026-01-05T06:07:08.5Z", "2026-03-29T01:30:00Z", "2025-10-26T02:30:00+02:00", "yesterday", "2025-10-31T23:59:59.999999999Z"}
)

// record draws a record.
func (g guess) record() string {
	object := func() map[string]any {
		return map[string]any{"type": g.of([]string{"app", "a/b", "app%"}), "id": g.of(oddIDs)}
	}
	r := map[string]any{"type": g.of(oddTypes), "actor": map[string]any{"type": "user", "id": g.of(oddIDs)}}
	if g.chance(10) {
		r["actor"] = map[string]any{"type": "anonymous"}
	}
	if g.chance(25) {
		r["on_behalf_of"] = map[string]any{"id": g.of(oddIDs)}
	}
	if g.chance(70) {
		r["object"] = object()
	}
	if g.chance(30) {
		r["linked"] = []any{object(), object()}
	}
	if g.chance(60) {
		r["source"] = g.of(oddSources)
	}
	if g.chance(60) {
		r["outcome"] = g.of([]string{"success", "denied"})
	}
	if g.chance(70) {
		r["context"] = map[string]any{"session_id": g.of([]string{"s1", "s2", "s/3"}), "ip": g.of(oddAddresses)}
	}
	if g.chance(50) {
		r["dimensions"] = map[string]any{g.of(oddDimensions): g.of(oddIDs), "site": g.of([]string{"s1", "s2"})}
	}
	if g.chance(50) {
		r["occurred_at"] = g.of(oddTimes)
	}
	if g.chance(15) {
		r["amends"] = amendable(uint64(g.IntN(40)))
	}
	if g.chance(20) {
		r["id"] = fmt.Sprint(g.IntN(8)) // duplicates and conflicts
	}
	b, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// amendable is a ULID of the entry at an index, whenever that was recorded.
func amendable(index uint64) string { return chain.MakeULID(1_700_000_000_000, 0, index).String() }

// values draws some values to ask for in a field.
func (g guess) values(field string) []string {
	var from []string
	switch name, _, _ := strings.Cut(field, "."); name {
	case "user", "dimension":
		from = append(slices.Clone(oddIDs), "nobody")
	case "object", "linked":
		for _, typ := range []string{"app", "a%2Fb", "app%25", "none"} {
			from = append(from, typ+"/"+g.of(oddIDs), typ+"/")
		}
	case "type":
		from = append(slices.Clone(oddTypes), "app.*", "app*", "t*", "_*", "none.*", "frontend_*")
	case "group":
		from = []string{"app", "user", "frontend", "settings"}
	case "source":
		from = oddSources
	case "outcome":
		from = []string{"success", "denied", "none"}
	case "session":
		from = []string{"s1", "s2", "s/3"}
	case "ip":
		from = append(slices.Clone(oddNetworks), oddAddresses[:7]...)
	case "grade":
		from = []string{"verified", "delegated", "asserted", "anonymous", "none"}
	case "amends":
		for range 8 {
			from = append(from, amendable(uint64(g.IntN(50))))
		}
	case "kind":
		from = []string{"record", "duplicate", "conflict", "rejection", "control", "gap"}
	}
	var some []string
	for n := 1 + g.IntN(3); n > 0; n-- {
		some = append(some, g.of(from))
	}
	return some
}

// question draws a question about entries recorded between two times.
func (g guess) question(from, to time.Time) *asked {
	q := &asked{workspace: g.of([]string{"ws", "ws", "ws", "other", "_system"}), is: map[string][]string{}, not: map[string][]string{}}
	for n := g.IntN(4); n > 0; n-- {
		field := g.of(filterNames)
		if field == "dimension" {
			field += "." + g.of([]string{"org", "a.b", "new%21", "50%25", "site", "none"})
		}
		if g.chance(30) {
			q.not[field] = g.values(field)
		} else {
			q.is[field] = g.values(field)
		}
	}
	for _, k := range q.is["kind"] {
		if slices.Contains(q.not["kind"], k) {
			delete(q.not, "kind")
		}
	}
	if len(q.is["kind"]) == 0 && len(q.not["kind"]) > 5 {
		delete(q.not, "kind")
	}
	between := func() time.Time {
		t := from.Add(time.Duration(g.Int64N(int64(to.Sub(from))))).UTC()
		if g.chance(50) {
			t = t.Truncate(15 * time.Minute)
		}
		return t
	}
	if g.chance(20) {
		q.since = between()
	}
	if g.chance(20) {
		q.until = between()
	}
	if g.chance(20) {
		q.updated = between()
	}
	if g.chance(20) {
		q.occurred[0] = between()
	}
	if g.chance(20) {
		q.occurred[1] = between()
	}
	for _, r := range []*[2]time.Time{&q.occurred, {q.since, q.until}} {
		if !r[0].IsZero() && !r[1].IsZero() && !r[1].After(r[0]) {
			q.until, q.occurred[1] = time.Time{}, time.Time{}
		}
	}
	if g.chance(40) {
		q.order = g.of([]string{"recorded", "occurred"})
	}
	if g.chance(40) {
		q.first = g.of([]string{"newest", "oldest"})
	}
	return q
}
