package show

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json/jsontext"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Zoë Ångström 中文":      "Zoë Ångström 中文",
		"a\x1b[2Jb":            "a␛[2Jb",
		"\x07\x00\x7f":         "␇␀␡",
		"a\u009b31mb":          "a\ufffd31mb",
		"abc\u202edef":         "abc\ufffddef",
		"zero\u200bwidth":      "zero\ufffdwidth",
		"two\nlines\tand":      "two lines and",
		"line\u2028para\u2029": "line\ufffdpara\ufffd",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) is %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\u202e")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Clean(s) {
			if unsafe(r) || r < 0x20 {
				t.Errorf("Clean(%q) holds %U", s, r)
			}
		}
	})
}

func FuzzEscape(f *testing.F) {
	f.Add(`{"a":"b"}`)
	f.Add("{\"a\":\"\u009b\u202e\U000e0001\"}")
	f.Fuzz(func(t *testing.T, s string) {
		v := jsontext.Value(s)
		if !v.IsValid() {
			return
		}
		got, err := Indent(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && (unsafe(r) || unicode.IsControl(r)) }) {
			t.Errorf("%q still steers a terminal", got)
		}
		before, after := v.Clone(), jsontext.Value(got)
		if before.Canonicalize() != nil { // a number out of its bounds
			return
		}
		if err := after.Canonicalize(); err != nil || string(before) != string(after) {
			t.Errorf("%s became %s (%v)", before, after, err)
		}
	})
}

// item makes an entry as the server sends it.
func item(t *testing.T, record string, change func(*client.Item)) client.Item {
	t.Helper()
	i := client.Item{
		ULID: "01KA2B3C4D0000000000000005", Index: 5, Kind: "record", Workspace: "ws_7", Type: "app.renamed",
		RecordedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Record: jsontext.Value(record),
	}
	if change != nil {
		change(&i)
	}
	return i
}

func TestTimeline(t *testing.T) {
	page := &client.Page{Total: 3, Items: []client.Item{
		item(t, `{"actor":{"type":"user","id":"u1","name":"Eve\u001b[31m"},"object":{"type":"app","id":"app_42"}}`, nil),
		item(t, `{"actor":{"type":"anonymous"}}`, func(i *client.Item) { i.Kind = "conflict" }),
		item(t, ``, func(i *client.Item) { i.Kind, i.Type = "control", ""; i.Control = "mark" }),
	}}
	var b strings.Builder
	if err := Timeline(&b, page, Style{}); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"2026-11-22 08:00:00", "Eve␛[31m", "app/app_42", "app.renamed", "anonymous", "CONFLICT: ", "CONTROL: mark", "01KA2B3C4D0000000000000005"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("the table can steer a terminal: %q", got)
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(line)); n > 200 {
			t.Errorf("a line of %d characters", n)
		}
	}
}

// TestTimelineOccurred shows when things occurred, where the record says it.
func TestTimelineOccurred(t *testing.T) {
	page := &client.Page{Total: 2, Items: []client.Item{
		item(t, `{"actor":{"id":"u"},"occurred_at":"2001-02-03T06:05:06+02:00"}`, nil),
		item(t, `{"actor":{"id":"u"},"occurred_at":"yesterday"}`, nil),
	}}
	for occurred, want := range map[bool][]string{true: {"occurred", "2001-02-03 04:05:06", "2026-11-22 08:00:00"}, false: {"recorded", "2026-11-22 08:00:00"}} {
		var b strings.Builder
		if err := Timeline(&b, page, Style{Occurred: occurred}); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("occurred %v: the table lacks %q:\n%s", occurred, w, b.String())
			}
		}
	}
}

// TestTimelineFits: on a terminal an entry is one line.
func TestTimelineFits(t *testing.T) {
	long := strings.Repeat("x", 400)
	page := &client.Page{Items: []client.Item{
		item(t, `{"actor":{"type":"user","id":"`+long+`"},"object":{"type":"app","id":"`+long+`"}}`, func(i *client.Item) { i.Type = long }),
	}}
	for _, width := range []int{120, 160, 240} {
		var b strings.Builder
		if err := Timeline(&b, page, Style{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(strings.TrimRight(line, " \n"))); n > width {
				t.Errorf("width %d: a line of %d characters", width, n)
			}
		}
	}
}

// TestRecordTrace: a record's trace and span are printed where it has them.
func TestRecordTrace(t *testing.T) {
	for _, id := range []string{"", "0af7651916cd43dd8448eb211c80319c"} {
		i := item(t, `{}`, func(i *client.Item) { i.TraceID = id })
		if id != "" {
			i.SpanID = "b7ad6b7169203331"
		}
		var b strings.Builder
		if err := Record(&b, &i); err != nil {
			t.Fatal(err)
		}
		want := "trace        " + id + "\nspan         b7ad6b7169203331\n"
		if got := b.String(); strings.Contains(got, want) != (id != "") || id == "" && strings.Contains(got, "\ntrace") {
			t.Errorf("%q:\n%s", id, got)
		}
	}
}
