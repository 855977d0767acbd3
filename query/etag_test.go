package query

import (
	"strings"
	"testing"

	"annals/projections"
)

func TestMatchesTag(t *testing.T) {
	for given, want := range map[string]bool{
		`W/"abc"`: true, `"abc"`: true, `*`: true, ` W/"abc" `: true, `"x", W/"abc"`: true, `W/"x","y" , "abc"`: true, `"x",,"abc"`: true, `"a,b", "abc"`: true,
		``: false, `abc`: false, `W/abc`: false, `"abc`: false, `W/"ab"`: false, `"ABC"`: false, `w/"abc"`: false, `"x" garbage "abc"`: false, `""`: false, `"x", *`: true,
	} {
		if got := matchesTag(given, `W/"abc"`); got != want {
			t.Errorf("If-None-Match: %s: %v, want %v", given, got, want)
		}
	}
}

// TestNotModified changes the ledger, and what is asked: a validator changes with
// the answer, and with nothing else.
func TestNotModified(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 9) // users u0, u1, u2
	s.settle()
	base := []string{
		"timeline?limit=2", "timeline", "timeline?user=u1", "timeline?user=u1&with=sentence", "timeline?first=oldest&limit=2", "timeline?kind=duplicate",
		"timeline?order=occurred", "timeline?as_of=6", "users/u1/timeline", "objects/app/a1/history",
		"counts?by=user", "counts?by=user&user=u1", "counts?by=type&top=1", "counts?by=day", "counts?by=kind", "counts?by=day&kind=gap",
		"records/" + s.page("/v1/workspaces/ws/timeline?first=oldest&limit=1").Records[0].ULID,
	}
	paths := []string{}
	for _, b := range base {
		paths = append(paths, "/v1/workspaces/ws/"+b)
	}
	next := s.page("/v1/workspaces/ws/timeline?limit=2").NextCursor
	paths = append(paths, "/v1/workspaces/ws/timeline?limit=2&cursor="+next)
	tags := map[string]string{}
	seen := map[string]string{}
	for _, path := range paths {
		a := s.do("GET", path)
		tag := a.header.Get("ETag")
		if a.status != 200 || !strings.HasPrefix(tag, `W/"`) || a.header.Get("Cache-Control") != "private, no-cache" {
			t.Fatalf("%s: %d, ETag %s, Cache-Control %s", path, a.status, tag, a.header.Get("Cache-Control"))
		}
		if before, ok := seen[tag]; ok && !strings.HasSuffix(path, "users/u1/timeline") { // which is timeline?user=u1
			t.Errorf("%s and %s have the validator %s", before, path, tag)
		}
		tags[path], seen[tag] = tag, path
	}
	// check asks for everything again with the validator at hand.
	check := func(when string, changed ...string) {
		t.Helper()
		for _, path := range paths {
			want := 304
			for _, c := range changed {
				if path == "/v1/workspaces/ws/"+c {
					want = 200
				}
			}
			a := s.do("GET", path, "If-None-Match", `"x", `+tags[path])
			if a.status != want {
				t.Errorf("%s: %s is answered %d, want %d", when, path, a.status, want)
			}
			if a.status == 304 && (len(a.body) != 0 || a.header.Get("ETag") != tags[path] || a.header.Get("Cache-Control") != "private, no-cache" || a.header.Get("Content-Type") != "") {
				t.Errorf("%s: %s: %q %v", when, path, a.body, a.header)
			}
			tags[path] = s.do("GET", path).header.Get("ETag")
		}
	}
	check("nothing happened")
	s.publish("other", `{"type":"t","actor":{"id":"u1"}}`)
	s.publish("ws", `no record`)
	s.settle()
	check("the tree grew by what is not shown", "counts?by=kind")
	s.publish("ws", `{"id":"x","type":"t","actor":{"id":"u2"}}`)
	s.settle()
	check("a user acted", "timeline?limit=2", "timeline", "timeline?first=oldest&limit=2", "timeline?order=occurred",
		"counts?by=user", "counts?by=type&top=1", "counts?by=day", "counts?by=kind")
	for _, path := range paths {
		for given, want := range map[string]int{"*": 304, `"x"`: 200, "": 200, strings.TrimPrefix(tags[path], "W/"): 304} {
			if a := s.do("GET", path, "If-None-Match", given); a.status != want {
				t.Errorf("%s, If-None-Match %q: %d, want %d", path, given, a.status, want)
			}
		}
		if a := s.do("HEAD", path, "If-None-Match", tags[path]); a.status != 304 {
			t.Errorf("HEAD %s: %d", path, a.status)
		}
	}
	// A refusal is none of it.
	a := s.do("GET", "/v1/workspaces/ws/timeline?limit=0", "If-None-Match", "*")
	a.problem(t, 400, "invalid_parameter")
	if a.header.Get("ETag") != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a refusal has %v", a.header)
	}
}

// TestVersionChangesTags: another version of the program may print the same in
// other words.
func TestVersionChangesTags(t *testing.T) {
	tags := map[string]bool{}
	for _, version := range []string{"1", "2"} {
		s := serve(t, Options{Version: version})
		s.fill("ws", 1)
		s.settle()
		tags[s.do("GET", "/v1/workspaces/ws/timeline").header.Get("ETag")] = true
	}
	if len(tags) != 2 {
		t.Error("two versions have one validator")
	}
}

// TestPageTag changes one thing that a page says at a time.
func TestPageTag(t *testing.T) {
	a := serve(t, Options{Version: "1"}).api
	page := func(change func(*selected)) *selected {
		s := &selected{Page: projections.Page{Indexes: []uint64{7, 5}, Last: projections.Position{Index: 5}}, total: projections.Count{N: 2}}
		change(s)
		return s
	}
	seen := map[string]int{}
	for i, s := range []*selected{
		page(func(*selected) {}),
		page(func(s *selected) { s.total.N++ }),
		page(func(s *selected) { s.total.Truncated = true }),
		page(func(s *selected) { s.Truncated = true }),
		page(func(s *selected) { s.More = true }),
		page(func(s *selected) { s.Last.Index = 4 }),
		page(func(s *selected) { s.Last.Occurred = 1 }),
		page(func(s *selected) { s.Indexes[0] = 6 }),
		page(func(s *selected) { s.Indexes = s.Indexes[:1] }),
	} {
		tag := a.pageTag(&filter{}, s)
		if before, ok := seen[tag]; ok {
			t.Errorf("pages %d and %d have one validator", before, i)
		}
		seen[tag] = i
	}
}
