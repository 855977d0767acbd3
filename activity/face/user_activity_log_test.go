package face

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// published are the fields of the billing platform's log, in the order of its table.
const published = "user onBehalfOfUser customerID activityType activityDate activityTime usedExpertMode bulkImportFileID bulkImportFileLineNumber " +
	"CDRFileID CDRFileLineNumber usedAPI fromProvider linkedToType linkedTo linkedToRevisionNumber activityReason activityDetails activityCommentary " +
	"id activityOnType activityOn activityOnRevisionNumber"

// TestLogFields: an entry has the published fields, all of them, and no other.
func TestLogFields(t *testing.T) {
	want := map[string]bool{}
	for name := range strings.FieldsSeq(published) {
		want[name] = true
	}
	erased := LogOf(7, nil, time.Date(2026, 3, 2, 23, 20, 10, 0, time.UTC), time.UTC)
	b, err := json.Marshal(&erased)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]jsontext.Value
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for name, value := range got {
		if !want[name] {
			t.Errorf("%s is none of the published fields", name)
		}
		delete(want, name)
		if text := string(value); text != "null" && text != `"7"` && text != `"2026-03-02"` && text != `"23:20:10"` {
			t.Errorf("of what was erased %s says %s", name, text)
		}
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
}

// TestLogOf: whatever a record lacks is null, and what it has is what it says.
func TestLogOf(t *testing.T) {
	recorded := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		record     string
		date, hour string
		got        func(*LogEntry) *string
		want       string
	}{
		{`{"type":"a.b","occurred_at":"2026-03-29T00:59:59Z","actor":{"id":"u"}}`, "2026-03-29", "01:59:59", func(e *LogEntry) *string { return e.ActivityType }, "a.b"},
		{`{"type":"a.b","occurred_at":"2026-03-29T01:00:00Z","actor":{"id":"u"}}`, "2026-03-29", "03:00:00", func(e *LogEntry) *string { return e.User }, "u"},
		{`{"type":"a.b","occurred_at":"soon","actor":{"type":"anonymous"}}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.User }, ""},
		{`{"type":"a.b","actor":{"id":"u"},"data":{"used_api":true}}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.UsedAPI }, "Yes"},
		{`{"type":"a.b","actor":{"id":"u"},"data":{"used_api":false}}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.UsedAPI }, "No"},
		{`{"type":"a.b","actor":{"id":"u"},"data":{"used_api":"true"}}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.UsedAPI }, ""},
		{`{"type":"a.b","actor":{"id":"u"},"data":[true]}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.UsedAPI }, ""},
		{`{"type":"a.b","actor":{"id":"u"},"object":{"revision":"07"}}`, "2026-03-02", "11:00:00", func(e *LogEntry) *string { return e.ActivityOnRevision }, "07"},
	} {
		r, err := activity.Parse([]byte(c.record))
		if err != nil {
			t.Fatal(err)
		}
		e := LogOf(1, r, recorded, berlin)
		text := ""
		if got := c.got(&e); got != nil {
			text = *got
		}
		if e.ActivityDate != c.date || e.ActivityTime != c.hour || text != c.want {
			t.Errorf("%s: %s %s %q, want %s %s %q", c.record, e.ActivityDate, e.ActivityTime, text, c.date, c.hour, c.want)
		}
	}
}

// TestLogFilters: each field that entries are looked for by is held to itself, and to
// nothing else.
func TestLogFilters(t *testing.T) {
	text := map[string]string{}
	var e LogEntry
	for i := range reflect.TypeFor[LogEntry]().NumField() {
		f := reflect.TypeFor[LogEntry]().Field(i)
		if f.Type == reflect.TypeFor[*string]() {
			name := f.Tag.Get("json")
			text[name] = "the " + name
			reflect.ValueOf(&e).Elem().Field(i).Set(reflect.ValueOf(said(text[name])))
		}
	}
	for _, f := range LogFilters {
		if got := f.Value(&e); got == nil || *got != text[f.Field] {
			t.Errorf("%s looks at %v", f.Field, got)
		}
		if !(LogWant{f.Field: text[f.Field]}).Holds(&e) || (LogWant{f.Field: "else"}).Holds(&e) || (LogWant{f.Field: text[f.Field]}).Holds(&LogEntry{}) {
			t.Errorf("%s does not hold where it should, or does elsewhere", f.Field)
		}
	}
	if !LogWant(nil).Holds(&LogEntry{}) {
		t.Error("who wants nothing gets nothing")
	}
}

func TestLogTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-03-02T10:00:00.5+02:00": "2026-03-02T08:00:00.5Z", "2026-03-02T10:00:00": "2026-03-02T10:00:00Z",
		"2026-03-02 10:00:00.25": "2026-03-02T10:00:00.25Z", "2026-03-02T10:00": "2026-03-02T10:00:00Z", "2026-03-02": "2026-03-02T00:00:00Z",
	} {
		if got, ok := LogTime(in); !ok || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%s is %v", in, got)
		}
	}
	for _, in := range []string{"", "soon", "2026-02-30", "1772620944"} {
		if got, ok := LogTime(in); ok {
			t.Errorf("%q is %v", in, got)
		}
	}
}

// TestLogRoundTrip: what an exported entry says is what is shown of its record.
func TestLogRoundTrip(t *testing.T) {
	full := `{"id":"9","user":"kim","onBehalfOfUser":"ben","customerID":"C-1","activityType":"a.b","activityDate":"2026-03-02","activityTime":"23:20:10",` +
		`"usedExpertMode":"Yes","bulkImportFileID":"imp","bulkImportFileLineNumber":17,"CDRFileID":null,"CDRFileLineNumber":null,"usedAPI":"No","fromProvider":"Yes",` +
		`"linkedToType":"customer","linkedTo":"C-1","linkedToRevisionNumber":"2","activityReason":"r","activityDetails":"d\nd","activityCommentary":"c",` +
		`"activityOnType":"bill","activityOn":"B-1","activityOnRevisionNumber":"03"}`
	cdr := strings.NewReplacer(`"bulkImportFileID":"imp","bulkImportFileLineNumber":17,"CDRFileID":null,"CDRFileLineNumber":null`,
		`"bulkImportFileID":null,"bulkImportFileLineNumber":null,"CDRFileID":"f","CDRFileLineNumber":1`, `"Yes"`, `null`, `"ben"`, `null`).Replace(full)
	bare := LogOf(9, nil, time.Date(2026, 3, 2, 1, 2, 3, 0, time.UTC), time.UTC)
	bare.ActivityType = said("a.b")
	empty, err := json.Marshal(&bare)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{full, cdr, string(empty)} {
		r, err := LogRecord([]byte(entry), time.UTC, nil)
		if err != nil {
			t.Fatal(err)
		}
		line, err := r.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = activity.Parse(line); err != nil {
			t.Fatal(err)
		}
		var want LogEntry
		if err := json.Unmarshal([]byte(entry), &want); err != nil {
			t.Fatal(err)
		}
		if got := LogOf(9, r, time.Time{}, time.UTC); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nbecomes %s\nand shows %+v", entry, line, got)
		}
	}
}
