package query

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// oneCounts is an answer of counts as a client reads it.
type oneCounts struct {
	By     string `json:"by"`
	Time   string `json:"time"`
	TZ     string `json:"tz"`
	Counts []struct {
		Start string `json:"start"`
		Value string `json:"value"`
		N     uint64 `json:"n"`
	} `json:"counts"`
	Distinct  uint64  `json:"distinct"`
	Other     *uint64 `json:"other"`
	Total     uint64  `json:"total"`
	Truncated bool    `json:"truncated"`
	AsOf      struct {
		Size uint64 `json:"size"`
	} `json:"as_of"`
}

func (s *served) counted(path string) oneCounts {
	s.t.Helper()
	a := s.do("GET", path)
	if a.status != 200 {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	var c oneCounts
	if err := json.Unmarshal(a.body, &c); err != nil {
		s.t.Fatalf("GET %s: %v\n%s", path, err, a.body)
	}
	return c
}

// lines are the counts as start=n or value=n.
func (c *oneCounts) lines() string {
	out := []string{}
	for _, n := range c.Counts {
		out = append(out, n.Start+n.Value+"="+strconv.FormatUint(n.N, 10))
	}
	return strings.Join(out, " ")
}

func TestCountsByDay(t *testing.T) {
	s := serve(t, Options{})
	at := func(text string) {
		then := timeOf(t, text).UnixNano()
		for s.stream.Now < then {
			s.leap(min(20*time.Hour, time.Duration(then-s.stream.Now)))
		}
		s.stream.Now = then
		s.publish("ws", `{"type":"t","actor":{"id":"u"},"occurred_at":"2001-02-03T04:05:06.000000007Z"}`)
	}
	at("2026-03-27T23:30:00Z")
	at("2026-03-29T00:30:00Z")
	at("2026-03-29T21:59:59.999Z")
	third := len(s.stream.Messages)
	at("2026-03-29T22:00:00Z")
	at("2026-03-31T12:00:00Z")
	s.settle()
	const path = "/v1/workspaces/ws/counts?by="
	for query, want := range map[string]string{
		"day":                  "2026-03-27T00:00:00Z=1 2026-03-28T00:00:00Z=0 2026-03-29T00:00:00Z=3 2026-03-30T00:00:00Z=0 2026-03-31T00:00:00Z=1",
		"day&tz=Europe/Berlin": "2026-03-28T00:00:00+01:00=1 2026-03-29T00:00:00+01:00=2 2026-03-30T00:00:00+02:00=1 2026-03-31T00:00:00+02:00=1",

		"day&tz=Asia/Kathmandu&until=2026-03-29T22:00:00Z":                              "2026-03-28T00:00:00+05:45=1 2026-03-29T00:00:00+05:45=1 2026-03-30T00:00:00+05:45=1",
		"day&since=2026-03-29T01:00:00Z":                                                "2026-03-29T00:00:00Z=2 2026-03-30T00:00:00Z=0 2026-03-31T00:00:00Z=1",
		"day&since=2026-03-25T00:00:00Z&until=2026-03-28T00:00:00Z":                     "2026-03-25T00:00:00Z=0 2026-03-26T00:00:00Z=0 2026-03-27T00:00:00Z=1",
		"day&since=2027-03-25T00:00:00Z&until=2027-03-26T00:00:00Z":                     "2027-03-25T00:00:00Z=0",
		"day&since=2027-03-25T00:00:00Z":                                                "",
		"day&user=nobody":                                                               "",
		"hour&since=2026-03-29T00:00:00Z&until=2026-03-29T02:00:00Z&tz=UTC":             "2026-03-29T00:00:00Z=1 2026-03-29T01:00:00Z=0",
		"hour&since=2026-03-29T00:00:00Z&until=2026-03-29T02:00:00Z&tz=Europe%2FBerlin": "2026-03-29T01:00:00+01:00=1 2026-03-29T03:00:00+02:00=0",
		"day&time=occurred":                                                             "2001-02-03T00:00:00Z=5",
		"hour&time=occurred&tz=Asia/Kolkata":                                            "2001-02-03T09:00:00+05:30=5",

		"day&time=occurred&occurred_since=2001-02-02T00:00:00Z&occurred_until=2001-02-03T04:05:06.000000008Z": "2001-02-02T00:00:00Z=0 2001-02-03T00:00:00Z=5",
		"day&time=occurred&occurred_since=2001-02-02T00:00:00Z&occurred_until=2001-02-03T04:05:06.000000007Z": "2001-02-02T00:00:00Z=0 2001-02-03T00:00:00Z=0",

		fmt.Sprint("day&time=recorded&as_of=", third): "2026-03-27T00:00:00Z=1 2026-03-28T00:00:00Z=0 2026-03-29T00:00:00Z=2",
		"day&as_of=0": "",
	} {
		c := s.counted(path + query)
		if got := c.lines(); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", query, got, want)
		}
		sum := uint64(0)
		for _, n := range c.Counts {
			sum += n.N
		}
		if c.Total != sum || c.Truncated || c.Other != nil {
			t.Errorf("%s: %+v", query, c)
		}
	}
	c := s.counted(path + "day")
	if c.By != "day" || c.Time != "recorded" || c.TZ != "UTC" || c.AsOf.Size != uint64(len(s.stream.Messages)) {
		t.Errorf("%+v", c)
	}
}

func TestCountsByValue(t *testing.T) {
	s := serve(t, Options{})
	for _, r := range []string{
		`{"type":"app.created","actor":{"id":"a"},"object":{"type":"a/b","id":"x/1"},"source":"web","context":{"ip":"2001:DB8::0:1"}}`,
		`{"type":"app.created","actor":{"id":"a"},"on_behalf_of":{"id":"b"},"object":{"type":"app","id":"1"},"linked":[{"type":"app","id":"2"}],"dimensions":{"n!":"v"}}`,
		`{"type":"app.renamed","actor":{"id":"b"},"on_behalf_of":{"id":"b"},"source":"web","dimensions":{"n!":"v","org":"o"}}`,
		`{"type":"other","actor":{"type":"anonymous"},"source":"\"q\"","context":{"ip":"2001:db8::1"}}`,
		`no record`,
	} {
		s.publish("ws", r)
	}
	s.settle()
	for query, want := range map[string]string{
		"user":                "a=2 b=2; 2 other 1 total 4",
		"user&top=1":          "a=2; 2 other 2 total 4",
		"object":              "a%2Fb/x/1=1 app/1=1 app/2=1; 3 other 2 total 4",
		"linked":              "app/2=1; 1 other 3 total 4",
		"type":                "app.created=2 app.renamed=1 other=1; 3 other 0 total 4",
		"type&type!=app.*":    "other=1; 1 other 0 total 1",
		"type&top=1":          "app.created=2; 3 other 2 total 4",
		"group":               "app=3; 1 other 1 total 4",
		"source":              `web=2 "q"=1; 2 other 1 total 4`,
		"ip":                  "2001:db8::1=2; 1 other 2 total 4",
		"grade":               "asserted=3 anonymous=1; 2 other 0 total 4",
		"kind":                "record=4 rejection=1; 2 other 0 total 5",
		"kind&kind=record":    "record=4; 1 other 0 total 4",
		"outcome":             "; 0 other 4 total 4",
		"dimension.org":       "o=1; 1 other 3 total 4",
		"dimension.n%2521":    "v=2; 1 other 2 total 4",
		"session&user=nobody": "; 0 other 0 total 0",
		"user&as_of=0":        "; 0 other 0 total 0",
		"type&as_of=3":        "app.created=1; 1 other 0 total 1",
	} {
		c := s.counted("/v1/workspaces/ws/counts?by=" + query)
		got := fmt.Sprintf("%s; %d other %d total %d", c.lines(), c.Distinct, *c.Other, c.Total)
		if got != want || c.Time != "" || c.TZ != "" {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// TestCountsModel compares random counts with a naive reading.
func TestCountsModel(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(11, 1))}
	s := serve(t, Options{})
	s.history(g, 500)
	s.settle()
	facts := s.facts(0)
	from, to := facts[0].recorded, facts[len(facts)-1].recorded.Add(time.Hour)
	for range questions() / 2 {
		q := g.question(from, to)
		q.order, q.first = "", ""
		v := q.parameters()
		by := g.of(append(slices.DeleteFunc(slices.Clone(filterNames), func(n string) bool { return n == "amends" }), "day", "day", "hour", "day"))
		if by == "dimension" {
			by += "." + g.of([]string{"org", "a.b", "new%21", "site", "none"})
		}
		if by == "kind" && len(q.is["kind"])+len(q.not["kind"]) == 0 {
			q.is["kind"] = []string{"record", "duplicate", "conflict", "rejection", "control", "gap"}
		}
		v.Set("by", by)
		size := uint64(len(facts))
		if g.chance(30) {
			size = g.Uint64N(size + 1)
			v.Set("as_of", strconv.FormatUint(size, 10))
		}
		found := q.find(facts, size)
		var want string
		if by == "day" || by == "hour" {
			zone := g.of([]string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"})
			occurred := g.chance(40)
			v.Set("tz", zone)
			if occurred {
				v.Set("time", "occurred")
			}
			if want = bucketsOf(t, q, found, by, zone, occurred); want == "many" {
				s.refused(400, "invalid_parameter", "GET", "/v1/workspaces/"+q.workspace+"/counts?"+v.Encode())
				continue
			}
		} else {
			top := 1 + g.IntN(8)
			v.Set("top", strconv.Itoa(top))
			want = valuesOf(found, by, top)
		}
		c := s.counted("/v1/workspaces/" + q.workspace + "/counts?" + v.Encode())
		got := c.lines()
		if c.Other != nil {
			got += fmt.Sprintf("; %d other %d", c.Distinct, *c.Other)
		}
		if got != want || c.Total != uint64(len(found)) || c.Truncated || c.AsOf.Size != size {
			t.Fatalf("%s %s:\n%s\nof %d, want\n%s\nof %d", q.workspace, v.Encode(), got, c.Total, want, len(found))
		}
	}
}

// valuesOf counts naively.
func valuesOf(found []fact, by string, top int) string {
	type line struct {
		value string
		n     uint64
	}
	var lines []line
	name, _ := url.PathUnescape(by)
	for i := range found {
		says := found[i].says[name]
		if by == "kind" {
			says = []string{found[i].kind}
		}
		for _, v := range says {
			at := slices.IndexFunc(lines, func(l line) bool { return l.value == v })
			if at < 0 {
				at = len(lines)
				lines = append(lines, line{value: v})
			}
			lines[at].n++
		}
	}
	// Of objects, by type and id as the record has them, not as they are spelt.
	plain := func(v string) string {
		if by != "object" && by != "linked" {
			return v
		}
		typ, id, _ := strings.Cut(v, "/")
		typ, _ = url.PathUnescape(typ)
		return typ + "\x00" + id
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(plain(a.value), plain(b.value)))
	})
	distinct := len(lines)
	lines = lines[:min(top, distinct)]
	out := []string{}
	shown := []string{}
	for _, l := range lines {
		out = append(out, l.value+"="+strconv.FormatUint(l.n, 10))
		shown = append(shown, l.value)
	}
	other := 0
	for i := range found {
		has := slices.ContainsFunc(found[i].says[name], func(v string) bool { return slices.Contains(shown, v) })
		if by == "kind" {
			has = slices.Contains(shown, found[i].kind)
		}
		if !has {
			other++
		}
	}
	return strings.Join(out, " ") + fmt.Sprintf("; %d other %d", distinct, other)
}

// bucketsOf counts naively: each match into the date or hour that its clock shows.
func bucketsOf(t *testing.T, q *asked, found []fact, by, zone string, occurred bool) string {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	since, until := q.since, q.until
	if occurred {
		since, until = q.occurred[0], q.occurred[1]
	}
	layout, step := "2006-01-02", 15*time.Minute
	if by == "hour" {
		layout = "2006-01-02 15 -07"
	}
	n := map[string]uint64{}
	var first, last time.Time
	for _, f := range found {
		at := f.recorded
		if occurred {
			at = time.Unix(0, f.occurred)
		}
		n[at.In(loc).Format(layout)]++
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if last.IsZero() || at.After(last) {
			last = at
		}
	}
	if since.IsZero() {
		since = first
	}
	if until.IsZero() {
		until = last.Add(1)
	}
	if since.IsZero() || until.Before(since) || len(found) == 0 && (q.since.IsZero() || q.until.IsZero()) && !occurred || len(found) == 0 && occurred && (q.occurred[0].IsZero() || q.occurred[1].IsZero()) {
		return ""
	}
	out := []string{}
	before := ""
	begin := since.Truncate(step)
	for begin.Add(-step).In(loc).Format(layout) == since.In(loc).Format(layout) {
		begin = begin.Add(-step)
	}
	for at := begin; at.Before(until); at = at.Add(step) {
		label := at.In(loc).Format(layout)
		if label != before {
			if len(out) == MaxBuckets {
				return "many"
			}
			out = append(out, at.In(loc).Format(time.RFC3339)+"="+strconv.FormatUint(n[label], 10))
			before = label
		}
	}
	return strings.Join(out, " ")
}

func TestCountsRefuses(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 3)
	s.settle()
	const path = "/v1/workspaces/ws/counts?"
	for _, c := range []struct{ query, parameter, code string }{
		{"", "by", "missing"},
		{"user=u1", "by", "missing"},
		{"by=", "by", "empty"},
		{"by=week", "by", "unknown_field"},
		{"by=Day", "by", "unknown_field"},
		{"by=day&by=hour", "by", "repeated"},
		{"by=dimension", "by", "unknown_field"},
		{"by=dimension.", "by", "empty"},
		{"by=dimension.%25", "by", "invalid_name"},
		{"by=user.name", "by", "unknown_field"},
		{"by=day&top=3", "top", "not_here"},
		{"by=user&tz=UTC", "tz", "not_here"},
		{"by=user&time=occurred", "time", "not_here"},
		{"by=user&top=0", "top", "invalid_top"},
		{"by=user&top=many", "top", "invalid_top"},
		{"by=day&time=then", "time", "unknown_time"},
		{"by=day&tz=Mars", "tz", "unknown_zone"},
		{"by=day&tz=Local", "tz", "unknown_zone"},
		{"by=day&since=1900-01-01T00:00:00Z", "by", "too_many"},
		{"by=hour&since=2020-01-01T00:00:00Z", "by", "too_many"},
		{"by=hour&time=occurred&occurred_since=2020-01-01T00:00:00Z", "by", "too_many"},
	} {
		p := s.refused(400, "invalid_parameter", "GET", path+c.query)
		if len(p.Errors) != 1 || p.Errors[0].Parameter != c.parameter || p.Errors[0].Code != c.code || p.Errors[0].Detail == "" {
			t.Errorf("%s: errors %+v, want %s %s", c.query, p.Errors, c.parameter, c.code)
		}
	}
	for _, query := range []string{"by=day&limit=1", "by=day&cursor=x", "by=day&order=occurred", "by=day&first=oldest", "by=day&by!=x", "by=day&with=sentence"} {
		s.refused(400, "unknown_parameter", "GET", path+query)
	}
	s.refused(503, "behind", "GET", path+"by=day&as_of=99")
}

// TestCountsCutValue: of a value too long to be listed in full nobody can say how
// many entries don't have it.
func TestCountsCutValue(t *testing.T) {
	s := serve(t, Options{})
	long := "a" + strings.Repeat("é", 400) // cut within a letter
	s.publish("ws", `{"type":"t","actor":{"id":"u"},"object":{"type":"`+long+`","id":"1"},"source":"`+long+`"}`)
	s.publish("ws", `{"type":"t","actor":{"id":"u"}}`)
	s.settle()
	for by, other := range map[string]bool{"object": false, "source": true} {
		c := s.counted("/v1/workspaces/ws/counts?by=" + by)
		if c.Truncated || len(c.Counts) != 1 || !strings.Contains(c.Counts[0].Value, "éé") || c.Distinct != 1 || c.Total != 2 || (c.Other != nil) != other {
			t.Errorf("%s: %+v", by, c)
		}
	}
	if p := s.page("/v1/workspaces/ws/timeline?source=" + url.QueryEscape(long)); p.Total != 1 {
		t.Errorf("asked in full: %d", p.Total)
	}
}
