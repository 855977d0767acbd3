package query

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/projections"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// TestCursorAltered changes every character of a cursor to every other, and asks
// with some of them.
func TestCursorAltered(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 5)
	s.settle()
	const path = "/v1/workspaces/ws/timeline?limit=2&cursor="
	good := s.page("/v1/workspaces/ws/timeline?limit=2").NextCursor
	if len(good) != cursorText {
		t.Fatalf("cursor %q has %d characters, want %d", good, len(good), cursorText)
	}
	f := filter{}
	f.reset()
	f.workspace = "ws"
	if _, ok := s.api.cursors.open(good, &f); !ok {
		t.Fatal("the cursor as it was given does not open")
	}
	for i := range good {
		for _, c := range alphabet + "=+/ \n" {
			altered := good[:i] + string(c) + good[i+1:]
			if _, ok := s.api.cursors.open(altered, &f); ok != (altered == good) {
				t.Fatalf("%q opens: %v", altered, ok)
			}
		}
		swapped := good[:i] + string(alphabet[(strings.IndexByte(alphabet, good[i])+1)%64]) + good[i+1:]
		s.refused(400, "invalid_cursor", "GET", path+swapped)
	}
	for _, bad := range []string{good + "A", good[1:], good[:cursorText-1], "x", strings.Repeat("A", cursorText), "%0A" + good} {
		s.refused(400, "invalid_cursor", "GET", path+bad)
	}
	for _, other := range []string{
		"/v1/workspaces/ws2/timeline?cursor=", "/v1/workspaces/ws/users/u0/timeline?cursor=", "/v1/workspaces/ws/objects/app/a0/history?cursor=",
		"/v1/workspaces/ws/timeline?user=u0&cursor=", "/v1/workspaces/ws/timeline?kind=record&cursor=", "/v1/workspaces/ws/timeline?type=t&cursor=",
		"/v1/workspaces/ws/timeline?since=2020-01-01T00:00:00Z&cursor=", "/v1/workspaces/ws/timeline?until=2090-01-01T00:00:00Z&cursor=",
		"/v1/workspaces/ws/timeline?occurred_since=2020-01-01T00:00:00Z&cursor=", "/v1/workspaces/ws/timeline?order=occurred&cursor=",
		"/v1/workspaces/ws/timeline?first=oldest&cursor=", "/v1/workspaces/ws/timeline?type!=t&cursor=", "/v1/workspaces/ws/timeline?dimension.a=b&cursor=",
	} {
		s.refused(400, "invalid_cursor", "GET", other+good)
	}
	// What selects nothing may change between pages.
	for _, same := range []string{"?limit=1&cursor=", "?kind=conflict,record&cursor=", "?with=sentence&cursor=", "?first=newest&order=recorded&as_of=7&cursor="} {
		if p := s.page("/v1/workspaces/ws/timeline" + same + good); p.Total != 5 || p.Records[0].Index != 4 {
			t.Errorf("%s: %v of %d", same, p.indexes(), p.Total)
		}
	}
	foreign := newSealer(chain.Hash{1}).seal(position{size: 7, after: projections.Position{Index: 5}}, &f)
	s.refused(400, "invalid_cursor", "GET", path+foreign)
}

// TestFilterForm looks for two filters of one form, which could share a cursor.
func TestFilterForm(t *testing.T) {
	seen := map[string]string{}
	for _, query := range []string{
		"", "user=ab", "user=a&user=b", "user!=ab", "user!=a&user!=b", "user=a&user!=b", "source=ab", "source=a&source=b", "session=ab", "outcome=ab", "ip=ab",
		"object=a/b", "object=ab/", "object=a/&object=b/", "linked=a/b", "type=ab", "type=ab*", "type=a,b", "type=a*,b", "group=app", "grade=none",
		"dimension.a=b", "dimension.ab=c", "dimension.a=bc", "dimension.a=b&dimension.a=c", "dimension.a=b&dimension.b=c", "dimension.a!=b",
		"kind=record", "kind!=record", "kind=duplicate", "since=1970-01-01T00:00:01Z", "until=1970-01-01T00:00:01Z",
		"occurred_since=1970-01-01T00:00:01Z", "occurred_until=1970-01-01T00:00:01Z", "order=occurred", "first=oldest",
	} {
		form := formOf(t, query)
		if before, ok := seen[form]; ok {
			t.Errorf("%q and %q have the same form", before, query)
		}
		seen[form] = query
	}
	for a, b := range map[string]string{
		"user=a&user=b": "user=b&user=a", "user=a&type=t": "type=t&user=a", "user=a": "user=a&user=a", "kind=record,conflict": "", "type=a,b": "type=b&type=a",
		"dimension.a=1&dimension.b=2": "dimension.b=2&dimension.a=1", "limit=7&with=sentence": "", "kind!=record,conflict": "kind=duplicate,rejection,control,gap",
		"order=recorded&first=newest": "", "dimension.%2561=b": "dimension.a=b",
	} {
		if formOf(t, a) != formOf(t, b) {
			t.Errorf("%q and %q differ in form", a, b)
		}
	}
	one, two := filter{workspace: "ab"}, filter{workspace: "a"}
	if string(one.appendTo(nil)) == string(two.appendTo(nil)) {
		t.Error("two workspaces have the same form")
	}
}

// formOf is the form of what a query says.
func formOf(t *testing.T, query string) string {
	t.Helper()
	var f filter
	if err := f.parse(queryParameters(), &http.Request{URL: &url.URL{RawQuery: query}}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return string(f.appendTo(nil))
}

func FuzzCursor(f *testing.F) {
	s := newSealer(chain.Hash{7})
	good := &filter{workspace: "ws", kinds: timelineKinds}
	f.Add(s.seal(position{size: 9}, good), uint64(9), int64(0), uint64(4))
	f.Add("", uint64(0), int64(-1), uint64(0))
	f.Add(strings.Repeat("A", cursorText), uint64(1), int64(1), uint64(1))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, cursorBytes)), ^uint64(0), int64(7), ^uint64(0))
	f.Fuzz(func(t *testing.T, text string, size uint64, occurred int64, index uint64) {
		if p, ok := s.open(text, good); ok && s.seal(p, good) != text {
			t.Errorf("%q opens, and is not what is sealed for %+v", text, p)
		}
		at := position{size, projections.Position{Occurred: occurred, Index: index}}
		sealed := s.seal(at, good)
		if p, ok := s.open(sealed, good); !ok || p != at {
			t.Errorf("%+v: opened as %+v, %v", at, p, ok)
		}
		if _, ok := s.open(sealed, &filter{workspace: "ws2", kinds: timelineKinds}); ok {
			t.Error("opens for another workspace")
		}
	})
}
