package query

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTailTellsNothingOfOthers: of what is recorded elsewhere a tail neither sends an
// id, in a heartbeat or where it begins or ends, nor tells an id that somebody guesses
// from one that was never given out.
func TestTailTellsNothingOfOthers(t *testing.T) {
	s := serve(t, beating())
	s.more("ws", 2)
	s.settle()
	tails := map[string]*ear{}
	for _, path := range []string{"/v1/workspaces/ws/tail", "/v1/workspaces/ws/tail?user=nobody", "/v1/workspaces/empty/tail", "/v1/workspaces/ws/tail?last=1", "/v1/workspaces/ws/users/u0/tail?after=" + s.newest()} {
		tails[path] = s.open(path)
	}
	seen := map[string]bool{}
	hear := func(e *ear, beats int) {
		for was := e.comments; e.comments < was+beats; {
			h, err := e.hear()
			if err != nil {
				t.Fatal(err)
			}
			seen[h.id] = true
		}
	}
	for range 3 {
		s.more("other", 3)
		s.settle()
		for _, e := range tails {
			hear(e, 2)
		}
	}
	own := append(entryIDs(t, s, "ws"), strings.Repeat("0", 26), "")
	for id := range seen {
		if !slices.Contains(own, id) {
			t.Errorf("an event has the id %s, which is no entry of the workspace", id)
		}
	}
	if last := tails["/v1/workspaces/empty/tail"].last; last != strings.Repeat("0", 26) {
		t.Errorf("the tail of an empty workspace has the id %q", last)
	}
	before := tails["/v1/workspaces/empty/tail"].last
	s.more("empty", 2)
	s.settle()
	if got := s.open("/v1/workspaces/empty/tail", lastEventID, before).until(s.newest("empty")); len(got) != 2 {
		t.Errorf("%d records came after the empty beginning, want 2", len(got))
	}

	never := entryIDs(t, serve(t, Options{}))[0]
	never = never[:25] + map[bool]string{true: "1", false: "2"}[never[25] == '2']
	foreign := entryIDs(t, s, "other")
	for _, id := range []string{foreign[0], foreign[len(foreign)-1]} {
		for _, ask := range []func(string) answered{
			func(id string) answered { return s.do("GET", "/v1/workspaces/ws/tail?after="+id) },
			func(id string) answered { return s.do("GET", "/v1/workspaces/ws/tail", lastEventID, id) },
		} {
			got, want := ask(id), ask(never)
			for _, a := range []answered{got, want} {
				a.header.Del("Date")
				a.header.Del("X-Request-Id")
			}
			plain := func(a answered) string {
				return requestIDs.ReplaceAllString(fmt.Sprint(a.status, a.header, string(a.body)), "")
			}
			if got.status != 400 || plain(got) != plain(want) {
				t.Errorf("another's id: %s\nnobody's: %s", plain(got), plain(want))
			}
		}
	}
}

// requestIDs are what differs between any two answers.
var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"|"instance":"[^"]*"`)
