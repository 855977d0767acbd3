package query

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

func (s *served) feed(path string) (f Feed) {
	s.t.Helper()
	a := s.do("GET", path)
	if err := json.Unmarshal(a.body, &f); err != nil || a.status != 200 {
		s.t.Fatalf("%s: %d %s %v", path, a.status, a.body, err)
	}
	return f
}

// lines is a feed in short: date, then the sentences of it.
func (f Feed) lines() (out []string) {
	for _, d := range f.Days {
		out = append(out, d.Date)
		for _, i := range d.Items {
			text := "-"
			if i.Sentence != nil {
				text = i.Sentence.Text
			}
			out = append(out, text)
		}
	}
	return out
}

// TestFeed tells what happened by the days of a zone, page by page, and of an object.
func TestFeed(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("feed"), Options{})
	renamed := func(n int, more string) {
		s.publish("ws_7", fmt.Sprintf(`{"type":"app.renamed","actor":{"type":"user","id":"usr.dana/1","name":"Dana Whitfield"},"object":{"type":"app","id":"app_%d","name":"App %d"}%s}`, n%2, n, more))
		s.settle()
		s.leap(5 * time.Hour)
	}
	for n := range 6 { // a quarter of a day apart, or so
		renamed(n, fmt.Sprintf(`,"data":{"new_name":"N%d"},"changes":[{"field":"name","old":"a","new":%d},{"field":"colour","new":null}],"occurred_at":"2025-12-3%dT23:30:00Z"`, n, n, n%2))
	}
	told := func(n int) string { return s.feed("/v1/workspaces/ws_7/feed?first=oldest&limit=100").lines()[n] }
	utc := s.feed("/v1/workspaces/ws_7/feed")
	if len(utc.Days) != 2 || utc.Days[0].Date != "2026-01-03" || utc.Days[1].Date != "2026-01-02" || utc.Total != 6 || utc.Zone != "UTC" {
		t.Errorf("%q", utc.lines())
	}
	east := s.feed("/v1/workspaces/ws_7/feed?tz=Asia/Kathmandu") // 5:45 ahead
	if len(east.Days) != 2 || len(east.Days[0].Items) <= len(utc.Days[0].Items) || !strings.HasSuffix(east.Days[0].Items[0].RecordedAt, "+05:45") {
		t.Errorf("%q", east.lines())
	}
	for _, f := range []Feed{utc, east} {
		n := 0
		for _, d := range f.Days {
			for _, i := range d.Items {
				if n++; !strings.HasPrefix(i.RecordedAt, d.Date) {
					t.Errorf("%s stands on %s", i.RecordedAt, d.Date)
				}
			}
		}
		if n != 6 {
			t.Errorf("%d of 6: %q", n, f.lines())
		}
	}
	occurred := s.feed("/v1/workspaces/ws_7/feed?order=occurred&tz=Europe/Berlin&first=oldest")
	if len(occurred.Days) != 2 || occurred.Days[0].Date != "2025-12-31" || occurred.Days[0].Items[0].OccurredAt != "2025-12-31T00:30:00.000+01:00" {
		t.Errorf("%q", occurred.lines())
	}
	first := utc.Days[0].Items[0]
	if first.Actor.Initials != "DW" || first.Actor.Name != "Dana Whitfield" || first.Actor.ID != "usr.dana/1" || first.Label == "" || len(first.Changes) != 2 || string(first.Changes[1].New) != "null" || first.Changes[1].Old != nil {
		t.Errorf("%+v", first)
	}
	for _, link := range []string{first.Links.Record, first.Links.Actor, first.Links.Object} {
		if a := s.do("GET", link); a.status != 200 || !strings.Contains(string(a.body), first.ULID) {
			t.Errorf("the link %s: %d", link, a.status)
		}
	}

	// Pages: a day goes on over the edge, and none comes twice.
	var all []string
	for path, n := "/v1/workspaces/ws_7/feed?limit=4", 0; path != "" && n < 5; n++ {
		f := s.feed(path)
		for _, d := range f.Days {
			for _, i := range d.Items {
				all = append(all, i.ULID)
			}
		}
		path = ""
		if f.Next != "" {
			path = "/v1/workspaces/ws_7/feed?limit=4&cursor=" + f.Next
		}
	}
	if len(all) != 6 || len(slices.Compact(slices.Clone(all))) != 6 {
		t.Errorf("pages: %q", all)
	}
	history := s.feed("/v1/workspaces/ws_7/objects/app/app_1/feed?first=oldest&field=colour")
	if history.Total != 3 || len(history.Days[0].Items[0].Changes) != 1 || history.Days[0].Items[0].Changes[0].Field != "colour" {
		t.Errorf("%+v", history)
	}
	if f := s.feed("/v1/workspaces/ws_7/feed?field=new_name&field=nothing"); len(f.lines()) != 8 || f.Days[0].Items[0].Changes != nil {
		t.Errorf("%q", f.lines())
	}
	if f := s.feed("/v1/workspaces/ws_7/feed?field=nothing"); len(f.Days) != 0 || f.Total != 6 {
		t.Errorf("%q", f.lines())
	}
	if f := s.feed("/v1/workspaces/ws_8/feed"); len(f.Days) != 0 || f.Total != 0 {
		t.Errorf("another workspace: %q", f.lines())
	}
	if !strings.Contains(told(1), "Dana Whitfield renamed app") {
		t.Errorf("%q", told(1))
	}

	sel := s.selectionOf(t, "record="+first.ULID)
	s.erase(t, &sel)
	gone := s.feed("/v1/workspaces/ws_7/feed").Days[0].Items[0]
	if !gone.Erased || gone.Sentence != nil || gone.Actor != nil || gone.Changes != nil {
		t.Errorf("erased: %+v", gone)
	}
	for path, code := range map[string]string{"?tz=Nowhere": "invalid_parameter", "?field!=a": "invalid_parameter", "?with=sentence": "unknown_parameter"} {
		s.refused(400, code, "GET", "/v1/workspaces/ws_7/feed"+path)
	}
}

// TestFeedExport: the table has every record once, and no cell that a spreadsheet would
// run.
func TestFeedExport(t *testing.T) {
	s := serve(t, Options{})
	for n := range 30 {
		s.publish("ws_7", fmt.Sprintf(`{"type":"t","actor":{"id":"=cmd|'/C calc'!A0","name":"A \"quoted\", name\nover lines"},"object":{"type":"app","id":"@%d"},"changes":[{"field":"f","old":1}]}`, n))
	}
	s.settle()
	a := s.do("GET", "/v1/workspaces/ws_7/feed.csv?first=oldest")
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil || len(rows) != 31 || strings.Join(rows[0], " ") != "occurred_at recorded_at actor_type actor_id actor_name type label object_type object_id object_name sentence changes grade kind ulid" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if a.header.Get("Content-Type") != csvMedia || !strings.Contains(a.header.Get("Content-Disposition"), "feed-ws_7.csv") {
		t.Errorf("%v", a.header)
	}
	for n, row := range rows[1:] {
		if row[3] != "'=cmd|'/C calc'!A0" || row[8] != fmt.Sprint("'@", n) || row[11] != "f: 1 → —" {
			t.Errorf("%q", row)
		}
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
	for in, want := range map[string]string{"": "", "a=b": "a=b", "-1": "'-1", "+1": "'+1", "\tx": "'\tx", "'-1": "''-1"} {
		if got := inert(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
