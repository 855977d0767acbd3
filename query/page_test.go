package query

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain"
)

// fill publishes n records of a user in a workspace; entries 0 and 1 are control.
func (s *served) fill(workspace string, n int) {
	for i := range n {
		s.publish(workspace, fmt.Sprintf(`{"id":"e%d","type":"app.renamed","actor":{"id":"u%d"},"object":{"type":"app","id":"a%d"}}`, i, i%3, i%2))
	}
}

func TestTimeline(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws_7", 5)
	s.publish("ws_8", `{"type":"x","actor":{"id":"u0"}}`)
	s.settle()

	p := s.page("/v1/workspaces/ws_7/timeline")
	if want := []uint64{6, 5, 4, 3, 2}; !slices.Equal(p.indexes(), want) {
		t.Errorf("indexes %v, want %v", p.indexes(), want)
	}
	head := s.api.o.Ledger.Head()
	if p.Total != 5 || p.NextCursor != "" || p.AsOf.Size != head.Size || p.AsOf.Root != head.Root {
		t.Errorf("page %+v, head %d %s", p, head.Size, head.Root)
	}
	leaf, hash, err := s.api.o.Ledger.Get(6)
	if err != nil {
		t.Fatal(err)
	}
	item := p.Records[0]
	if item.ULID != leaf.Entry.ULID.String() || item.EntryHash != hash || item.Kind != "record" || item.Workspace != "ws_7" ||
		item.Type != "app.renamed" || item.Grade != "asserted" || item.Sequence != leaf.Entry.Sequence || item.Ref != nil || item.Sentence != nil {
		t.Errorf("item %+v", item)
	}
	if want := `{"id":"e4","type":"app.renamed","actor":{"id":"u1"},"object":{"type":"app","id":"a0"}}`; string(item.Record) != want {
		t.Errorf("record %s, want %s", item.Record, want)
	}
	at := time.Unix(0, leaf.Entry.Timestamp).UTC()
	if item.Recorded != at.Format("2006-01-02T15:04:05.000Z") || item.Stream != at.Format("2006-01-02T15:04:05.000000000Z") {
		t.Errorf("recorded_at %s, stream_time %s, want %s", item.Recorded, item.Stream, at)
	}

	for path, want := range map[string][]uint64{
		"/v1/workspaces/ws_7/users/u0/timeline":              {5, 2},
		"/v1/workspaces/ws_7/objects/app/a1/history":         {5, 3},
		"/v1/workspaces/ws_7/timeline?user=u0":               {5, 2},
		"/v1/workspaces/ws_7/timeline?user=u0&object=app/a1": {5},
		"/v1/workspaces/ws_7/users/u0/timeline?type=nothing": {},
		"/v1/workspaces/ws_8/users/u0/timeline":              {7},
		"/v1/workspaces/ws_9/timeline":                       {},
		"/v1/workspaces/ws_7/users/nobody/timeline":          {},
		"/v1/workspaces/ws_7/objects/app/none/history":       {},
		"/v1/workspaces/_system/timeline?kind=control":       {1, 0},
		"/v1/workspaces/ws_7/timeline?kind=duplicate,gap":    {},
	} {
		p := s.page(path)
		if !slices.Equal(p.indexes(), want) || p.Total != uint64(len(want)) || p.NextCursor != "" {
			t.Errorf("%s: %v of %d, want %v", path, p.indexes(), p.Total, want)
		}
	}
	if a := s.do("GET", "/v1/workspaces/ws_9/timeline"); !strings.HasPrefix(string(a.body), `{"records":[],"total":0,`) {
		t.Errorf("an empty page is %s", a.body)
	}
}

func TestTimeRange(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws_7", 4)
	s.settle()
	at := func(index uint64, more time.Duration) string {
		leaf, _, err := s.api.o.Ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		return time.UnixMilli(int64(leaf.Entry.ULID.Time())).Add(more).UTC().Format(time.RFC3339Nano)
	}
	for _, c := range []struct {
		since, until string
		want         []uint64
	}{
		{at(3, 0), "", []uint64{5, 4, 3}},
		{at(3, 1), "", []uint64{5, 4}},
		{at(3, -1), "", []uint64{5, 4, 3}},
		{"", at(3, 0), []uint64{2}},
		{"", at(3, 1), []uint64{3, 2}},
		{at(3, 0), at(5, 0), []uint64{4, 3}},
		{at(5, time.Hour), "", []uint64{}},
		{"", at(0, -time.Hour), []uint64{}},
		{"1969-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00", []uint64{5, 4, 3, 2}},
	} {
		q := url.Values{}
		if c.since != "" {
			q.Set("since", c.since)
		}
		if c.until != "" {
			q.Set("until", c.until)
		}
		p := s.page("/v1/workspaces/ws_7/timeline?" + q.Encode())
		if !slices.Equal(p.indexes(), c.want) || p.Total != uint64(len(c.want)) {
			t.Errorf("since %s until %s: %v of %d, want %v", c.since, c.until, p.indexes(), p.Total, c.want)
		}
	}
}

// TestIDsInPaths sends ids that mean something in a URL through a real server.
func TestIDsInPaths(t *testing.T) {
	s := serve(t, Options{})
	ids := []string{"a/b", "a:b", "50%", "%2F", "..", ".", "a//b", "/", "//", "///", "/a", "a/", "über böse", "日本", "a?b#c", "a+b c", "a;b&c=d", strings.Repeat("x", 512), `"quoted"`, "\x00\x7f"}
	for i, id := range ids {
		q := strings.NewReplacer(`"`, `\"`, "\x00", `\u0000`, "\x7f", `\u007f`).Replace(id)
		s.publish("ws", fmt.Sprintf(`{"id":"%d","type":"t","actor":{"id":"%s"},"object":{"type":"%s","id":"%s"}}`, i, q, q, q))
	}
	s.settle()
	for i, id := range ids {
		want := []uint64{uint64(i) + 2}
		e := strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
		for _, path := range []string{
			"/v1/workspaces/ws/users/" + e + "/timeline",
			"/v1/workspaces/ws/objects/" + e + "/" + e + "/history",
			"/v1/workspaces/ws/timeline?user=" + url.QueryEscape(id),
		} {
			if got := s.page(path).indexes(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
		path := "/v1/workspaces/ws/timeline?object=" + url.QueryEscape(url.PathEscape(id)+"/"+id)
		if got := s.page(path).indexes(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	for _, path := range []string{"/v1/workspaces/ws/users/../timeline", "/v1/workspaces/ws/users//timeline", "/v1/workspaces/ws/timeline/", "/v1/./ledger", "/v1/workspaces/ws/users/a/b/timeline"} {
		s.refused(404, "no_such_path", "GET", path)
	}
}

// TestPagingUnderWrites follows cursors while the ledger grows: every entry that
// was there at the first page comes once, in order, and none that came later.
func TestPagingUnderWrites(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 53)
	s.settle()
	for _, limit := range []int{1, 7, 52, 53, 54, 1000} {
		before := s.api.o.Ledger.Head()
		var want []uint64
		for _, r := range s.page("/v1/workspaces/ws/timeline?limit=1000").Records {
			want = append(want, r.Index)
		}
		base := fmt.Sprintf("/v1/workspaces/ws/timeline?limit=%d", limit)
		var got []uint64
		for path, n := base, 0; path != ""; n++ {
			p := s.page(path)
			if p.Total != uint64(len(want)) || p.AsOf.Size != before.Size || p.AsOf.Root != before.Root {
				t.Fatalf("limit %d page %d: total %d as of %d, want %d as of %d", limit, n, p.Total, p.AsOf.Size, len(want), before.Size)
			}
			got = append(got, p.indexes()...)
			path = ""
			if p.NextCursor != "" {
				path = base + "&cursor=" + p.NextCursor
			}
			if n < 4 { // new entries, shown and not
				s.publish("ws", `{"type":"late","actor":{"id":"u0"}}`)
				s.publish("other", `{"type":"late","actor":{"id":"u0"}}`)
				s.settle()
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

// TestFresh records without folding: a page waits for the indexes, but not for
// ever, and says how far it got.
func TestFresh(t *testing.T) {
	s := serve(t, Options{Fresh: time.Minute})
	s.fill("ws", 3)
	s.record()
	go func() {
		time.Sleep(10 * time.Millisecond)
		p, l := s.api.o.Projections, s.api.o.Ledger
		from, _ := p.Cursor()
		_ = p.Fold(l.Leaves(context.Background(), from, l.Head().Size))
	}()
	if p := s.page("/v1/workspaces/ws/timeline"); p.Total != 3 || p.AsOf.Size != 5 {
		t.Errorf("total %d as of %d: the page did not wait for what was recorded", p.Total, p.AsOf.Size)
	}
	s.api.o.Fresh = time.Millisecond
	s.fill("other", 1)
	s.record()
	if p := s.page("/v1/workspaces/ws/timeline"); p.Total != 3 || p.AsOf.Size != 5 {
		t.Errorf("total %d as of %d: want what the indexes hold", p.Total, p.AsOf.Size)
	}
}

// TestCursorOutlivesIndexes gives a cursor to indexes that are being folded anew.
func TestCursorOutlivesIndexes(t *testing.T) {
	s := serve(t, Options{Fresh: time.Millisecond})
	s.fill("ws", 3)
	s.settle()
	next := s.page("/v1/workspaces/ws/timeline?limit=2").NextCursor
	if err := s.api.o.Projections.Reset(); err != nil {
		t.Fatal(err)
	}
	path := "/v1/workspaces/ws/timeline?cursor=" + next
	if a := s.do("GET", path); a.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", a.header)
	}
	s.refused(503, "behind", "GET", path)
	// Nor do they answer for less than there was when the server started.
	s.refused(503, "behind", "GET", "/v1/workspaces/ws/timeline")
	s.refused(503, "behind", "GET", "/v1/workspaces/ws/counts?by=type")
	s.refused(503, "behind", "GET", "/v1/workspaces/ws/tail?last=1")
	s.refused(503, "not_ready", "GET", "/readyz")
	s.index()
	if got := s.page(path).indexes(); !slices.Equal(got, []uint64{2}) {
		t.Errorf("after the fold: %v", got)
	}
}

// TestTimesBeyond64Bits asks with times that no index holds: they count as the
// first or the last one.
func TestTimesBeyond64Bits(t *testing.T) {
	s := serve(t, Options{})
	for _, year := range []string{"1500", "2026", "9999"} {
		s.publish("ws", fmt.Sprintf(`{"id":%q,"type":"t","actor":{"id":"u"},"occurred_at":"%s-01-01T00:00:00Z"}`, year, year))
	}
	s.settle()
	for query, want := range map[string]uint64{
		"occurred_since=9999-01-01T00:00:00Z":                                     1,
		"occurred_since=2262-04-11T23:47:16.854775807Z":                           1,
		"occurred_until=1500-01-01T00:00:01Z":                                     1,
		"occurred_since=1400-01-01T00:00:00Z&occurred_until=1600-01-01T00:00:00Z": 1,
		"occurred_since=1400-01-01T00:00:00Z&occurred_until=2100-01-01T00:00:00Z": 2,
		"occurred_until=9999-12-31T00:00:00Z":                                     3,
	} {
		if p := s.page("/v1/workspaces/ws/timeline?" + query); p.Total != want {
			t.Errorf("%s finds %d, want %d", query, p.Total, want)
		}
	}
	s.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws/timeline?occurred_since=2026-01-02T00:00:00Z&occurred_until=2026-01-01T00:00:00Z")
}

// TestLargePageEndsEarly holds pages to a size, without losing a record.
func TestLargePageEndsEarly(t *testing.T) {
	s := serve(t, Options{})
	big := strings.Repeat("x", 200<<10)
	for i := range 30 {
		s.publish("ws", fmt.Sprintf(`{"id":"%d","type":"t","actor":{"id":"u"},"data":%q}`, i, big))
	}
	s.settle()
	var got []uint64
	for path := "/v1/workspaces/ws/timeline"; path != ""; {
		p := s.page(path)
		if n := len(p.Records); n == 30 || n == 0 || p.Total != 30 {
			t.Fatalf("%d records of %d", n, p.Total)
		}
		got = append(got, p.indexes()...)
		path = ""
		if p.NextCursor != "" {
			path = "/v1/workspaces/ws/timeline?cursor=" + p.NextCursor
		}
	}
	if len(got) != 30 || got[0] != 31 || got[29] != 2 || !slices.IsSortedFunc(got, func(a, b uint64) int { return int(b) - int(a) }) {
		t.Errorf("indexes %v", got)
	}
}

func TestKindsOfItems(t *testing.T) {
	s := serve(t, Options{})
	first := `{"id":"1","producer":"p","type":"t","actor":{"id":"u"}}`
	s.publish("ws", first)                                                                              // 2
	s.publish("ws", first)                                                                              // 3 duplicate
	s.publish("ws", strings.Replace(first, `"u"`, `"v"`, 1))                                            // 4 conflict
	s.publish("ws", `{"type":"t"}`)                                                                     // 5 rejection: JSON
	s.publish("ws", `not JSON`)                                                                         // 6 text
	s.publish("ws", "\xff\xfe")                                                                         // 7 raw
	s.publish("ws", `{"type":"t","type":"t"}`)                                                          // 8 text: a strict reader would refuse the page
	s.publish("ws", strings.Repeat("[", 10_000))                                                        // 9 text
	s.publish("ws", strings.Repeat("x", chain.MaxBody+1))                                               // 10 not kept
	s.stream.Publish("vouched.ws._", `{"door":{"grade":"verified","producer":"d"},"record":`+first+`}`) // 11
	s.settle()
	amended := s.page("/v1/workspaces/ws/timeline?limit=1").Records[0].ULID
	s.publish("ws", `{"type":"t","actor":{"id":"u"},"amends":"`+amended+`"}`)    // 12
	s.publish("other", `{"type":"t","actor":{"id":"u"},"amends":"`+amended+`"}`) // 13
	s.publish("ws", ``)                                                          // 14
	s.settle()
	all := "/v1/workspaces/ws/timeline?kind=record,duplicate,conflict,rejection"
	by := map[uint64]oneItem{}
	for _, r := range s.page(all).Records {
		by[r.Index] = r
	}
	if got := s.page("/v1/workspaces/ws/timeline").indexes(); !slices.Equal(got, []uint64{12, 11, 4, 2}) {
		t.Errorf("a timeline shows %v, want records and conflicts", got)
	}
	if d := by[3]; d.Kind != "duplicate" || d.Ref == nil || d.Ref.Index != 2 || d.Ref.ULID != by[2].ULID || d.Compared == nil || !*d.Compared || string(d.Record) != first {
		t.Errorf("duplicate %+v", d)
	}
	if c := by[4]; c.Kind != "conflict" || c.Ref == nil || c.Ref.Index != 2 || c.Record == nil {
		t.Errorf("conflict %+v", c)
	}
	if v := by[11]; string(v.Door) != `{"grade":"verified","producer":"d"}` || string(v.Record) != first || v.Grade != "verified" || v.Type != "t" {
		t.Errorf("vouched %+v", v)
	}
	if a := by[12]; a.Ref == nil || a.Ref.Index != 11 || a.Ref.ULID != amended {
		t.Errorf("amendment %+v", a.Ref)
	}
	if a := s.page("/v1/workspaces/other/timeline").Records[0]; a.Ref == nil || a.Ref.ULID != "" {
		t.Errorf("an amendment across workspaces tells the other entry's ULID: %+v", a.Ref)
	}
	raw := base64.StdEncoding.EncodeToString([]byte("\xff\xfe"))
	for index, want := range map[uint64]struct {
		reason, record string
		text, raw      *string
	}{
		5:  {reason: "missing_actor_id", record: `{"type":"t"}`},
		6:  {reason: "malformed_json", text: ptr("not JSON")},
		7:  {reason: "invalid_utf8", raw: &raw},
		8:  {reason: "duplicate_name", text: ptr(`{"type":"t","type":"t"}`)},
		9:  {reason: "too_deep", text: ptr(strings.Repeat("[", 10_000))},
		10: {reason: "body_too_large"},
		14: {reason: "empty", text: ptr("")},
	} {
		r := by[index]
		if r.Kind != "rejection" || r.Grade != "" || r.Type != "" || r.Reason == nil || r.Reason.Name != want.reason || r.Reason.Advice == "" || r.Reason.Code == 0 ||
			string(r.Record) != want.record || !equal(r.Text, want.text) || !equal(r.Raw, want.raw) {
			t.Errorf("rejection %d: %+v, reason %+v", index, r, r.Reason)
		}
	}
}

func equal(a, b *string) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// TestSecretsStayInside reads every entry of the system and looks for the secrets
// that its messages carry.
func TestSecretsStayInside(t *testing.T) {
	s := serve(t, Options{})
	s.stream.Publish("annals.control.genesis", string(s.stream.Messages[0].Body)) // replayed: a rejection
	s.stream.Publish("annals.control.seed", string(s.stream.Messages[1].Body))
	s.settle()
	a := s.do("GET", "/v1/workspaces/_system/timeline?kind=control,rejection")
	p := s.page("/v1/workspaces/_system/timeline?kind=control,rejection")
	if len(p.Records) != 4 || p.Records[0].Kind != "rejection" || p.Records[3].Control != "genesis" {
		t.Fatalf("%s", a.body)
	}
	for _, r := range p.Records {
		if r.Record != nil || r.Text != nil || r.Raw != nil {
			t.Errorf("entry %d shows a control message's body", r.Index)
		}
	}
}

func TestSentence(t *testing.T) {
	s := serve(t, Options{})
	s.stream.Publish("activity.ws.app.renamed", `{"actor":{"id":"u1","name":"Dana"},"object":{"type":"app","id":"a1","name":"Ops"}}`)
	s.settle()
	for _, path := range []string{"/v1/workspaces/ws/timeline?with=sentence"} {
		r := s.page(path).Records[0]
		if r.Sentence == nil || !strings.Contains(r.Sentence.Text, "Dana") || len(r.Sentence.Parts) < 2 {
			t.Errorf("sentence %+v", r.Sentence)
		}
	}
	if r := s.page("/v1/workspaces/ws/timeline").Records[0]; r.Sentence != nil {
		t.Error("a sentence that nobody asked for")
	}
}
