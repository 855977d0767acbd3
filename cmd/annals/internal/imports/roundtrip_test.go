package imports_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/imports"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/service"
	"annals/ledger/chain"
	reading "annals/query/client"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// house is a running server with its own broker.
type house struct {
	t     *testing.T
	s     *service.Service
	c     *client.Client
	data  string
	found map[string]int // rows that filters found, by filter, of all rounds
}

func newHouse(t *testing.T) *house {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s, err := service.Start(t.Context(), service.Options{Data: data, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(s.URL(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &house{t: t, s: s, c: c, data: data}
}

// ask puts a request to a workspace's face, once all that was recorded is indexed.
func (h *house) ask(workspace, method, path, body string) []byte {
	h.t.Helper()
	if err := h.s.Projections().Wait(h.t.Context(), h.s.Ledger().Head().Size); err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.s.URL()+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Annals-Workspace", workspace)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		h.t.Fatalf("%s %s: %s %v %s", method, path, res.Status, err, b)
	}
	return b
}

// imported imports a file twice: the first time all of it is recorded, the second time
// all of it is there.
func (h *house) imported(workspace, format string, text []byte, records int) {
	h.t.Helper()
	h.importedBy(nil, workspace, format, text, records)
}

// importedBy does so by the labels of a catalogue.
func (h *house) importedBy(labels *imports.Labels, workspace, format string, text []byte, records int) {
	h.t.Helper()
	f, err := imports.FormatNamed(format)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		var report bytes.Buffer
		s, err := imports.Run(h.t.Context(), []imports.File{imports.Stdin(bytes.NewReader(text))}, nil, imports.Options{Client: h.c, Workspace: workspace, Format: f, Labels: labels, Report: &report})
		if err != nil || !s.Whole() || s.Records() != records || !again && s.Recorded != records || again && s.Duplicates != records {
			h.t.Fatalf("%s, again %v: %v, %+v, want %d\n%s\n%s", format, again, err, s.Counts, records, report.String(), text)
		}
	}
}

// teller makes up records.
type teller struct{ *rand.Rand }

func (g teller) chance(percent int) bool { return g.IntN(100) < percent }

func (g teller) text() string {
	return []string{
		"plain", "Dana Díaz", "=1+1", "'quoted", "-", "a/b", "..", "100%", "a\"b\\c", "line\nfeed", "<b>&amp;", "😀 \u202e x", "007", "12", "a;b, c", "\t", "é%2F",
	}[g.IntN(17)]
}

func (g teller) maybe(percent int, m map[string]any, name string, value any) {
	if g.chance(percent) {
		m[name] = value
	}
}

// when is a time of the last eighty days, in some zone, more or less exact, not in the
// last of them.
func (g teller) when() string {
	t := time.Now().Add(-24 * time.Hour).Add(-time.Duration(g.Int64N(int64(79 * 24 * time.Hour))))
	t = t.Truncate([]time.Duration{time.Nanosecond, time.Millisecond, time.Second, time.Hour}[g.IntN(4)])
	return t.In([]*time.Location{time.UTC, time.FixedZone("", 7200), time.FixedZone("", -12600)}[g.IntN(3)]).Format(time.RFC3339Nano)
}

func (g teller) actor() map[string]any {
	a := map[string]any{"type": "user", "id": []string{"1", "2", "007", "usr_dana", "9223372036854775808", g.text()}[g.IntN(6)]}
	if g.chance(15) {
		a = map[string]any{"type": []string{"system", "anonymous"}[g.IntN(2)]}
	}
	g.maybe(60, a, "name", g.text())
	g.maybe(40, a, "login", g.text())
	g.maybe(20, a, "email", "a@example.com")
	return a
}

// record is one of a type, with what any record may have.
func (g teller) record(types []string) map[string]any {
	r := map[string]any{"type": types[g.IntN(len(types))], "actor": g.actor()}
	g.maybe(80, r, "occurred_at", g.when())
	g.maybe(50, r, "id", strconv.Itoa(g.IntN(1_000_000_000)))
	g.maybe(20, r, "on_behalf_of", map[string]any{"type": "user", "id": g.text(), "name": g.text()})
	g.maybe(60, r, "object", map[string]any{"type": g.text(), "id": g.text(), "name": g.text(), "revision": "03"})
	g.maybe(30, r, "linked", []any{map[string]any{"type": g.text(), "id": g.text(), "revision": g.text()}})
	g.maybe(50, r, "source", []string{"web_ui", "teams", "unknown", g.text()}[g.IntN(4)])
	where := map[string]any{"session_id": g.text()}
	g.maybe(70, where, "ip", []string{"10.255.241.240", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::ffff:10.0.0.1", "no address"}[g.IntN(6)])
	g.maybe(60, r, "context", where)
	g.maybe(40, r, "changes", []any{map[string]any{"field": g.text(), "old": g.text(), "new": nil}, map[string]any{"field": "n", "new": 1}})
	g.maybe(30, r, "reason", map[string]any{"code": g.text(), "details": "a\nb", "commentary": g.text()})
	g.maybe(30, r, "origin", map[string]any{"kind": []string{"cdr", "bulk_import"}[g.IntN(2)], "file_id": g.text(), "line": g.IntN(1 << 40)})
	g.maybe(40, r, "dimensions", map[string]any{"customer": g.text(), "project": g.text()})
	data := map[string]any{"export_data_type": []any{0, "export_image", 4, "none of them"}[g.IntN(4)]}
	g.maybe(50, data, "used_expert_mode", g.chance(50))
	g.maybe(50, data, "method", "GET")
	g.maybe(50, data, "path", "/"+g.text())
	g.maybe(50, data, "status_code", 404)
	g.maybe(50, data, "duration_ms", jsontext.Value("1.50"))
	g.maybe(50, data, "metadata", map[string]any{"n": jsontext.Value("9007199254740993"), "t": g.text()})
	g.maybe(60, r, "data", data)
	return r
}

// settle signs a workspace's catalogue.
func (h *house) settle(workspace, document string) {
	h.t.Helper()
	folder, err := keys.Load(filepath.Join(h.data, datadir.Keys))
	if err != nil {
		h.t.Fatal(err)
	}
	operator, err := folder.First(chain.RoleOperator)
	if err != nil {
		h.t.Fatal(err)
	}
	for {
		at, is, err := control.LookCatalogue(h.t.Context(), h.c, workspace)
		if err != nil {
			h.t.Fatal(err)
		}
		_, err = control.Submit(h.t.Context(), h.c, control.SealCatalogue(at, is.Tag, []byte(document), operator))
		if refused, ok := errors.AsType[*reading.Problem](err); ok && refused.Code == "control_raced" {
			continue // a mark came first
		}
		if err != nil {
			h.t.Fatal(err)
		}
		return
	}
}

// fill records some in a workspace.
func (h *house) fill(g teller, workspace string, n int, one func() any) {
	h.t.Helper()
	var lines [][]byte
	for range n {
		b, err := json.Marshal(one(), json.Deterministic(true))
		if err != nil {
			h.t.Fatal(err)
		}
		lines = append(lines, b)
	}
	outcomes, err := h.c.Publish(h.t.Context(), workspace, lines, true)
	if err != nil {
		h.t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != "recorded" && o.Status != "conflict" {
			h.t.Fatalf("%+v: %s", o, lines[i])
		}
	}
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

// without takes members out of objects.
func without(list []map[string]any, names ...string) []map[string]any {
	for _, m := range list {
		for _, name := range names {
			delete(m, name)
		}
	}
	return list
}

// same holds what is shown of what was imported to what was exported. Nothing is not the
// same as nothing.
func (h *house) same(what string, got, want any) {
	h.t.Helper()
	if list := reflect.ValueOf(want); list.Kind() == reflect.Slice && list.Len() == 0 {
		h.t.Fatalf("%s was empty: nothing is compared", what)
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got, json.Deterministic(true), jsontext.Multiline(true))
		b, _ := json.Marshal(want, json.Deterministic(true), jsontext.Multiline(true))
		h.t.Fatalf("%s, imported, is\n%s\nand was\n%s", what, a, b)
	}
}

// trips are the ways out and in again: each exports a workspace's page, imports it into
// another, and compares the pages, but for what docs/import.md says becomes another.
var trips = map[string]func(h *house, g teller, from, to string, n int){
	"activity_tracking": func(h *house, g teller, from, to string, n int) {
		const path = "/api/v1/activity/events?first=oldest&limit=1000"
		h.fill(g, from, n, func() any { return g.record([]string{"frontend_click", "user_login", "api_request", "server_error"}) })
		type page struct {
			Events []map[string]any
			Total  int
		}
		read := func(workspace string) (raw []byte, rows []map[string]any) {
			raw = h.ask(workspace, "GET", path, "")
			return raw, without(decode[page](h.t, bytes.Replace(raw, []byte(`"events"`), []byte(`"Events"`), 1)).Events, "id", "created_at")
		}
		raw, want := read(from)
		h.imported(to, "activity_tracking", raw, n)
		_, got := read(to)
		h.same("activity_events", got, want)
	},
	"user_activity": func(h *house, g teller, from, to string, n int) {
		var types []string
		for _, d := range activity.Catalogue().UserActivities() {
			types = append(types, d.Slug, "user.data_exported")
		}
		h.fill(g, from, 1, func() any { // what the narrowest filter finds
			return map[string]any{"type": "user.data_exported", "actor": map[string]any{"type": "user", "id": "1"}, "data": map[string]any{"export_data_type": 4}}
		})
		h.fill(g, from, n-1, func() any { return g.record(types) })
		type page struct {
			TotalRecords int              `json:"totalRecords"`
			Rows         []map[string]any `json:"rows"`
		}
		read := func(workspace, body string) (raw []byte, p page) {
			raw = h.ask(workspace, "POST", "/api/rest/v1/management/user/activity?pageSize=1000", body)
			p = decode[page](h.t, raw)
			if !slices.IsSortedFunc(p.Rows, func(a, b map[string]any) int {
				return cmp.Compare(b["eventDate"].(string), a["eventDate"].(string))
			}) {
				h.t.Errorf("not newest first: %s", raw)
			}
			slices.SortFunc(p.Rows, func(a, b map[string]any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			return raw, p
		}
		raw, _ := read(from, "{}")
		h.imported(to, "user_activity", raw, n)
		for _, body := range []string{
			"{}", `{"userIDs":[1,2]}`, `{"activity":8}`, `{"activity":8,"exportDataType":0}`, `{"activity":8,"exportDataType":2}`, `{"activity":8,"exportDataType":4,"userIDs":[1]}`, `{"source":6}`, `{"source":11}`,
		} {
			_, want := read(from, body)
			_, got := read(to, body)
			if body == "{}" && len(want.Rows) != n {
				h.t.Fatalf("%d of %d rows", len(want.Rows), n)
			}
			h.found[body] += len(want.Rows)
			h.same("user activity by "+body, got, want)
		}
	},
	"user_activity_log": func(h *house, g teller, from, to string, n int) {
		h.fill(g, from, n, func() any { return g.record([]string{"service.updated", "user_login"}) })
		read := func(workspace string) (raw []byte, rows []map[string]any) {
			raw = h.ask(workspace, "GET", "/backend/api/v1/userActivityLog/?limit=1000", "")
			rows = decode[[]map[string]any](h.t, raw)
			return raw, without(slices.DeleteFunc(rows, func(m map[string]any) bool { return m["activityType"] == "file.imported" }), "id")
		}
		raw, want := read(from)
		h.imported(to, "user_activity_log", raw, n)
		_, got := read(to)
		h.same("the user activity log", got, want)
	},
	"user_activity_log by labels": func(h *house, g teller, from, to string, n int) {
		from, to = strings.ReplaceAll(from, " ", "_"), strings.ReplaceAll(to, " ", "_")
		const document = `{"types":[
			{"slug":"service.updated","label":"Service Updated: 100%","object":"service","sentence":"{actor} updated {object}"},
			{"slug":"user_login","label":"Login"}],
			"reasons":[{"code":"plain","label":"Nothing special"},{"code":"007","label":"plain"}]}`
		labels, err := imports.ReadLabels([]string{"catalogue.json"}, [][]byte{[]byte(document)})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, workspace := range []string{from, to} {
			h.settle(workspace, document)
		}
		h.fill(g, from, 1, func() any {
			return map[string]any{"type": "user_login", "actor": map[string]any{"type": "user", "id": "1"}, "reason": map[string]any{"code": "007"}}
		})
		h.fill(g, from, n-1, func() any { return g.record([]string{"service.updated", "user_login", "of.their.own"}) })
		read := func(workspace, question string) (raw []byte, rows []map[string]any) {
			raw = h.ask(workspace, "GET", "/backend/api/v1/userActivityLog/?limit=1000"+question, "")
			rows = decode[[]map[string]any](h.t, raw)
			return raw, without(slices.DeleteFunc(rows, func(m map[string]any) bool { return m["activityType"] == "file.imported" }), "id")
		}
		raw, _ := read(from, "")
		h.importedBy(labels, to, "user_activity_log", raw, n)
		for _, question := range []string{"", "&activityType=Login", "&activityType=service.updated", "&activityReason=007", "&activityReason=Nothing+special"} {
			_, want := read(from, question)
			_, got := read(to, question)
			h.found[question] += len(want)
			if len(want) > 0 {
				h.same("the user activity log by"+question, got, want)
			} else if len(got) > 0 {
				h.t.Fatalf("%s found %v, and nothing before", question, got)
			}
		}
	},
	"useractivities": func(h *house, g teller, from, to string, n int) {
		for range n {
			a := map[string]any{}
			g.maybe(70, a, "user_id", []any{7, g.text(), nil, true}[g.IntN(4)])
			g.maybe(50, a, "object_id", g.text())
			g.maybe(50, a, "created_at", []any{g.when(), "yesterday", 17}[g.IntN(3)])
			g.maybe(50, a, "id", strconv.Itoa(g.IntN(1_000_000_000)))
			g.maybe(50, a, "data", g.text())
			b, err := json.Marshal(a)
			if err != nil {
				h.t.Fatal(err)
			}
			h.ask(from, "POST", "/api/v1/useractivities?wait=recorded", string(b))
		}
		read := func(workspace string) (raw []byte, list []jsontext.Value) {
			raw = h.ask(workspace, "GET", "/api/v1/useractivities?first=oldest&limit=1000", "")
			return raw, decode[struct {
				List []jsontext.Value `json:"useractivities"`
			}](h.t, raw).List
		}
		raw, want := read(from)
		h.imported(to, "useractivities", raw, n)
		_, got := read(to)
		h.same("activities of the model", got, want)
	},
	"timeline": func(h *house, g teller, from, to string, n int) {
		h.fill(g, from, n, func() any {
			r := g.record([]string{"app.renamed", "station.created", "of.their.own"})
			g.maybe(30, r, "workspace", from)
			g.maybe(30, r, "of_their_own", map[string]any{"n": jsontext.Value("1.0")})
			return r
		})
		type page struct {
			Records []struct {
				ULID       string         `json:"ulid"`
				RecordedAt string         `json:"recorded_at"`
				Record     map[string]any `json:"record"`
			} `json:"records"`
		}
		path := func(workspace string) string {
			return "/v1/workspaces/" + workspace + "/timeline?first=oldest&limit=1000&type!=file.imported"
		}
		raw := h.ask(from, "GET", path(from), "")
		h.imported(to, "app_platform", raw, n)
		want, got := decode[page](h.t, raw), decode[page](h.t, h.ask(to, "GET", path(to), ""))
		if len(got.Records) != n || len(want.Records) != n {
			h.t.Fatalf("%d of %d records, want %d", len(got.Records), len(want.Records), n)
		}
		for i := range want.Records {
			was, is := want.Records[i].Record, got.Records[i].Record
			origin, _ := is["imported_from"].(map[string]any)
			if origin["ulid"] != want.Records[i].ULID || origin["workspace"] != from {
				h.t.Errorf("%v does not say where it is from", is)
			}
			delete(is, "imported_from")
			delete(was, "workspace")
			if was["id"] == nil {
				was["id"] = origin["ulid"]
			}
			if was["occurred_at"] == nil {
				was["occurred_at"] = want.Records[i].RecordedAt
			}
			h.same("a timeline's record", is, was)
		}
	},
	"feed": func(h *house, g teller, from, to string, n int) {
		h.fill(g, from, n, func() any { return g.record([]string{"app.renamed", "station.created", "of.their.own"}) })
		read := func(workspace string) (raw []byte, items []map[string]any) {
			raw = h.ask(workspace, "GET", "/v1/workspaces/"+workspace+"/feed?tz=Europe/Berlin&first=oldest&limit=1000&type!=file.imported", "")
			for _, day := range decode[struct {
				Days []struct {
					Items []map[string]any `json:"items"`
				} `json:"days"`
			}](h.t, raw).Days {
				for _, item := range day.Items {
					links := item["links"].(map[string]any)
					delete(links, "record")
					for name, path := range links {
						links[name] = strings.TrimPrefix(path.(string), "/v1/workspaces/"+workspace)
					}
					items = append(items, item)
				}
			}
			return raw, without(items, "ulid", "recorded_at", "sentence", "kind", "grade")
		}
		raw, want := read(from)
		h.imported(to, "app_platform", raw, n)
		_, got := read(to)
		h.same("a feed", got, want)
	},
	"table": func(h *house, g teller, from, to string, n int) {
		h.fill(g, from, n, func() any { return g.record([]string{"app.renamed", "station.created", "of.their.own"}) })
		other := []string{"recorded_at", "sentence", "changes", "grade", "kind", "ulid"}
		read := func(workspace string) (raw []byte, rows [][]string) {
			raw = h.ask(workspace, "GET", "/v1/workspaces/"+workspace+"/feed.csv?first=oldest&type!=file.imported", "")
			rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
			if err != nil {
				h.t.Fatal(err)
			}
			for i := len(rows[0]) - 1; i >= 0; i-- {
				if slices.Contains(other, rows[0][i]) {
					for r := range rows {
						rows[r] = slices.Delete(slices.Clone(rows[r]), i, i+1)
					}
				}
			}
			return raw, rows
		}
		raw, want := read(from)
		h.imported(to, "app_platform", raw, n)
		_, got := read(to)
		h.same("a feed's table", got, want)
	},
}

// TestRoundTrips: what a face exports and is imported elsewhere is shown there as it was,
// whatever the records say.
func TestRoundTrips(t *testing.T) {
	rounds, n := 6, 40
	if testing.Short() {
		rounds, n = 1, 25
	}
	h := newHouse(t)
	for name, trip := range trips {
		t.Run(name, func(t *testing.T) {
			h := &house{t, h.s, h.c, h.data, map[string]int{}}
			for round := range rounds {
				g := teller{rand.New(rand.NewPCG(uint64(round), 24))}
				trip(h, g, fmt.Sprintf("%s_%d", name, round), fmt.Sprintf("%s_%d_again", name, round), n)
			}
			for filter, rows := range h.found {
				if rows == 0 {
					t.Errorf("%s found nothing in any round: nothing was compared", filter)
				}
			}
		})
	}
}
