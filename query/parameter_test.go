package query

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/activity"
)

func TestParameters(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 3)
	s.settle()
	const timeline = "/v1/workspaces/ws/timeline"
	for _, c := range []struct {
		path      string
		records   int    // when it is answered
		parameter string // when it is refused
		code      string
	}{
		{path: timeline + "?limit=1", records: 1},
		{path: timeline + "?limit=50", records: 3},
		{path: timeline + "?limit=1000", records: 3},
		{path: timeline + "?limit=1001", records: 3},
		{path: timeline + "?limit=99999999999999999999999", records: 3},
		{path: timeline + "?limit=0", parameter: "limit", code: "invalid_limit"},
		{path: timeline + "?limit=-1", parameter: "limit", code: "invalid_limit"},
		{path: timeline + "?limit=1.5", parameter: "limit", code: "invalid_limit"},
		{path: timeline + "?limit=ten", parameter: "limit", code: "invalid_limit"},
		{path: timeline + "?limit=", parameter: "limit", code: "empty"},
		{path: timeline + "?limit=1&limit=2", parameter: "limit", code: "repeated"},
		{path: timeline + "?kind=record", records: 3},
		{path: timeline + "?kind=record,record,conflict", records: 3},
		{path: timeline + "?kind=duplicate", records: 0},
		{path: timeline + "?kind=Record", parameter: "kind", code: "unknown_kind"},
		{path: timeline + "?kind=record,", parameter: "kind", code: "unknown_kind"},
		{path: timeline + "?kind=duplicate&kind=record", records: 3},
		{path: timeline + "?kind!=record", records: 0},
		{path: timeline + "?kind!=conflict", records: 3},
		{path: timeline + "?kind%21=conflict", records: 3},
		{path: timeline + "?kind!=Record", parameter: "kind!", code: "unknown_kind"},
		{path: timeline + "?kind=record&kind!=record", parameter: "kind!", code: "nothing_left"},
		{path: timeline + "?user=u0", records: 1},
		{path: timeline + "?user=" + strings.Repeat("u", 512), records: 0},
		{path: timeline + "?user=" + strings.Repeat("u", 513), parameter: "user", code: "id_too_long"},
		{path: timeline + "?user=%FF", parameter: "user", code: "invalid_utf8"},
		{path: timeline + "?user!=%FF", parameter: "user!", code: "invalid_utf8"},
		{path: timeline + "?user=u0&user=u1", records: 2},
		{path: timeline + "?user=u0&user=u0", records: 1},
		{path: timeline + "?user!=u0", records: 2},
		{path: timeline + "?user=u0,u1", records: 0},
		{path: timeline + "?user=u0&user!=u0", records: 0},
		{path: timeline + "?user=u0&user=", parameter: "user", code: "empty"},
		{path: timeline + "?user=" + strings.Repeat("u&user=", 199) + "u0", records: 1},
		{path: timeline + "?user=" + strings.Repeat("u&user=", 200) + "u0", parameter: "user", code: "too_many_values"},
		{path: timeline + "?" + dimensions(32), records: 0},
		{path: timeline + "?" + dimensions(33), parameter: "dimension.d32", code: "too_many_conditions"},
		{path: "/v1/workspaces/ws/users/u0/timeline?type=app.renamed&source!=web", records: 1},
		{path: timeline + "?object=app/a0", records: 2},
		{path: timeline + "?object=app", parameter: "object", code: "invalid_object"},
		{path: timeline + "?object=/a0", parameter: "object", code: "invalid_object"},
		{path: timeline + "?object=app/", records: 3},
		{path: timeline + "?object!=app/", records: 0},
		{path: timeline + "?object=ap/", records: 0},
		{path: timeline + "?object=app/a0&object=app/a1", records: 3},
		{path: timeline + "?object!=app/a0", records: 1},
		{path: timeline + "?object=app/" + strings.Repeat("u", 513), parameter: "object", code: "id_too_long"},
		{path: timeline + "?linked=app/a0", records: 0},
		{path: timeline + "?linked!=app/", records: 3},
		{path: timeline + "?linked=app", parameter: "linked", code: "invalid_object"},
		{path: timeline + "?object=%2561pp/a0", records: 2},
		{path: timeline + "?object=app/%2561", records: 0},
		{path: timeline + "?object=%252Fx/a0", records: 0},
		{path: timeline + "?object=app%25/a0", parameter: "object", code: "invalid_object"},
		{path: timeline + "?object=%25FF/a0", parameter: "object", code: "invalid_utf8"},
		{path: timeline + "?object=app/%FF", parameter: "object", code: "invalid_utf8"},
		{path: timeline + "?type=app.renamed", records: 3},
		{path: timeline + "?type=app.*", records: 3},
		{path: timeline + "?type=app*", records: 3},
		{path: timeline + "?type=app.renamed*", records: 3},
		{path: timeline + "?type=app.renamed.*", records: 0},
		{path: timeline + "?type=_*", records: 0},
		{path: timeline + "?type=t,app.*", records: 3},
		{path: timeline + "?type!=t,app.*", records: 0},
		{path: timeline + "?type!=t&type=app.*", records: 3},
		{path: timeline + "?type=*", parameter: "type", code: "invalid_type"},
		{path: timeline + "?type=a*b", parameter: "type", code: "invalid_type"},
		{path: timeline + "?type=app.**", parameter: "type", code: "invalid_type"},
		{path: timeline + "?type=app.renamed,", parameter: "type", code: "invalid_type"},
		{path: timeline + "?group=app", records: 3},
		{path: timeline + "?group=app,user", records: 3},
		{path: timeline + "?group!=app", records: 0},
		{path: timeline + "?group=App", parameter: "group", code: "unknown_group"},
		{path: timeline + "?group=app.*", parameter: "group", code: "unknown_group"},
		{path: timeline + "?source=web", records: 0},
		{path: timeline + "?source!=web", records: 3},
		{path: timeline + "?source=%FF", parameter: "source", code: "invalid_utf8"},
		{path: timeline + "?outcome!=denied&outcome!=failure", records: 3},
		{path: timeline + "?session=s", records: 0},
		{path: timeline + "?ip=10.0.0.0/8", records: 0},
		{path: timeline + "?ip!=10.0.0.0/8", records: 3},
		{path: timeline + "?ip=nowhere", records: 0},
		{path: timeline + "?ip=some/where", records: 0},
		{path: timeline + "?ip=10.0.0.0/33", parameter: "ip", code: "invalid_network"},
		{path: timeline + "?ip=::1/x", parameter: "ip", code: "invalid_network"},
		{path: timeline + "?grade=asserted", records: 3},
		{path: timeline + "?grade=verified,asserted", records: 3},
		{path: timeline + "?grade!=asserted", records: 0},
		{path: timeline + "?grade=Asserted", parameter: "grade", code: "unknown_grade"},
		{path: timeline + "?dimension.org=o", records: 0},
		{path: timeline + "?dimension.org!=o", records: 3},
		{path: timeline + "?dimension.=o", parameter: "dimension.", code: "empty"},
		{path: timeline + "?dimension.!=o", parameter: "dimension.!", code: "empty"},
		{path: timeline + "?dimension.org=", parameter: "dimension.org", code: "empty"},
		{path: timeline + "?dimension.100%25=o", parameter: "dimension.100%", code: "invalid_name"},
		{path: timeline + "?dimension.%25FF=o", parameter: "dimension.%FF", code: "invalid_utf8"},
		{path: timeline + "?as_of=0", records: 0},
		{path: timeline + "?as_of=4", records: 2},
		{path: timeline + "?as_of=5", records: 3},
		{path: timeline + "?as_of=-1", parameter: "as_of", code: "invalid_size"},
		{path: timeline + "?as_of=%2B1", parameter: "as_of", code: "invalid_size"},
		{path: timeline + "?as_of=now", parameter: "as_of", code: "invalid_size"},
		{path: timeline + "?as_of=9223372036854775808", parameter: "as_of", code: "invalid_size"},
		{path: timeline + "?as_of=4&as_of=5", parameter: "as_of", code: "repeated"},
		{path: timeline + "?order=recorded&first=newest", records: 3},
		{path: timeline + "?order=occurred&first=oldest", records: 3},
		{path: timeline + "?order=Occurred", parameter: "order", code: "unknown_order"},
		{path: timeline + "?first=last", parameter: "first", code: "unknown_order"},
		{path: timeline + "?occurred_since=2026-01-01T00:00:00Z", records: 3},
		{path: timeline + "?occurred_until=2026-01-01T00:00:00Z", records: 0},
		{path: timeline + "?occurred_since=0001-01-01T00:00:00Z&occurred_until=9999-01-01T00:00:00Z", records: 3},
		{path: timeline + "?occurred_since=2026-01-01", parameter: "occurred_since", code: "invalid_time"},
		{path: timeline + "?occurred_until=2026-01-01", parameter: "occurred_until", code: "invalid_time"},
		{path: timeline + "?occurred_since=2026-01-01T00:00:00Z&occurred_until=2026-01-01T00:00:00Z", parameter: "occurred_until", code: "empty_range"},
		{path: timeline + "?&&limit=1&", records: 1},
		{path: timeline + "?type=_", parameter: "type", code: "invalid_type"},
		{path: timeline + "?type=" + strings.Repeat("t", 129), parameter: "type", code: "invalid_type"},
		{path: timeline + "?since=2026-01-01T00:00:00Z", records: 3},
		{path: timeline + "?since=2026-01-01", parameter: "since", code: "invalid_time"},
		{path: timeline + "?until=yesterday", parameter: "until", code: "invalid_time"},
		{path: timeline + "?since=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", parameter: "until", code: "empty_range"},
		{path: timeline + "?with=everything", parameter: "with", code: "unknown_addition"},
		{path: "/v1/workspaces/_private/timeline", parameter: "ws", code: "reserved_workspace"},
		{path: "/v1/workspaces/a.b/timeline", parameter: "ws", code: "invalid_workspace"},
		{path: "/v1/workspaces/" + strings.Repeat("w", 65) + "/timeline", parameter: "ws", code: "invalid_workspace"},
		{path: "/v1/workspaces/" + strings.Repeat("w", 64) + "/timeline", records: 0},
		{path: "/v1/workspaces/ws/users/" + strings.Repeat("u", 513) + "/timeline", parameter: "id", code: "id_too_long"},
		{path: "/v1/workspaces/ws/users/%FF/timeline", parameter: "id", code: "invalid_utf8"},
		{path: "/v1/workspaces/ws/objects/%FF/a/history", parameter: "type", code: "invalid_utf8"},
		{path: "/v1/workspaces/ws/records/nonsense", parameter: "ulid", code: "invalid_ulid"},
		{path: "/v1/workspaces/ws/records/8ZZZZZZZZZZZZZZZZZZZZZZZZZ", parameter: "ulid", code: "invalid_ulid"},
		{path: "/v1/workspaces/ws/records/01K9Z0W3QH000000000000000U", parameter: "ulid", code: "invalid_ulid"},
	} {
		if c.parameter == "" {
			if got := len(s.page(c.path).Records); got != c.records {
				t.Errorf("%s: %d records, want %d", c.path, got, c.records)
			}
			continue
		}
		p := s.refused(400, "invalid_parameter", "GET", c.path)
		if len(p.Errors) != 1 || p.Errors[0].Parameter != c.parameter || p.Errors[0].Code != c.code || p.Errors[0].Detail == "" {
			t.Errorf("%s: errors %+v, want %s %s", c.path, p.Errors, c.parameter, c.code)
		}
	}
	p := s.refused(400, "unknown_parameter", "GET", timeline+"?limt=5")
	if !strings.Contains(p.Detail, "limt") || !strings.Contains(p.Detail, "limit, cursor, kind, user, object, linked, type, group, source, outcome, session, ip, grade, dimension.NAME, amends, since, until, updated_since, occurred_since, occurred_until, as_of, order, first, with;") {
		t.Errorf("detail %q names neither the fault nor what is valid", p.Detail)
	}
	for _, path := range []string{
		"/v1/workspaces/ws/users/u/timeline?user=u", "/v1/workspaces/ws/objects/a/b/history?object=a/b", "/v1/ledger?limit=1", "/healthz?x=y", timeline + "?limit!=1", timeline + "?since!=2026-01-01T00:00:00Z", timeline + "?user!!=u",
		timeline + "?dimension=o", timeline + "?dimensions.org=o", timeline + "?user.name=o", timeline + "?!=x", timeline + "?=x",
		"/v1/workspaces/ws/users/u/timeline?user!=u", timeline + "?by=day", timeline + "?id=u0", timeline + "?ws=other",
	} {
		s.refused(400, "unknown_parameter", "GET", path)
	}
	s.refused(400, "bad_request", "GET", timeline+"?user=%zz")
	s.refused(400, "bad_request", "GET", timeline+"?user=a;b=c")
}

// dimensions asks for n of them.
func dimensions(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("dimension.d%d=x", i))
	}
	return strings.Join(parts, "&")
}

// TestGroupsAreNamed: who misspells a group is told which there are.
func TestGroupsAreNamed(t *testing.T) {
	s := serve(t, Options{})
	p := s.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws/timeline?group=apps")
	_, raw := documentOf(t, s)
	for _, g := range activity.Catalogue().Groups() {
		if !strings.Contains(p.Detail, g.Slug) || !strings.Contains(string(raw), g.Slug) {
			t.Errorf("%s is not named", g.Slug)
		}
	}
}

func TestAsOf(t *testing.T) {
	s := serve(t, Options{Fresh: time.Millisecond})
	s.fill("ws", 3)
	s.settle()
	s.refused(503, "behind", "GET", "/v1/workspaces/ws/timeline?as_of=6")
	s.fill("ws", 1)
	s.record()
	s.refused(503, "behind", "GET", "/v1/workspaces/ws/timeline?as_of=6") // recorded, not indexed
	for size := range uint64(6) {
		root, err := s.api.o.Ledger.RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		p := s.page(fmt.Sprintf("/v1/workspaces/ws/timeline?limit=1&as_of=%d", size))
		if p.AsOf.Size != size || p.AsOf.Root != root || p.Total != max(2, size)-2 {
			t.Errorf("as of %d: %+v", size, p)
		}
		if p.NextCursor == "" {
			continue
		}
		next := fmt.Sprintf("/v1/workspaces/ws/timeline?limit=1000&cursor=%s", p.NextCursor)
		for _, path := range []string{next, next + fmt.Sprintf("&as_of=%d", size)} {
			if more := s.page(path); more.AsOf.Size != size || uint64(len(more.Records)) != p.Total-1 {
				t.Errorf("%s: %+v", path, more)
			}
		}
		differs := s.refused(400, "invalid_parameter", "GET", next+fmt.Sprintf("&as_of=%d", size-1))
		if differs.Errors[0].Parameter != "as_of" {
			t.Errorf("%+v", differs)
		}
	}
}

func TestRecord(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 2)
	s.publish("other", `{"type":"t","actor":{"id":"u"}}`)
	s.settle()
	page := s.page("/v1/workspaces/ws/timeline?kind=record")
	for _, want := range page.Records {
		for _, ulid := range []string{want.ULID, strings.ToLower(want.ULID)} {
			a := s.do("GET", "/v1/workspaces/ws/records/"+ulid)
			if a.status != 200 || !strings.Contains(string(a.body), `"record":`+string(want.Record)) || !strings.Contains(string(a.body), want.ULID) {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	}
	foreign := s.page("/v1/workspaces/other/timeline").Records[0].ULID
	mine := page.Records[0].ULID
	absent := mine[:25] + "Z"               // an index that isn't there
	skewed := "00" + mine[2:]               // our index, another time
	strange := mine[:12] + "ZZ" + mine[14:] // another partition
	want := ""
	for _, ulid := range []string{foreign, absent, skewed, strange} {
		a := s.do("GET", "/v1/workspaces/ws/records/"+ulid, "X-Request-Id", "r")
		a.problem(t, 404, "no_such_record")
		got := strings.ReplaceAll(string(a.body), ulid, "ULID")
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s is told apart: %s, want %s", ulid, got, want)
		}
	}
}

func TestMethodsAndPaths(t *testing.T) {
	s := serve(t, Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		a := s.do(method, "/v1/workspaces/ws/timeline")
		a.problem(t, 405, "method_not_allowed")
		if allow := a.header.Get("Allow"); !strings.Contains(allow, http.MethodGet) || !strings.Contains(allow, http.MethodHead) {
			t.Errorf("%s: Allow %q", method, allow)
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/workspaces/ws", "/v2/ledger", "/openapi"} {
		s.refused(404, "no_such_path", "GET", path)
	}
	if a := s.do("HEAD", "/v1/workspaces/ws/timeline"); a.status != 200 || len(a.body) != 0 || a.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %v %q", a.status, a.header, a.body)
	}
}

func TestRequestID(t *testing.T) {
	s := serve(t, Options{})
	for given, kept := range map[string]bool{
		"abc-123": true, "a/b:c+d=e@f.g_h": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, `a"b`: false, "é": false,
	} {
		got := s.do("GET", "/healthz", "X-Request-Id", given).header.Get("X-Request-Id")
		if got == "" || (got == given) != kept {
			t.Errorf("X-Request-Id %q came back as %q", given, got)
		}
	}
}

func ExampleMaxLimit() {
	fmt.Println(DefaultLimit, MaxLimit)
	// Output: 50 1000
}
