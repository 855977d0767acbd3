package query

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"annals/activity"
	"annals/activity/face"
	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

// did is a record of user activity as the naive reader knows it: its session numbers it,
// and is all that a row says of which record it is of.
type did struct {
	session              string
	user, source, export string
	activity             int // 0: none of the eleven
	fact
}

// activityHistory publishes n records of few users, many of which occurred at one and
// the same time as others, and some at the first and the last moment of an hour.
func (s *served) activityHistory(g guess, n int, begin time.Time) []did {
	s.t.Helper()
	types := activity.Catalogue().UserActivities()
	all := make([]did, n)
	for i := range all {
		d := &all[i]
		d.session, d.user = strconv.Itoa(i), strconv.Itoa(1+g.IntN(3))
		d.source = g.of([]string{"one", "two", face.UnknownSource, "a source of their own", ""})
		d.source = cmp.Or(map[string]string{"one": face.KnownSources()[0], "two": face.KnownSources()[1]}[d.source], d.source)
		record := map[string]any{
			"type": "app.opened", "actor": map[string]any{"type": "user", "id": d.user},
			"context": map[string]any{"session_id": d.session},
		}
		if !g.chance(5) {
			is := types[g.IntN(len(types))]
			d.activity, record["type"] = is.Number, is.Slug
		}
		if d.activity == 8 {
			d.export = g.of([]string{activity.Catalogue().ExportDataTypes()[0].Slug, activity.Catalogue().ExportDataTypes()[1].Slug})
			record["data"] = map[string]any{"export_data_type": d.export}
		}
		if d.source != "" {
			record["source"] = d.source
		}
		if g.chance(30) { // asked for by users, this one is not found
			record["on_behalf_of"] = map[string]any{"type": "user", "id": strconv.Itoa(1 + g.IntN(3))}
		}
		if !g.chance(5) { // and the others when they are recorded
			hour := begin.Add(time.Duration(g.IntN(80)*g.IntN(80)/80) * time.Hour) // some hours hold much more than others
			into := []time.Duration{0, time.Hour - 1, 17 * time.Minute, time.Duration(g.Int64N(int64(time.Hour)))}
			record["occurred_at"] = hour.Add(into[g.IntN(len(into))]).Format(time.RFC3339Nano)
		}
		b, err := json.Marshal(record, json.Deterministic(true))
		if err != nil {
			s.t.Fatal(err)
		}
		s.publish("ws", string(b))
		if g.chance(5) {
			s.publish("other", string(b))
		}
	}
	s.settle()
	of := map[string]fact{}
	for _, f := range s.facts(0) {
		if said := f.says["session"]; f.workspace == "ws" && len(said) == 1 {
			of[said[0]] = f
		}
	}
	for i := range all {
		all[i].fact = of[all[i].session]
	}
	return all
}

// activityPage asks for one page, and returns what its rows' sessions are.
func (s *served) activityPage(body string, number, size int) (total int, sessions []string) {
	s.t.Helper()
	a := s.send("POST", fmt.Sprintf("%s?pageNumber=%d&pageSize=%d", UserActivityPath, number, size), body, "Content-Type", "application/json")
	var page UserActivity
	if err := json.Unmarshal(a.body, &page); err != nil || a.status != 200 {
		s.t.Fatalf("page %d of %d, %s: %d %v %s", number, size, body, a.status, err, a.body)
	}
	for _, row := range page.Rows {
		sessions = append(sessions, row.SessionID)
	}
	return int(page.TotalRecords), sessions
}

// TestUserActivityPages compares pages, those far behind too, with a naive sort of the
// same records, by all filters and by none.
func TestUserActivityPages(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(8, 4))}
	s := serve(t, Options{DefaultWorkspace: "ws"})
	s.api.atOnce = 64
	start := time.Unix(0, chaintest.Start).UTC().Truncate(24 * time.Hour)
	records := 1500
	if testing.Short() {
		records = 500
	}
	all := s.activityHistory(g, records, start.Add(-24*time.Hour))
	slices.SortFunc(all, func(a, b did) int {
		return cmp.Or(cmp.Compare(b.occurred, a.occurred), cmp.Compare(b.index, a.index))
	})
	exported := activity.Catalogue().ExportDataTypes()[1]
	source := activity.Catalogue().Sources()[slices.IndexFunc(activity.Catalogue().Sources(), func(c activity.Choice) bool { return c.Slug == face.KnownSources()[1] })]
	unknown := activity.Catalogue().Sources()[slices.IndexFunc(activity.Catalogue().Sources(), func(c activity.Choice) bool { return c.Slug == face.UnknownSource })]
	for _, c := range []struct {
		filters  string
		from, to int // days from the day that the ledger begins on
		holds    func(*did) bool
	}{
		{"", -30, 30, func(*did) bool { return true }},
		{"", 0, 1, func(*did) bool { return true }},
		{"", 20, 30, func(*did) bool { return true }},
		{`"activity":3`, -30, 30, func(d *did) bool { return d.activity == 3 }},
		{fmt.Sprintf(`"source":%d`, source.Number), -30, 30, func(d *did) bool { return d.source == source.Slug }},
		{fmt.Sprintf(`"source":%d`, unknown.Number), -30, 30, func(d *did) bool { return !slices.Contains(face.KnownSources(), d.source) }},
		{`"userIDs":[2]`, -30, 30, func(d *did) bool { return d.user == "2" }},
		{`"userIDs":[1,3]`, 0, 2, func(d *did) bool { return d.user != "2" }},
		{fmt.Sprintf(`"activity":8,"exportDataType":%d`, exported.Number), -30, 30, func(d *did) bool { return d.export == exported.Slug }},
		{fmt.Sprintf(`"activity":8,"exportDataType":%d,"userIDs":[1,2],"source":%d`, exported.Number, unknown.Number), -1, 30, func(d *did) bool {
			return d.export == exported.Slug && d.user != "3" && !slices.Contains(face.KnownSources(), d.source)
		}},
	} {
		from, to := start.AddDate(0, 0, c.from), start.AddDate(0, 0, c.to)
		body := fmt.Sprintf(`{"dateFrom":%q,"dateTo":%q,%s`, from.Format(time.RFC3339), to.Format(time.RFC3339), c.filters)
		body = strings.TrimSuffix(body, ",") + "}"
		var want []string
		for i := range all {
			if d := &all[i]; d.activity != 0 && d.occurred >= from.UnixNano() && d.occurred < to.UnixNano() && c.holds(d) {
				want = append(want, d.session)
			}
		}
		if (len(want) == 0) != (c.from == 20) {
			t.Fatalf("%s finds %d", body, len(want))
		}
		border := int(s.api.atOnce)
		for _, size := range []int{1, 7, border - 1, border, border + 1, 10 * border} {
			last := (len(want) + size - 1) / size
			numbers := []int{1, 2, border / size, border/size + 1, border/size + 2, last - 1, last, last + 1, 1_000_000_000}
			for range 4 {
				numbers = append(numbers, 1+g.IntN(last+1))
			}
			for _, n := range numbers {
				if n < 1 {
					continue
				}
				skip := min((n-1)*size, len(want))
				wanted := want[skip:min(skip+size, len(want))]
				if total, got := s.activityPage(body, n, size); total != len(want) || !slices.Equal(got, wanted) {
					t.Fatalf("%s, page %d of %d: %d %v\nwant %d %v", body, n, size, total, got, len(want), wanted)
				}
			}
		}
	}
}

// TestUserActivityLargeRecords: a page has all of its rows, however large the records
// are that they are of.
func TestUserActivityLargeRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: it reads 70 MB")
	}
	s := serve(t, Options{DefaultWorkspace: "ws"})
	slug := activity.Catalogue().UserActivities()[0].Slug
	padding := strings.Repeat("x", 250_000)
	const n = 280
	for i := range n {
		s.publish("ws", fmt.Sprintf(`{"type":%q,"actor":{"type":"user","id":"1"},"context":{"session_id":"%d"},"data":{"note":%q}}`, slug, i, padding))
	}
	s.settle()
	start := time.Unix(0, chaintest.Start).UTC()
	body := fmt.Sprintf(`{"dateFrom":%q,"dateTo":%q}`, start.AddDate(0, 0, -1).Format(time.RFC3339), start.AddDate(0, 0, 2).Format(time.RFC3339))
	if total, sessions := s.activityPage(body, 1, MaxActivityRows); total != n || len(sessions) != n {
		t.Errorf("%d rows of %d", len(sessions), total)
	}
}
