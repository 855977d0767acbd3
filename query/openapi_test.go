package query

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"annals/ingest"
	"annals/ingest/door"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// withDoor adds a door that publishes nowhere: only its document is of interest.
func withDoor(s *served) {
	door.Register(s.api.Huma(), door.Options{
		Access: s.api.o.Access,
		Publish: func(context.Context, string, []byte) (func(context.Context) (ingest.Ack, error), error) {
			return func(context.Context) (ingest.Ack, error) { return ingest.Ack{Sequence: 1}, nil }, nil
		},
		Await: func(context.Context, uint64, uint16) (chain.Receipt, error) {
			return chain.Receipt{Entry: chain.Entry{Kind: chain.KindDuplicate, Ref: 1, Index: 2}}, nil
		},
	})
}

// spec is as much of an OpenAPI document as the tests look at.
type spec struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name, In string
			Required bool
		} `json:"parameters"`
		Responses map[string]struct {
			Content map[string]struct{} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
}

func documentOf(t *testing.T, s *served) (spec, []byte) {
	t.Helper()
	a := s.do("GET", "/openapi.json")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var d spec
	if err := json.Unmarshal(a.body, &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	return d, a.body
}

// TestDocumented compares what is documented with what is served, path by path
// and parameter by parameter.
func TestDocumented(t *testing.T) {
	s := serve(t, Options{Version: "1.2.3"})
	withDoor(s)
	d, raw := documentOf(t, s)
	if d.OpenAPI != "3.1.0" || !bytes.Contains(raw, []byte(`"1.2.3"`)) {
		t.Errorf("openapi %q", d.OpenAPI)
	}
	var documented []string
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			documented = append(documented, strings.ToUpper(method)+" "+path)
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operation id %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			for _, p := range op.Parameters {
				if (p.In == "path") != strings.Contains(path, "{"+p.Name+"}") && p.In == "path" || p.Required != (p.In == "path") {
					t.Errorf("%s %s: parameter %+v", method, path, p)
				}
			}
			for _, name := range between(path) {
				if !slices.ContainsFunc(op.Parameters, func(p struct {
					Name, In string
					Required bool
				},
				) bool {
					return p.In == "path" && p.Name == name
				}) {
					t.Errorf("%s %s: {%s} is not documented", method, path, name)
				}
			}
		}
	}
	slices.Sort(documented)
	patterns := slices.Sorted(slices.Values(s.api.mux.patterns))
	if !slices.Equal(documented, patterns) {
		t.Errorf("documented %q\nserved %q", documented, patterns)
	}
}

// between returns the names in braces of a path.
func between(path string) (names []string) {
	for part := range strings.SplitSeq(path, "{") {
		if name, _, ok := strings.Cut(part, "}"); ok {
			names = append(names, name)
		}
	}
	return names
}

// TestAnswersFitTheirSchemas asks for everything there is and holds each answer
// to what the document says of that status and media type.
func TestAnswersFitTheirSchemas(t *testing.T) {
	signs := newSigning(t)
	o := signs.options()
	o.Retired, o.DefaultWorkspace = signs.retired, "ws"
	o.Witnesses = Witnesses{Last: signs.latest, Status: func() *Witnessing {
		return &Witnessing{Size: 3, Need: "witness w", Witnesses: []WitnessStatus{{Name: "w", Size: 3}, {Name: "x", Error: "no answer"}}}
	}}
	o.Due = func(context.Context) ([]DueRule, error) {
		return []DueRule{{Entry: 9, Workspace: "ab", Entries: 3}}, nil
	}
	o.Expire = func(context.Context) error { return nil }
	s := serveOn(t, chaintest.NewKeyed("query"), o)
	withDoor(s)
	signs.publish(s.api.o.Ledger)
	s.fill("ws", 3)
	for range 2 { // a duplicate
		s.stream.Publish("vouched.ws._", `{"door":{"grade":"anonymous","producer":""},"record":{"id":"v","type":"t","actor":{"type":"anonymous"}}}`)
	}
	s.publish("ws", `no record`)
	s.publish("ws", "\xff")
	s.publish("ws", `{"type":"t"}`)
	s.settle()
	ulid := s.page("/v1/workspaces/ws/timeline").Records[0].ULID
	s.publish("ws", `{"type":"t","actor":{"id":"u"},"amends":"`+ulid+`"}`)
	s.settle()
	s.publish("default", `{"type":"useractivity","id":"a","actor":{"type":"anonymous"},"occurred_at":"x","dimensions":{"activity":"a"},"data":{"id":"a","created_at":"x"}}`)
	s.settle()
	s.catalogue("ws", signed("inked"))
	signs.retire()
	signs.publish(s.api.o.Ledger)
	cursor := s.page("/v1/workspaces/ws/timeline?limit=1").NextCursor

	_, raw := documentOf(t, s)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource("https://annals.test/openapi.json", document); err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	const all = "?kind=record,duplicate,conflict,rejection&with=sentence"
	const recordsPath = "/v1/workspaces/{ws}/records"
	for _, q := range []struct{ method, pattern, path, body string }{
		{"GET", "/v1/workspaces/{ws}/timeline", "/v1/workspaces/ws/timeline" + all, ""},
		{"GET", "/v1/workspaces/{ws}/timeline", "/v1/workspaces/_system/timeline?kind=control", ""},
		{"GET", "/v1/workspaces/{ws}/timeline", "/v1/workspaces/ws/timeline?limit=1&cursor=" + cursor, ""},
		{"GET", "/v1/workspaces/{ws}/timeline", "/v1/workspaces/ws/timeline?nonsense=1", ""},
		{"GET", "/v1/workspaces/{ws}/timeline", "/v1/workspaces/ws/timeline?limit=0", ""},
		{"GET", "/v1/workspaces/{ws}/users/{id}/timeline", "/v1/workspaces/ws/users/u0/timeline", ""},
		{"GET", "/v1/workspaces/{ws}/objects/{type}/{id}/history", "/v1/workspaces/ws/objects/app/a0/history", ""},
		{"GET", "/v1/workspaces/{ws}/counts", "/v1/workspaces/ws/counts?by=day&tz=Asia/Kathmandu", ""},
		{"GET", "/v1/workspaces/{ws}/counts", "/v1/workspaces/ws/counts?by=user&top=1", ""},
		{"GET", "/v1/workspaces/{ws}/counts", "/v1/workspaces/ws/counts?by=week", ""},
		{"GET", "/v1/workspaces/{ws}/counts", "/v1/workspaces/ws/counts?by=day&as_of=9999", ""},
		{"GET", "/v1/workspaces/{ws}/tail", "/v1/workspaces/ws/tail?last=0", ""}, // a stream has no schema, and no end
		{"GET", "/v1/workspaces/{ws}/users/{id}/tail", "/v1/workspaces/ws/users/u0/tail?limit=1", ""},
		{"GET", "/v1/workspaces/{ws}/objects/{type}/{id}/tail", "/v1/workspaces/ws/objects/app/a0/tail?after=x", ""},
		{"GET", "/v1/workspaces/{ws}/records/{ulid}", "/v1/workspaces/ws/records/" + ulid, ""},
		{"GET", "/v1/workspaces/{ws}/records/{ulid}", "/v1/workspaces/other/records/" + ulid, ""},
		{"GET", "/v1/workspaces/{ws}/records/{ulid}/proof", "/v1/workspaces/ws/records/" + ulid + "/proof?payload=false", ""},
		{"GET", "/v1/workspaces/{ws}/records/{ulid}/proof", "/v1/workspaces/other/records/" + ulid + "/proof", ""},
		{"GET", "/v1/workspaces/{ws}/head", "/v1/workspaces/ws/head", ""},
		{"GET", "/v1/workspaces/{ws}/head", "/v1/workspaces/_system/head", ""},
		{"GET", "/v1/workspaces/{ws}/entries", "/v1/workspaces/ws/entries?from=1&limit=1&with=payloads", ""},
		{"GET", "/v1/workspaces/{ws}/entries", "/v1/workspaces/ws/entries?with=sentence", ""},
		{"GET", "/v1/workspaces/{ws}/erasure", "/v1/workspaces/ws/erasure?user=u0&along=conflicts", ""},
		{"GET", "/v1/workspaces/{ws}/erasure", "/v1/workspaces/ws/erasure", ""},
		{"GET", "/v1/workspaces/{ws}/erasures", "/v1/workspaces/ws/erasures?proofs=999999", ""},
		{"GET", "/v1/workspaces/{ws}/catalogue", "/v1/workspaces/ws/catalogue", ""},
		{"GET", "/v1/workspaces/{ws}/catalogue", "/v1/workspaces/other/catalogue", ""},
		{"GET", "/v1/workspaces/{ws}/catalogue", "/v1/workspaces/ws/catalogue?as_of=9999", ""},
		{"GET", LogPath, LogPath + "/?limit=2", ""},
		{"GET", LogPath, LogPath + "?nonsense=1", ""},
		{"GET", LogPath + "/{id}", LogPath + "/" + ulid, ""},
		{"GET", LogPath + "/{id}", LogPath + "/x", ""},
		{"GET", "/v1/consistency", "/v1/consistency?from=1&to=2", ""},
		{"GET", "/v1/consistency", "/v1/consistency?from=2&to=1", ""},
		{"GET", "/v1/ledger", "/v1/ledger", ""},
		{"GET", "/checkpoint", "/checkpoint", ""},
		{"GET", "/checkpoint", "/checkpoint?nonsense=1", ""},
		{"GET", "/witnessed", "/witnessed", ""},
		{"GET", "/keys", "/keys", ""},
		{"GET", "/tile/entries/{n}", "/tile/entries/000.p/2", ""},
		{"GET", "/tile/entries/{n}", "/tile/entries/007", ""},
		{"GET", "/tile/{level}/{n}", "/tile/0/000.p/2", ""},
		{"GET", "/tile/{level}/{n}", "/tile/0/000.p/02", ""},
		{"POST", "/v1/control", "/v1/control", "a message"},
		{"POST", "/v1/control", "/v1/control?nonsense=1", ""},
		{"GET", "/v1/expiry", "/v1/expiry", ""},
		{"GET", "/v1/expiry", "/v1/expiry?nonsense=1", ""},
		{"POST", "/v1/expiry", "/v1/expiry", ""},
		{"POST", "/v1/indexes/rebuild", "/v1/indexes/rebuild", ""},
		{"POST", "/v1/indexes/rebuild", "/v1/indexes/rebuild?nonsense=1", ""},
		{"GET", "/v1/ledger", "/v1/ledger", ""}, // rebuilt, or being rebuilt
		{"GET", "/v1/access/keys", "/v1/access/keys", ""},
		{"POST", "/v1/access/keys", "/v1/access/keys", "{}"},
		{"DELETE", "/v1/access/keys/{id}", "/v1/access/keys/0011223344556677", ""},
		{"POST", "/v1/workspaces/{ws}/embed-tokens", "/v1/workspaces/ws/embed-tokens", "{}"},
		{"DELETE", "/v1/workspaces/{ws}/embed-tokens/{id}", "/v1/workspaces/ws/embed-tokens/0011223344556677", ""},
		{"GET", "/healthz", "/healthz", ""},
		{"GET", "/readyz", "/readyz", ""},
		{"GET", "/metrics", "/metrics", ""},
		{"GET", "/openapi.json", "/openapi.json", ""},
		{"GET", "/openapi.yaml", "/openapi.yaml", ""},
		{"GET", "/docs", "/docs", ""},
		{"POST", recordsPath, "/v1/workspaces/ws/records", `[{"type":"t","actor":{"id":"u"}},7]`},
		{"POST", recordsPath, "/v1/workspaces/ws/records?wait=recorded", `[{"type":"t","actor":{"id":"u"}},7]`},
		{"POST", recordsPath, "/v1/workspaces/ws/records", `{"type":"t"}`},
		{"POST", recordsPath, "/v1/workspaces/ws/records", ``},
		{"GET", UserActivitiesPath, UserActivitiesPath, ""},
		{"GET", "/v1/workspaces/{ws}/feed", "/v1/workspaces/ws/feed?kind=record,duplicate,conflict,rejection&tz=Asia/Kathmandu", ""},
		{"GET", "/v1/workspaces/{ws}/feed", "/v1/workspaces/_system/feed?kind=control", ""},
		{"GET", "/v1/workspaces/{ws}/feed", "/v1/workspaces/ws/feed?tz=Nowhere", ""},
		{"GET", "/v1/workspaces/{ws}/feed.csv", "/v1/workspaces/ws/feed.csv?order=occurred", ""},
		{"GET", "/v1/workspaces/{ws}/feed.csv", "/v1/workspaces/ws/feed.csv?limit=1", ""},
		{"GET", "/v1/workspaces/{ws}/objects/{type}/{id}/feed", "/v1/workspaces/ws/objects/app/a0/feed?field=name", ""},
		{"GET", UserActivitiesPath, UserActivitiesPath + "?menu=x", ""},
		{"GET", UserActivitiesPath + "/{id}", UserActivitiesPath + "/a", ""},
		{"GET", UserActivitiesPath + "/{id}", UserActivitiesPath + "/none", ""},
		{"POST", UserActivitiesPath, UserActivitiesPath, `[{"id":"a"},7]`},
		{"POST", UserActivitiesPath, UserActivitiesPath, `7`},
		{"GET", TrackingPath, TrackingPath + "?event_type=t", ""},
		{"GET", TrackingPath, TrackingPath + "?limit=0", ""},
		{"POST", TrackingPath, TrackingPath, `{"type":"t","metadata":{}}`},
		{"POST", TrackingPath, TrackingPath, `{"type":""}`},
		{"POST", UserActivityPath, UserActivityPath, `{}`},
		{"POST", UserActivityPath, UserActivityPath, `{"activity":12}`},
	} {
		asked[q.method+" "+q.pattern] = true
		a := s.send(q.method, q.path, q.body, "Content-Type", "application/json")
		media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
		at := "https://annals.test/openapi.json#/paths/" + escapePointer(q.pattern) + "/" + strings.ToLower(q.method) +
			"/responses/" + strconv.Itoa(a.status) + "/content/" + escapePointer(media) + "/schema"
		schema, err := c.Compile(at)
		if err != nil {
			t.Errorf("%s: %d %s is not documented: %v", q.path, a.status, media, err)
			continue
		}
		if !strings.HasSuffix(media, "json") || media == openAPIJSON {
			continue
		}
		got, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(got); err != nil {
			t.Errorf("%s: %v\n%s", q.path, err, a.body)
		}
	}
	if want := slices.Sorted(slices.Values(s.api.mux.patterns)); !slices.Equal(slices.Sorted(maps.Keys(asked)), want) {
		t.Errorf("asked %q, served %q", slices.Sorted(maps.Keys(asked)), want)
	}
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

func TestDocs(t *testing.T) {
	s := serve(t, Options{})
	withDoor(s)
	page := s.do("GET", "/docs")
	for _, want := range []string{"POST /v1/workspaces/{ws}/records", `id="invalid_cursor"`, `id="missing_actor_id"`} {
		if !strings.Contains(string(page.body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, load := range []string{"src=", "<script", "@import", "<link", "url("} {
		if strings.Contains(string(page.body), load) {
			t.Errorf("the page loads something: %q", load)
		}
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	yaml := s.do("GET", "/openapi.yaml")
	if yaml.status != http.StatusOK || !strings.Contains(string(yaml.body), "\nopenapi: 3.1.0\n") {
		t.Errorf("%d %.60s", yaml.status, yaml.body)
	}
}
