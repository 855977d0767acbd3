package imports

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"annals/activity"
	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// book is a server that keeps records by their ids: what comes again is a duplicate,
// or a conflict.
type book struct {
	t       *testing.T
	records map[string][]byte
	order   []string
	fail    func(records int) bool // whether a request is refused; nil: none is
	refuse  string                 // a record with this in it is rejected
	client  *client.Client
}

func newBook(t *testing.T) *book {
	b := &book{t: t, records: map[string][]byte{}}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	var err error
	if b.client, err = client.New(srv.URL, client.Options{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *book) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // who asked went away
	}
	if b.fail != nil && b.fail(len(b.order)) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":"bad_request","detail":"not now"}`)
		return
	}
	var answer struct {
		Items []client.Outcome `json:"items"`
	}
	records := bytes.SplitAfter(bytes.TrimSuffix(body, []byte{'\n'}), []byte{'\n'})
	if r.Header.Get("Content-Type") == "application/json" {
		var list []jsontext.Value
		if err := json.Unmarshal(body, &list); err != nil {
			b.t.Errorf("this is sent: %s", body)
		}
		records = records[:0]
		for _, v := range list {
			records = append(records, v)
		}
	}
	for _, line := range records {
		var keys activity.Keys
		if r := activity.Scan(line, &keys); r != nil || keys.ID == "" {
			b.t.Errorf("this is sent: %s", line)
		}
		o := client.Outcome{Status: "recorded", ID: keys.ID, ULID: "01"}
		for _, f := range keys.Unread() {
			o.Doubts = append(o.Doubts, client.Doubt{Code: string(f.Code), Pointer: f.Pointer, Detail: f.Detail})
		}
		switch known, there := b.records[keys.ID]; {
		case b.refuse != "" && bytes.Contains(line, []byte(b.refuse)):
			o = client.Outcome{Status: "rejected", Code: "not_here", Detail: "no"}
		case !there:
			b.records[strings.Clone(keys.ID)] = bytes.Clone(line)
			b.order = append(b.order, strings.Clone(keys.ID))
		case bytes.Equal(known, line):
			o.Status = "duplicate"
		default:
			o.Status = "conflict"
		}
		answer.Items = append(answer.Items, o)
	}
	out, err := json.Marshal(answer)
	if err != nil {
		b.t.Error(err)
	}
	_, _ = w.Write(out)
}

// imported runs an import and returns its summary and the report's rows.
func (b *book) imported(ctx context.Context, format string, names ...string) (*Summary, []Row, error) {
	b.t.Helper()
	f := mustFormat(b.t, format)
	files, passed, err := Find(names, &f)
	if err != nil {
		b.t.Fatal(err)
	}
	var report bytes.Buffer
	o := Options{Client: b.client, Workspace: "ws_7", Format: f, Report: &report}
	if f.Mapped() {
		o.Mapping = mustMapping(b.t)
	}
	s, err := Run(ctx, files, passed, o)
	var rows []Row
	for line := range bytes.Lines(report.Bytes()) {
		var r Row
		if err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true)); err != nil {
			b.t.Fatalf("the report says %s: %v", line, err)
		}
		rows = append(rows, r)
	}
	return s, rows, err
}

func (s *Summary) line() string {
	return fmt.Sprintf("%d files, %d recorded, %d duplicates, %d conflicts, %d refused, %d unknown, %d unsent, %d known, %d failed, %d passed over",
		s.Files, s.Recorded, s.Duplicates, s.Conflicts, s.Refused, s.Unknown, s.Unsent, s.Known, s.Failed, s.PassedOver)
}

// TestImport: every sample, twice; what is refused is in the report with its bytes, and
// a record says that the file was imported, and with how many.
func TestImport(t *testing.T) {
	for _, c := range []struct {
		format, file      string
		recorded, refused int
	}{
		{"activity_tracking", "activity_tracking.json", 7, 7},
		{"app_platform", "app_platform.json", 6, 9},
		{"app_platform", "app_platform.csv", 2, 4},
		{"cloudtrail", "cloudtrail.json", 7, 6},
		{"csv", "crm.csv", 4, 4},
		{"jsonl", "records.jsonl", 4, 4},
		{"ocsf", "ocsf.json", 8, 4},
		{"user_activity", "user_activity.json", 9, 12},
		{"user_activity_log", "user_activity_log.json", 2, 3},
		{"useractivities", "useractivities.json", 5, 3},
	} {
		b := newBook(t)
		name := filepath.Join(samples, c.file)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, rows, err := b.imported(t.Context(), c.format, name)
		want := fmt.Sprintf("1 files, %d recorded, 0 duplicates, 0 conflicts, %d refused, 0 unknown, 0 unsent, 0 known, 0 failed, 0 passed over", c.recorded, c.refused)
		if err != nil || s.line() != want {
			t.Errorf("%s: %v, %s, want %s", c.file, err, s.line(), want)
		}
		doubtful := 0 // the published API takes dates that nobody can read
		for _, r := range rows[:len(rows)-1] {
			if r.Status == StatusDoubtful && r.Code == "unreadable_date" {
				doubtful++
				continue
			}
			if r.Status != StatusRefused || r.Code == "" || r.Detail == "" || !strings.HasPrefix(string(text[r.Offset:]), r.Text) || r.Text == "" {
				t.Errorf("%s: the report says %+v", c.file, r)
			}
		}
		last := rows[len(rows)-1]
		digest := sha256.Sum256(text)
		if len(rows) != c.refused+doubtful+1 || doubtful > 1 || last.Status != StatusImported || last.SHA256 != hex.EncodeToString(digest[:]) || last.Bytes != int64(len(text)) {
			t.Errorf("%s: the report's last row is %+v", c.file, last)
		}
		told, err := activity.Parse(b.records[b.order[len(b.order)-1]])
		if err != nil {
			t.Fatal(err)
		}
		if data := fmt.Sprintf(`{"format":%q,"sha256":%q,"bytes":%d,"records":%d,"refused":%d`, c.format, last.SHA256, len(text), c.recorded, c.refused); told.Type != typeImported ||
			!strings.HasPrefix(string(told.Data), data) || told.Object.Name != c.file || told.OccurredAt != "" {
			t.Errorf("%s: the ledger is told %+v %s", c.file, told, told.Data)
		}

		s, _, err = b.imported(t.Context(), c.format, name)
		want = fmt.Sprintf("1 files, 0 recorded, %d duplicates, 0 conflicts, %d refused, 0 unknown, 0 unsent, 1 known, 0 failed, 0 passed over", c.recorded, c.refused)
		if err != nil || s.line() != want {
			t.Errorf("%s, again: %v, %s, want %s", c.file, err, s.line(), want)
		}
	}
}

// many writes a file of n records.
func many(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"m-%d","type":"a.b","actor":{"type":"system"}}`+"\n", i)
	}
	name := filepath.Join(t.TempDir(), "many.jsonl")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestResumed breaks an import off, in the middle of a file, and begins it again: what
// was not recorded is named, and in the end each record is there once and in order.
func TestResumed(t *testing.T) {
	const n = 2*maxRecords + 500
	name := many(t, n)
	b := newBook(t)
	ctx, interrupt := context.WithCancel(t.Context())
	b.fail = func(records int) bool {
		if records == maxRecords {
			interrupt()
		}
		return false
	}
	s, rows, err := b.imported(ctx, "jsonl", name)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if s.Recorded != maxRecords || s.Unknown != maxRecords || s.Known != 0 || s.Whole() {
		t.Errorf("interrupted: %s", s.line())
	}
	if last := rows[len(rows)-1]; last.Status != StatusIncomplete || len(rows) != maxRecords+1 {
		t.Errorf("interrupted: %d rows, the last %+v", len(rows), last)
	}
	if slices.ContainsFunc(b.order, func(id string) bool { return strings.HasPrefix(id, "import-") }) {
		t.Error("an import that broke off says that it was done")
	}
	b.fail = nil
	if s, _, err = b.imported(t.Context(), "jsonl", name); err != nil || !s.Whole() || s.Recorded+s.Duplicates != n || s.Conflicts != 0 {
		t.Errorf("again: %v, %s", err, s.line())
	}
	for i := range n {
		if want := fmt.Sprintf("m-%d", i); b.order[i] != want {
			t.Fatalf("record %d is %s, want %s", i, b.order[i], want)
		}
	}
	if len(b.order) != n+1 {
		t.Errorf("%d records, want %d and one about the import", len(b.order), n)
	}
}

// TestRefusedByServer: a server that refuses what the format let pass, or all.
func TestRefusedByServer(t *testing.T) {
	b := newBook(t)
	b.refuse = `"m-3"`
	s, rows, err := b.imported(t.Context(), "jsonl", many(t, 10))
	if err != nil || s.Recorded != 9 || s.Refused != 1 || rows[0].Line != 4 || rows[0].Code != "not_here" || !strings.Contains(rows[0].Text, "m-3") {
		t.Errorf("%v, %s, %+v", err, s.line(), rows[0])
	}
	b.fail = func(int) bool { return true }
	s, rows, err = b.imported(t.Context(), "jsonl", many(t, maxRecords+10))
	if err == nil || s.Unsent != maxRecords || rows[0].Status != StatusUnsent {
		t.Errorf("%v, %s", err, s.line())
	}
}

// TestConflicts: the same id with other bytes is recorded, and reported.
func TestConflicts(t *testing.T) {
	b := newBook(t)
	name := filepath.Join(t.TempDir(), "two.jsonl")
	text := `{"id":"1","type":"a.b","actor":{"type":"system"}}` + "\n" + `{"id":"1","type":"a.c","actor":{"type":"system"}}` + "\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, rows, err := b.imported(t.Context(), "jsonl", name)
	if err != nil || s.Conflicts != 1 || !s.Whole() || rows[0].Status != StatusConflict || rows[0].Line != 2 {
		t.Errorf("%v, %s, %+v", err, s.line(), rows)
	}
}

// TestFolders: gzip by its magic number, folders by names, broken files beside whole ones.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	event := func(id string) []byte {
		return []byte(`{"Records":[{"eventID":"` + id + `","eventTime":"2026-03-04T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"A","userIdentity":{"arn":"arn:x"}}]}`)
	}
	zip := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	write("2026/a.json", event("a"))
	write("2026/b.json.gz", zip(event("b")))
	write("2026/c.json", zip(event("c"))) // called otherwise
	write("2026/cut.json.gz", zip(event("d"))[:60])
	write("LICENSE", []byte("text"))
	b := newBook(t)
	s, rows, err := b.imported(t.Context(), "cloudtrail", dir)
	if want := "4 files, 3 recorded, 0 duplicates, 0 conflicts, 0 refused, 0 unknown, 0 unsent, 0 known, 1 failed, 1 passed over"; err != nil || s.line() != want || s.Whole() {
		t.Errorf("%v, %s, want %s", err, s.line(), want)
	}
	var failed, passed bool
	for _, r := range rows {
		failed = failed || r.Status == StatusFailed && strings.HasSuffix(r.File, "cut.json.gz") && strings.Contains(r.Detail, "unexpected EOF")
		passed = passed || r.Status == StatusPassedOver && strings.HasSuffix(r.File, "LICENSE")
	}
	if !failed || !passed {
		t.Errorf("the report says %+v", rows)
	}
	// A gzip file is told apart from what it holds: another SHA-256, the same records.
	write("2026/b.json", event("b"))
	if s, _, err = b.imported(t.Context(), "cloudtrail", filepath.Join(dir, "2026/b.json")); err != nil || s.Duplicates != 1 || s.Known != 0 {
		t.Errorf("%v, %s", err, s.line())
	}
}

// TestReportFails: an import that can't say what it refused stops.
func TestReportFails(t *testing.T) {
	b := newBook(t)
	f := mustFormat(t, "jsonl")
	files := []File{Stdin(strings.NewReader("{}\n" + `{"id":"1","type":"a.b","actor":{"type":"system"}}`))}
	full := writerFunc(func([]byte) (int, error) { return 0, io.ErrShortWrite })
	if _, err := Run(t.Context(), files, nil, Options{Client: b.client, Workspace: "ws_7", Format: f, Report: full}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestDoubtful: what is in the ledger and can't be read as was meant is named with its place,
// and is no reason to fail.
func TestDoubtful(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dated.jsonl")
	line := func(id, date string) string {
		return `{"id":"` + id + `","type":"a.b","occurred_at":"` + date + `","actor":{"type":"system"}}` + "\n"
	}
	text := line("1", "2026-01-01T00:00:00Z") + line("2", "2026-01-01 00:00") + line("3", "1767225600")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, rows, err := newBook(t).imported(t.Context(), "jsonl", name)
	if err != nil || !s.Whole() || s.Recorded != 3 {
		t.Fatalf("%v %s", err, s.line())
	}
	var said strings.Builder
	if err := s.Print(&said, "the report"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\ndoubtful, unreadable_date: 2\n  " + name + ":2:1: at /occurred_at: this is no RFC 3339", "is in the report"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in\n%s", want, said.String())
		}
	}
	if len(rows) != 3 || rows[0].Status != StatusDoubtful || rows[0].Line != 2 || rows[1].Line != 3 || rows[1].Code != "unreadable_date" || rows[2].Status != StatusImported {
		t.Errorf("%+v", rows)
	}
}
