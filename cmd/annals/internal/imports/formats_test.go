package imports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"annals/activity"
)

var update = flag.Bool("update", false, "write the golden files")

const samples = "../../../../testdata/imports"

func mustFormat(t testing.TB, name string) Format {
	t.Helper()
	f, err := FormatNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustMapping(t testing.TB) *Mapping {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, "crm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadMapping("crm.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parse reads a whole file and returns what it holds.
func parse(f Format, m *Mapping, r io.Reader) (items []Item, err error) {
	s := &sink{workspace: "ws_7", seen: map[[sha256.Size]byte]int{}, put: func(it *Item) error {
		items = append(items, *it)
		return nil
	}}
	return items, f.read(newTape(r), m, s)
}

func print(items []Item, err error) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%d:%d, byte %d, %d bytes\n", it.Line, it.Column, it.Offset, it.Size)
		if it.Refusal != nil {
			fmt.Fprintf(&b, "  refused, %s %s: %s\n  %q\n", it.Refusal.Code, it.Refusal.Pointer, it.Refusal.Detail, it.Raw)
			continue
		}
		fmt.Fprintf(&b, "  %s\n", it.Record)
	}
	if err != nil {
		fmt.Fprintf(&b, "stopped: %v\n", err)
	}
	return b.String()
}

// TestMappings: what becomes of an event is for ever, for what was imported with other
// bytes would contradict. The golden file pins every record, to the byte.
func TestMappings(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct{ format, file string }{
		{"activity_tracking", "activity_tracking.json"},
		{"app_platform", "app_platform.json"},
		{"app_platform", "app_platform.csv"},
		{"cloudtrail", "cloudtrail.json"},
		{"csv", "crm.csv"},
		{"jsonl", "records.jsonl"},
		{"ocsf", "ocsf.json"},
		{"user_activity", "user_activity.json"},
		{"user_activity_log", "user_activity_log.json"},
		{"useractivities", "useractivities.json"},
	} {
		text, err := os.ReadFile(filepath.Join(samples, c.file))
		if err != nil {
			t.Fatal(err)
		}
		f := mustFormat(t, c.format)
		var m *Mapping
		if f.Mapped() {
			m = mustMapping(t)
		}
		items, err := parse(f, m, bytes.NewReader(text))
		out := print(items, err)
		fmt.Fprintf(&got, "== %s, %s\n%s", c.format, c.file, out)
		if slow, slowErr := parse(f, m, iotest.OneByteReader(bytes.NewReader(text))); print(slow, slowErr) != out {
			t.Errorf("%s is another file when it comes byte by byte:\n%s", c.file, print(slow, slowErr))
		}
	}
	const golden = "testdata/mappings.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the mappings are others than those of %s (-update writes it):\n%s", golden, got.String())
	}
}

// accounted checks that what was found stands in the file where it says, in order,
// that nothing but white space and punctuation lies between, and that each record is one.
func accounted(t *testing.T, text []byte, items []Item, between string) {
	t.Helper()
	end := int64(0)
	if bytes.HasPrefix(text, byteOrderMark) {
		end = int64(len(byteOrderMark))
	}
	for i, it := range items {
		if it.Offset < end || it.Offset+it.Size > int64(len(text)) {
			t.Fatalf("item %d has bytes %d to %d, and the one before ends at %d of %d", i, it.Offset, it.Offset+it.Size, end, len(text))
		}
		if gap := text[end:it.Offset]; between != "" && len(bytes.Trim(gap, between)) > 0 {
			t.Fatalf("before item %d %q is dropped", i, gap)
		}
		end = it.Offset + it.Size
		if it.Raw != nil && !bytes.HasPrefix(text[it.Offset:], it.Raw) {
			t.Fatalf("item %d is not what stands at byte %d", i, it.Offset)
		}
		if (it.Refusal == nil) == (it.Record == nil) {
			t.Fatalf("item %d is both a record and refused, or neither", i)
		}
		if it.Refusal != nil {
			continue
		}
		var keys activity.Keys
		if r := activity.Scan(it.Record, &keys); r != nil {
			t.Fatalf("item %d is passed on and no record: %v", i, r)
		}
		if keys.ID == "" {
			t.Fatalf("item %d has no id: %s", i, it.Record)
		}
	}
	if rest := text[min(end, int64(len(text))):]; between != "" && len(bytes.Trim(rest, between)) > 0 {
		t.Fatalf("at the end %q is dropped", rest)
	}
}

// fuzz is the body of every parser's fuzz test.
func fuzz(f *testing.F, format, file, between string, seeds ...string) {
	text, err := os.ReadFile(filepath.Join(samples, file))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	kind := mustFormat(f, format)
	var m *Mapping
	if kind.Mapped() {
		m = mustMapping(f)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 64<<10 {
			return
		}
		items, err := parse(kind, m, bytes.NewReader(text))
		if err == nil {
			accounted(t, text, items, between)
		}
		again, againErr := parse(kind, m, iotest.HalfReader(bytes.NewReader(text)))
		if print(items, err) != print(again, againErr) {
			t.Fatalf("read in other portions it is another file:\n%s\n%s", print(items, err), print(again, againErr))
		}
	})
}

const jsonBetween = " \t\r\n,[]"

func FuzzCloudTrail(f *testing.F) {
	fuzz(f, "cloudtrail", "cloudtrail.json", "", `{"Records":[{}`, `{"Records":[1,,2]} {"a":1}`, `[{"Records":[]}]`, "{\n}\n{", `{"Records":[]`, `{"Records":[] x`)
}

func FuzzOCSF(f *testing.F) {
	fuzz(f, "ocsf", "ocsf.json", jsonBetween, "{}\n{\n{}", `[1,2`, `[] [] {`, "\xff{}", "]", ",{}")
}

func FuzzActivityTracking(f *testing.F) {
	fuzz(f, "activity_tracking", "activity_tracking.json", "", `{"events":[{},[{"events":[]}]]}`, `{"total":1,"events":[{"event_type":"a","created_at":"2026-01-01 00:00:00+00"}`, `[{"events":[{}, {"events":[}]}]`)
}

func FuzzAppPlatform(f *testing.F) {
	table, err := os.ReadFile(filepath.Join(samples, "app_platform.csv"))
	if err != nil {
		f.Fatal(err)
	}
	fuzz(f, "app_platform", "app_platform.json", "", string(table), `{"tz":"UTC","days":[{"date":1,"items":[{"items":[7]}]}]} x`, `{"days":[{"items":[}]}`, "\uFEFF \n[", "\n\noccurred_at")
}

func FuzzUserActivity(f *testing.F) {
	fuzz(f, "user_activity", "user_activity.json", "", `{"totalRecords":{"rows":[1]},"rows":[{"rows":[2]},3],"rows":[4]}`, `{"rows":[{"activityType":"logout","eventDate":"2022-01-06T08:00:04","exportDataTypeId":0}`, `{"totalRecords":`)
}

func FuzzUserActivityLog(f *testing.F) {
	fuzz(f, "user_activity_log", "user_activity_log.json", jsonBetween, `{"activityType":"a","activityDate":"2026-01-01","activityTime":"00:00:00","CDRFileLineNumber":"x"}`)
}

func FuzzUserActivities(f *testing.F) {
	fuzz(f, "useractivities", "useractivities.json", "", `{}`, `{"useractivities":[{"id":7}],"flags":[]}`, `{"id":"\ud800"}`, `[{"user_id":{}}]`)
}

func FuzzNative(f *testing.F) {
	fuzz(f, "jsonl", "records.jsonl", " \t\r\n", "{}\r\n{}", `{"id":"\ud800"}`, "\f", "{}\n\v\n\u00a0\n{}")
}

func FuzzCSV(f *testing.F) {
	fuzz(f, "csv", "crm.csv", "", "Nr;Wann;Wer;Was;Kunde\n\"", "Nr;Wann;Wer;Was;Kunde\n\n\n1;2;3;4;5\r\n\r\n\"a\";\"b\nc\";;;\n")
}

func FuzzMapping(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(samples, "crm.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("record: {type: {value: a}, occurred_at: {column: t}, actor.type: {value: system}}")
	f.Add("record: &x {type: *x}")
	csv := "Nr;Wann;Wer;Was;Kunde\n1;2;3;4;5\n"
	kind := mustFormat(f, "csv")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadMapping("m", []byte(text))
		if err != nil {
			return
		}
		items, err := parse(kind, m, strings.NewReader(csv))
		if err == nil {
			accounted(t, []byte(csv), items, "")
		}
	})
}

// TestEndless: what has no end is given up, with bounded memory, and says where.
func TestEndless(t *testing.T) {
	for format, begin := range map[string]string{"cloudtrail": `{"Records":[{"a":"`, "ocsf": "\n" + `[{"a":"`, "csv": "Nr;Wann;Wer;Was;Kunde\n1;\""} {
		var m *Mapping
		if format == "csv" {
			m = mustMapping(t)
		}
		endless := &counting{r: io.MultiReader(strings.NewReader(begin), letters{})}
		_, err := parse(mustFormat(t, format), m, endless)
		if err == nil || !strings.Contains(err.Error(), "longer than") || !strings.HasPrefix(err.Error(), "1:") && !strings.HasPrefix(err.Error(), "2:") {
			t.Errorf("%s: %v", format, err)
		}
		if endless.n > 2*maxItem {
			t.Errorf("%s: %d bytes were read of what has no end", format, endless.n)
		}
	}
	// A line that is too long is one refusal, and the next line is read.
	text := strings.Repeat("x", 2*maxItem+17) + "\n" + `{"id":"1","type":"a.b","actor":{"type":"system"}}` + "\n"
	items, err := parse(mustFormat(t, "jsonl"), nil, strings.NewReader(text))
	if err != nil || len(items) != 2 || items[0].Refusal == nil || items[0].Raw != nil || items[0].Size != 2*maxItem+18 || items[1].Record == nil || items[1].Line != 2 {
		t.Errorf("%v: %d items", err, len(items))
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TestOutcomesOfReading: what fails while it is read is an error, not an end.
func TestReadingFails(t *testing.T) {
	for _, f := range Formats() {
		var m *Mapping
		text := "{}\n{}\n"
		if f.Mapped() {
			m, text = mustMapping(t), "Nr;Wann;Wer;Was;Kunde\n1;2;3;4;5\n"
		}
		broken := io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrClosedPipe))
		if _, err := parse(f, m, broken); err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
			t.Errorf("%s: a file that breaks off while it is read: %v", f.Name, err)
		}
	}
}

// TestMappingsAreStrict: what is wrong with a mapping is said with its place.
func TestMappingsAreStrict(t *testing.T) {
	const whole = "record: {type: {value: a.b}, occurred_at: {column: t}, actor.id: {column: u}"
	for text, want := range map[string]string{
		"":                                       "m:1:1: the mapping is empty",
		"a: [":                                   "m: line 1",
		"- a":                                    "m:1:1: a mapping is a list",
		"recrod: {}":                             `m:1:1: there is no "recrod"`,
		"producer: x":                            "m:1:1: the mapping has no record",
		"producer: x\nproducer: y":               `m:2:1: "producer" is there twice`,
		"record: {}":                             "m:1:1: record lacks type",
		"record:\n  typo: {column: a}":           `m:2:3: there is no "typo"`,
		"record:\n  type: Action":                "m:2:9: write type: {column: Action}",
		"record:\n  type: {column: a, value: b}": "m:2:9: type comes from a column or is a constant",
		"record:\n  type: {}":                    "m:2:9: type comes from a column or is a constant",
		"record:\n  type: {value: a, default: b}":                            "m:2:9: type is constant",
		"record:\n  type: {colum: a}":                                        `m:2:10: there is no "colum" of a member`,
		"record:\n  type: {column: a, layout: x}":                            "m:2:9: layout and zone are occurred_at's",
		"record:\n  occurred_at: {column: a, zone: UTC}":                     "m:2:16: a zone goes with a layout",
		"record:\n  occurred_at: {column: a, layout: x, zone: Mars/Olympus}": `m:2:45: "Mars/Olympus" is no time zone`,
		"record:\n  type: {column: a, values: {x: [1]}}":                     "m:2:33: x is a text",
		"record: {type: {value: a}, occurred_at: {column: t}}":               "m:1:1: record lacks actor.id",
		whole + "}\nunmapped: keep":                                          "m:2:11: unmapped is data, ignore or refuse",
		whole + "}\ndelimiter: ab":                                           "m:2:12: a delimiter is one character",
		whole + "}\n---\n{}":                                                 "m: a second document",
		whole + "}\nproducer: *x":                                            "m: unknown anchor",
		whole + ", dimensions.: {column: d}}":                                `m:1:79: there is no "dimensions."`,
	} {
		if _, err := ReadMapping("m", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"t,u,u\n":    `1:5: two columns are called "u"`,
		"t,w\n":      `1:1: the mapping takes actor.id from a column "u"`,
		"t,u,\xff\n": "1:5: the column's name is no UTF-8",
		"t,u,\n":     `1:5: the column "" can't go to data`,
		"t,\"u\n":    "1:",
	} {
		m, err := ReadMapping("m", []byte(whole+"}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(mustFormat(t, "csv"), m, strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	m, err := ReadMapping("m", []byte(whole+"}\nunmapped: refuse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(mustFormat(t, "csv"), m, strings.NewReader("t,u,x\n")); err == nil || !strings.HasPrefix(err.Error(), `1:5: the mapping has nothing for the column "x"`) {
		t.Errorf("a column that is not mapped: %v", err)
	}
}

// TestRefusedBytesAreKept: base64 in the report is what is no UTF-8.
func TestRefusedBytesAreKept(t *testing.T) {
	var report bytes.Buffer
	u := &run{o: Options{Report: &report}, summary: &Summary{}, now: &Counts{}, file: "a\xff"}
	raw := []byte("{\"a\":\"\xff\"}")
	if err := u.refuse(&Item{Raw: raw, Refusal: &Refusal{Code: "invalid_utf8"}}); err != nil {
		t.Fatal(err)
	}
	if want := `"base64":"` + base64.StdEncoding.EncodeToString(raw) + `"`; !strings.Contains(report.String(), want) || !strings.Contains(report.String(), `"file":"a`+"\uFFFD"+`"`) {
		t.Errorf("the report says %s", report.String())
	}
}
