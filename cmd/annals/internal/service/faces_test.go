package service

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/durable"
	"annals/internal/access"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// faceServers are the servers that a row may ask: how each is configured. Each file
// gets its own, with nothing in them. One that has access knows every key of
// [faceTokens].
var faceServers = map[string]struct {
	access bool
	set    func(*Options)
}{
	"":          {},
	"access":    {access: true},
	"anonymous": {access: true, set: func(o *Options) { o.AnonymousWorkspace = "front" }},
	"days":      {set: func(o *Options) { o.ActivityDays = 120 }},
	"session":   {set: func(o *Options) { o.RequireSession = true }},
	"zone":      {set: func(o *Options) { o.Zones = map[string]*time.Location{"default": mustZone("Europe/Berlin")} }},
}

// faceTokens are the keys of servers with access, by the name that rows know them by,
// which is their subject too.
var faceTokens = map[string]access.Request{
	"all":    {Scopes: access.All, Workspaces: workspaces(access.Everywhere)},
	"one":    {Scopes: access.All, Workspaces: workspaces("one")},
	"two":    {Scopes: access.Record | access.Read, Workspaces: workspaces("one", "two")},
	"reader": {Scopes: access.Read, Workspaces: workspaces("one")},
	"writer": {Scopes: access.Record, Workspaces: workspaces("one")},
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func workspaces(names ...string) access.Workspaces {
	w, err := access.ParseWorkspaces(names)
	if err != nil {
		panic(err)
	}
	return w
}

// faceRow is one request, and what its answer has to be: see testdata/faces/README.md.
type faceRow struct {
	Name   string `json:"name"`
	Server string `json:"server"`
	// Catalogue is signed before the request is put.
	Catalogue *struct {
		Workspace string         `json:"workspace"`
		Document  jsontext.Value `json:"document"`
	} `json:"catalogue"`
	Token   string            `json:"token"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    jsontext.Value    `json:"body"`
	Text    *string           `json:"text"`

	Status        int               `json:"status"`
	AnswerHeaders map[string]string `json:"answer_headers"`
	Answer        jsontext.Value    `json:"answer"`
	Save          map[string]string `json:"save"`
}

// TestFaces puts the requests of each table in testdata/faces to a running service,
// and holds the answers to what stands there. It prints how many there are.
func TestFaces(t *testing.T) {
	files, err := filepath.Glob("../../../../testdata/faces/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	all := 0
	for _, file := range files {
		rows := faceRows(t, file)
		all += len(rows)
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Logf("%s: %d rows", name, len(rows))
		t.Run(name, func(t *testing.T) {
			f := &faceRun{servers: map[string]*faceServer{}, saved: faceDays(time.Now())}
			for i := range rows {
				f.row(t, &rows[i])
			}
		})
	}
	t.Logf("%d rows in %d tables", all, len(files))
}

func faceRows(t *testing.T, file string) (rows []faceRow) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	line := 0
	for text := range strings.Lines(string(b)) {
		line++
		var r faceRow
		if err := json.Unmarshal([]byte(text), &r, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s:%d: %v", file, line, err)
		}
		if other := names[r.Name]; r.Name == "" || other != 0 || r.Status == 0 || r.Body != nil && r.Text != nil {
			t.Fatalf("%s:%d: a row has a name of its own (line %d has this one too), a status, and one body at most", file, line, other)
		}
		names[r.Name] = line
		rows = append(rows, r)
	}
	return rows
}

// faceDays are the dates that rows may name: ${day} and ${day-1} to ${day-200}, in
// UTC, as they are when the table begins. Rows keep a day away from what would change at
// midnight.
func faceDays(now time.Time) map[string]string {
	days := map[string]string{}
	for n := range 201 {
		name := "day"
		if n > 0 {
			name = "day-" + strconv.Itoa(n)
		}
		days[name] = now.UTC().AddDate(0, 0, -n).Format(time.DateOnly)
	}
	return days
}

// faceRun is the state of one table: its servers, and what rows saved of answers.
type faceRun struct {
	servers map[string]*faceServer
	saved   map[string]string
}

type faceServer struct {
	s      *Service
	tokens map[string]string
}

func (f *faceRun) server(t *testing.T, name string) *faceServer {
	t.Helper()
	if s := f.servers[name]; s != nil {
		return s
	}
	kind, ok := faceServers[name]
	if !ok {
		t.Fatalf("there is no server %q; there are %q", name, slices.Sorted(maps.Keys(faceServers)))
	}
	o := options(filepath.Join(t.TempDir(), "data"))
	if kind.set != nil {
		kind.set(&o)
	}
	s := &faceServer{}
	if kind.access {
		s.tokens = makeKeys(t, o.Data)
	}
	s.s = mustStart(t, o)
	f.servers[name] = s
	return s
}

func makeKeys(t *testing.T, data string) map[string]string {
	t.Helper()
	if err := durable.Dir(filepath.Dir(accessfile.Path(data))); err != nil {
		t.Fatal(err)
	}
	book, err := accessfile.LoadOrNew(data)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for name, r := range faceTokens {
		r.Name, r.Life = name, time.Hour
		if _, tokens[name], err = book.Add(r, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return tokens
}

// row puts one row's request. Rows of one table come one after the other: what one
// recorded, the next ones may read.
func (f *faceRun) row(t *testing.T, r *faceRow) {
	server := f.server(t, r.Server)
	server.settle(t)
	t.Run(r.Name, func(t *testing.T) {
		if c := r.Catalogue; c != nil {
			if err := settleCatalogue(t, server.s, c.Workspace, string(c.Document)); err != nil {
				t.Fatal(err)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), r.Method, server.s.URL()+f.fill(t, r.Path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Body != nil || r.Text != nil {
			text := string(r.Body)
			if r.Text != nil {
				text = *r.Text
			}
			text = f.fill(t, text)
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			req.Header.Set("Content-Type", "application/json")
		}
		if r.Token != "" {
			token, known := server.tokens[r.Token]
			if !known {
				token = r.Token
			}
			req.Header.Set("Authorization", "Bearer "+token)
		}
		for name, value := range r.Headers {
			if value == "" {
				req.Header.Del(name)
				continue
			}
			req.Header.Set(name, f.fill(t, value))
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		f.check(t, r, res, body)
	})
}

func (f *faceRun) check(t *testing.T, r *faceRow, res *http.Response, body []byte) {
	t.Helper()
	if res.StatusCode != r.Status {
		t.Errorf("the status is %d, not %d", res.StatusCode, r.Status)
	}
	for name, want := range r.AnswerHeaders {
		var got any
		if values := res.Header.Values(name); len(values) > 0 {
			got = strings.Join(values, ", ")
		}
		for _, fault := range differ(name, got, f.fill(t, want)) {
			t.Error(fault)
		}
	}
	if r.Answer != nil {
		var want, got any
		if err := json.Unmarshal([]byte(f.fill(t, string(r.Answer))), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("the answer is not JSON: %v", err)
		}
		for _, fault := range differ("", got, want) {
			t.Error(fault)
		}
	}
	for name, pointer := range r.Save {
		v, err := at(body, jsontext.Pointer(pointer))
		if err != nil {
			t.Errorf("%s can't be saved: %v", pointer, err)
		}
		f.saved[name] = v
	}
	if t.Failed() {
		t.Logf("the answer: %.2000s", body)
	}
}

var (
	faceName   = regexp.MustCompile(`\$\{([a-z0-9_-]+)\}`)
	faceRepeat = regexp.MustCompile(`<([^<>*]+)\*(\d+)>`)
)

// fill puts saved values and repeated text into what a row says.
func (f *faceRun) fill(t *testing.T, s string) string {
	t.Helper()
	s = faceName.ReplaceAllStringFunc(s, func(name string) string {
		value, ok := f.saved[name[2:len(name)-1]]
		if !ok {
			t.Errorf("%s was not saved by a row above", name)
		}
		return value
	})
	return faceRepeat.ReplaceAllStringFunc(s, func(m string) string {
		parts := faceRepeat.FindStringSubmatch(m)
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Repeat(parts[1], n)
	})
}

// differ says how an answer departs from what a row asks for: nothing where it holds
// all that the row names.
func differ(at string, got, want any) (faults []string) {
	switch want := want.(type) {
	case map[string]any:
		has, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, not an object", at, got)}
		}
		_, only := want["(only)"]
		for _, name := range slices.Sorted(maps.Keys(want)) {
			value, there := has[name]
			switch {
			case name == "(only)":
			case want[name] == "(absent)":
				if there {
					faults = append(faults, fmt.Sprintf("%s/%s is there: %v", at, name, value))
				}
			case !there:
				faults = append(faults, fmt.Sprintf("%s/%s is not there", at, name))
			default:
				faults = append(faults, differ(at+"/"+name, value, want[name])...)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(has)) {
			if _, named := want[name]; only && !named {
				faults = append(faults, fmt.Sprintf("%s/%s is there, too: %v", at, name, has[name]))
			}
		}
		return faults
	case []any:
		has, ok := got.([]any)
		if !ok || len(has) != len(want) {
			return []string{fmt.Sprintf("%s is %v, not an array of %d", at, got, len(want))}
		}
		for i := range want {
			faults = append(faults, differ(at+"/"+strconv.Itoa(i), has[i], want[i])...)
		}
		return faults
	case string:
		text, is := got.(string)
		if want == "(any)" {
			return nil
		}
		if pattern, like := strings.CutPrefix(want, "(like) "); like {
			if !is || !regexp.MustCompile(pattern).MatchString(text) {
				return []string{fmt.Sprintf("%s is %v, which is not like %s", at, got, pattern)}
			}
			return nil
		}
	}
	if got != want {
		return []string{fmt.Sprintf("%s is %#v, not %#v", at, got, want)}
	}
	return nil
}

// at returns the value at a pointer; of a string, what it says.
func at(body []byte, p jsontext.Pointer) (string, error) {
	v := jsontext.Value(body)
	for token := range p.Tokens() {
		var err error
		switch v.Kind() {
		case '{':
			var members map[string]jsontext.Value
			err = json.Unmarshal(v, &members)
			v = members[token]
		case '[':
			var elements []jsontext.Value
			var i int
			if i, err = strconv.Atoi(token); err == nil {
				err = json.Unmarshal(v, &elements)
			}
			if err == nil && (i < 0 || i >= len(elements)) {
				err = fmt.Errorf("there are %d", len(elements))
			}
			if err == nil {
				v = elements[i]
			}
		default:
			v = nil
		}
		if err != nil || v == nil {
			return "", fmt.Errorf("there is no %q: %w", token, err)
		}
	}
	if v.Kind() != '"' {
		return string(v), nil
	}
	var s string
	return s, json.Unmarshal(v, &s)
}

// settle waits until all that the stream has is folded, and indexed.
func (f *faceServer) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info, err := f.s.streamInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	head := f.s.Ledger().Head()
	for head.State.Sequence < info.State.LastSeq {
		if head, err = f.s.Ledger().Wait(ctx, head.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.s.Projections().Wait(ctx, head.Size); err != nil {
		t.Fatal(err)
	}
}

// TestFaceRowsAreHeld: what a row asks for and an answer lacks is found.
func TestFaceRowsAreHeld(t *testing.T) {
	const answer = `{"a":1,"b":[{"c":"x"}],"d":null}`
	for want, faults := range map[string]int{
		`{"a":1}`:                                 0,
		`{"a":1,"d":null}`:                        0,
		`{"b":[{"c":"(any)"}]}`:                   0,
		`{"b":[{"c":"(like) ^x$"}]}`:              0,
		`{"z":"(absent)"}`:                        0,
		`{"(only)":1,"a":1,"b":"(any)","d":null}`: 0,
		`{"a":2}`:                                 1,
		`{"a":"1"}`:                               1,
		`{"z":"(any)"}`:                           1,
		`{"a":"(absent)"}`:                        1,
		`{"b":[]}`:                                1,
		`{"b":[{"c":"(like) ^y$"}]}`:              1,
		`{"b":{}}`:                                1,
		`{"(only)":1,"a":1}`:                      2,
		`[]`:                                      1,
	} {
		var w, g any
		if err := json.Unmarshal([]byte(want), &w); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(answer), &g); err != nil {
			t.Fatal(err)
		}
		if found := differ("", g, w); len(found) != faults {
			t.Errorf("%s: %q", want, found)
		}
	}
	if v, err := at([]byte(answer), "/b/0/c"); err != nil || v != "x" {
		t.Errorf("%q %v", v, err)
	}
	if _, err := at([]byte(answer), "/b/1"); err == nil {
		t.Error("what is not there is found")
	}
}
