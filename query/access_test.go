package query

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ingest/door"
	"annals/internal/access"

	"github.com/go-json-experiment/json"
)

// book mints keys for tests.
type book struct{ *access.Book }

// behind serves behind access.
func behind(t testing.TB, o Options) (*served, book) {
	t.Helper()
	b, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	o.Keys = b
	o.Access = mustGate(t, access.Options{Keys: b, EmbedKey: make([]byte, 32)})
	s := serve(t, o)
	withDoor(s)
	return s, book{b}
}

func (b book) mint(t testing.TB, scopes access.Scopes, workspaces ...string) string {
	t.Helper()
	_, token := b.key(t, scopes, workspaces...)
	return token
}

func (b book) key(t testing.TB, scopes access.Scopes, workspaces ...string) (access.Key, string) {
	t.Helper()
	w, err := access.ParseWorkspaces(workspaces)
	if err != nil {
		t.Fatal(err)
	}
	k, token, err := b.Add(access.Request{Name: "test", Scopes: scopes, Workspaces: w, Life: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k, token
}

// openPaths is all that is answered without a token. What is added here shows
// nothing of what was recorded.
var openPaths = []string{"/healthz", "/readyz", "/openapi.json", "/openapi.yaml", "/docs"}

// paths fills a pattern's wildcards for a workspace.
func filled(pattern, ws string, id fmt.Stringer) string {
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.NewReplacer("{ws}", ws, "{ulid}", id.String(), "{level}", "0", "{n}", "000.p/1", "{type}", "app").Replace(path)
	if strings.HasPrefix(path, "/v1/access/") || strings.Contains(path, "/embed-tokens/") {
		path = strings.ReplaceAll(path, "{id}", "0011223344556677")
	}
	path = strings.ReplaceAll(path, "{id}", "u1")
	if strings.HasSuffix(path, "/counts") {
		path += "?by=kind"
	}
	if path == "/v1/consistency" {
		path += "?from=1&to=1"
	}
	return method + " " + path
}

// TestEveryDoor asks at every door that is registered, the recording one among
// them, without a token, with a bad one, with one for nothing, and with one for
// another workspace.
func TestEveryDoor(t *testing.T) {
	s, keys := behind(t, Options{})
	s.publish("ws_a", `{"type":"t","actor":{"id":"u1"}}`)
	s.settle()
	leaf, _, err := s.api.o.Ledger.Get(2)
	if err != nil {
		t.Fatal(err)
	}
	bad := keys.mint(t, access.All, access.Everywhere)
	bad = bad[:len(bad)-4] + "AAAA"
	other := keys.mint(t, access.All, "ws_b")
	for _, pattern := range s.api.mux.patterns {
		method, path, _ := strings.Cut(filled(pattern, "ws_a", leaf.Entry.ULID), " ")
		ask := func(token string) answered {
			s.token = token
			return s.send(method, path, `{}`, "Content-Type", "application/json")
		}
		bare, _, _ := strings.Cut(path, "?")
		if slices.Contains(openPaths, bare) {
			if got := ask(""); got.status != http.StatusOK {
				t.Errorf("%s: %d without a token, want 200", pattern, got.status)
			}
			continue
		}
		got := ask("")
		unknown := "unauthenticated"
		if pattern == "POST "+door.TrackingPath {
			unknown = "UNAUTHORIZED" // as it is published
		}
		got.problem(t, http.StatusUnauthorized, unknown)
		if c := got.header.Get("WWW-Authenticate"); c != `Bearer realm="annals"` {
			t.Errorf("%s: WWW-Authenticate: %s", pattern, c)
		}
		got = ask(bad)
		got.problem(t, http.StatusUnauthorized, unknown)
		if c := got.header.Get("WWW-Authenticate"); c != `Bearer realm="annals", error="invalid_token"` {
			t.Errorf("%s: WWW-Authenticate: %s", pattern, c)
		}
		// Erase is a scope that hardly anything takes, but for what every token may see.
		nothing := access.Erase
		if bare == "/v1/control" || strings.HasSuffix(bare, "/erasure") {
			nothing = access.Record
		}
		if got := ask(keys.mint(t, nothing, access.Everywhere)); got.status != http.StatusForbidden && !slices.Contains([]string{"/checkpoint", "/witnessed", "/keys", "/v1/ledger"}, bare) {
			t.Errorf("%s: %d with a token for nothing of this, want 403", pattern, got.status)
		}
		got = ask(other)
		switch {
		case strings.Contains(path, "/records/"):
			got.problem(t, http.StatusNotFound, "no_such_record")
		case strings.Contains(path, "ws_a"):
			got.problem(t, http.StatusNotFound, "no_such_workspace")
		case slices.Contains([]string{"/v1/control", "/v1/expiry", "/v1/indexes/rebuild", "/metrics", "/tile/entries/000.p/1", "/tile/0/000.p/1"}, bare):
			got.problem(t, http.StatusForbidden, "missing_scope")
		}
		if cache := got.header.Get("Cache-Control"); strings.Contains(cache, "public") {
			t.Errorf("%s: Cache-Control: %s", pattern, cache)
		}
	}
}

var varying = regexp.MustCompile(`"request_id":"[^"]*"`)

// TestTwo404s compares the answers for a record that may not be seen with those for
// one that isn't there.
func TestTwo404s(t *testing.T) {
	s, keys := behind(t, Options{})
	s.publish("ws_a", `{"type":"t","actor":{"id":"u1"}}`)
	s.publish("ws_b", `{"type":"t","actor":{"id":"u1"}}`)
	s.settle()
	there, _, err := s.api.o.Ledger.Get(2)
	if err != nil {
		t.Fatal(err)
	}
	absent := there.Entry.ULID
	absent[15] = 99
	s.token = keys.mint(t, access.Read, "ws_b")
	text := func(ws string, id fmt.Stringer) string {
		got := s.do("GET", "/v1/workspaces/"+ws+"/records/"+id.String())
		if got.status != http.StatusNotFound {
			t.Errorf("%s of %s: %d", id, ws, got.status)
		}
		body := varying.ReplaceAllString(string(got.body), "")
		got.header.Del("X-Request-Id")
		got.header.Del("Date")
		got.header.Del("RateLimit") // it counts down
		body = strings.NewReplacer(id.String(), "ULID", "/"+ws+"/", "/WS/").Replace(body)
		return fmt.Sprint(got.header, body)
	}
	want := text("ws_b", absent)
	for _, other := range []string{text("ws_b", there.Entry.ULID), text("ws_a", there.Entry.ULID), text("ws_a", absent), text("ws_n", absent)} {
		if other != want {
			t.Errorf("told apart:\n%s\n%s", other, want)
		}
	}
}

// TestTokenInURL: a token in a URL lets nobody in, is refused wherever it stands,
// and is quoted nowhere.
func TestTokenInURL(t *testing.T) {
	s, keys := behind(t, Options{})
	token := keys.mint(t, access.All, access.Everywhere)
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c3JfZGFuYSJ9.c2ln"
	for _, path := range []string{
		"/v1/workspaces/ws_a/timeline?access_token=x",
		"/v1/workspaces/ws_a/timeline?TOKEN=x",
		"/v1/workspaces/ws_a/timeline?api%5Fkey=x",
		"/v1/workspaces/ws_a/timeline?user=" + token,
		"/v1/workspaces/ws_a/timeline?cursor=" + jwt,
		"/v1/workspaces/ws_a/timeline?user=" + strings.ReplaceAll(token, "_", "%5F"),
		"/v1/workspaces/ws_a/users/" + token + "/timeline",
		"/v1/access/keys/" + token,
		"/" + token, "/healthz?" + token, "/" + jwt,
	} {
		for _, bearer := range []string{"", token} {
			s.token = bearer
			got := s.do("GET", path)
			got.problem(t, http.StatusBadRequest, "token_in_url")
			if all := fmt.Sprint(got.header, string(got.body)); strings.Contains(all, token[25:]) || strings.Contains(all, jwt[30:]) {
				t.Errorf("%s: the answer quotes the token: %s", path, all)
			}
		}
	}
	for name := range parameters {
		if access.CheckURL(mustURL(t, "/?"+name+"=x")) != nil {
			t.Errorf("the parameter %s is taken for a token", name)
		}
	}
}

// TestAdministration mints and revokes over the API, and keeps an administrator of
// one workspace to it.
func TestAdministration(t *testing.T) {
	s, keys := behind(t, Options{})
	s.token = keys.mint(t, access.Admin, access.Everywhere)
	post := func(body string) answered {
		return s.send("POST", "/v1/access/keys", body, "Content-Type", "application/json")
	}
	mint := func(body string) Minted {
		t.Helper()
		got := post(body)
		var m Minted
		if err := json.Unmarshal(got.body, &m); err != nil || got.status != http.StatusCreated || got.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%v %d %s", err, got.status, got.body)
		}
		return m
	}
	tenant := mint(`{"name":"tenant's","scopes":["admin","read"],"workspaces":["ws_a"]}`)
	if in := time.Until(tenant.Key.Expires); in > access.DefaultLife || in < access.DefaultLife-time.Hour {
		t.Errorf("it expires in %v", in)
	}
	for body, code := range map[string]string{
		`{"name":"x","scopes":["reed"],"workspaces":["ws_a"]}`:                  "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["_x"]}`:                    "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["*","ws_a"]}`:              "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":[]}`:                        "invalid_body",
		`{"name":"","scopes":["read"],"workspaces":["*"]}`:                      "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["*"],"expires_in":-1}`:     "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["*"],"scope":["admin"]}`:   "invalid_body",
		`{"name":"x","NAME":"y","scopes":["read"],"workspaces":["*"]}`:          "invalid_body",
		`{"name":"x","name":"y","scopes":["read"],"workspaces":["*"]}`:          "invalid_body",
		`{"name":"` + tenant.Token + `","scopes":["read"],"workspaces":["*"]}`:  "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["*"],"expires_in":999e9}`:  "invalid_body",
		`{"name":"x\u0000","scopes":["read"],"workspaces":["*"]}`:               "invalid_body",
		`{"name":"x","subject":" y","scopes":["read"],"workspaces":["ws_a"]}`:   "invalid_body",
		`{"name":"x","scopes":["read"],"workspaces":["ws_a"],"expires_in":"5"}`: "invalid_body",
	} {
		post(body).problem(t, http.StatusUnprocessableEntity, code)
	}
	list := func() string { return string(s.do("GET", "/v1/access/keys").body) }
	if all := list(); strings.Contains(all, tenant.Token[21:]) || !strings.Contains(all, `"tenant's"`) {
		t.Errorf("the list: %s", all)
	}
	everybody := s.token

	s.token = tenant.Token
	if all := list(); strings.Count(all, `"id"`) != 1 {
		t.Errorf("a tenant's list: %s", all)
	}
	post(`{"name":"x","scopes":["read"],"workspaces":["*"]}`).problem(t, http.StatusForbidden, "missing_scope")
	post(`{"name":"x","scopes":["read"],"workspaces":["ws_a","ws_b"]}`).problem(t, http.StatusNotFound, "no_such_workspace")
	reader := mint(`{"name":"reader","scopes":["read"],"workspaces":["ws_a"],"expires_in":60}`)
	first := keys.List(mustWorkspaces(t, access.Everywhere))[0].ID
	s.refused(http.StatusNotFound, "no_such_key", "DELETE", "/v1/access/keys/"+first)
	s.refused(http.StatusNotFound, "no_such_key", "DELETE", "/v1/access/keys/0011223344556677")

	s.token = reader.Token
	s.refused(http.StatusForbidden, "missing_scope", "GET", "/v1/access/keys")
	if got := s.do("GET", "/v1/workspaces/ws_a/timeline"); got.status != http.StatusOK {
		t.Errorf("the reader: %d %s", got.status, got.body)
	}
	s.token = tenant.Token
	for range 2 {
		if got := s.do("DELETE", "/v1/access/keys/"+reader.Key.ID); got.status != http.StatusOK || !strings.Contains(string(got.body), `"state":"revoked"`) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	s.token = reader.Token
	s.refused(http.StatusUnauthorized, "unauthenticated", "GET", "/v1/workspaces/ws_a/timeline")

	// A page of another site can't make an administrator's browser do it.
	s.token = everybody
	got := s.send("POST", "/v1/access/keys", `{"name":"x","scopes":["read"],"workspaces":["*"]}`, "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")
	got.problem(t, http.StatusForbidden, "cross_site")
}

// TestNobodyMintsInDevelopment: where anybody may do everything, the first key would
// be anybody's.
func TestNobodyMintsInDevelopment(t *testing.T) {
	s := serve(t, Options{})
	got := s.send("POST", "/v1/access/keys", `{"name":"x","scopes":["read"],"workspaces":["*"]}`, "Content-Type", "application/json")
	got.problem(t, http.StatusConflict, "access_off")
	s.refused(http.StatusConflict, "access_off", "GET", "/v1/access/keys")
	s.refused(http.StatusConflict, "access_off", "DELETE", "/v1/access/keys/0011223344556677")
}

// TestRevokedTailEnds: a stream ends with the token that opened it.
func TestRevokedTailEnds(t *testing.T) {
	s, keys := behind(t, Options{})
	k, token := keys.key(t, access.Read, "ws_a")
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/workspaces/ws_a/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.client.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() {
		t.Fatal("the stream does not begin")
	}
	if _, err := keys.Revoke(k.ID, mustWorkspaces(t, access.Everywhere), "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to its end, which only the revocation brings
	}
}

func mustWorkspaces(t testing.TB, names ...string) access.Workspaces {
	t.Helper()
	w, err := access.ParseWorkspaces(names)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustGate(t testing.TB, o access.Options) *access.Gate {
	t.Helper()
	g, err := access.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
