package query

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/internal/access"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

var pairs = flag.Int("pairs", 5000, "how many random pairs of a token and a request TestWalls asks")

// walled is a server with workspaces whose every text says whose it is, and random
// tokens for it.
type walled struct {
	*served
	r      *rand.Rand
	names  []string // of workspaces; the last has no entries
	ids    []ulid.ULID
	tokens []wallToken
	tags   []string // validators of answers that somebody got
	cursor []string
}

type wallToken struct {
	text       string
	scopes     access.Scopes // 0: the token is not good
	workspaces []string
}

func (t *wallToken) name(ws string) bool {
	return slices.Contains(t.workspaces, ws) || slices.Contains(t.workspaces, access.Everywhere)
}

// secretOf stands in everything that was recorded in a workspace, and in no request.
func secretOf(ws string) string { return "SECRET-of-" + strings.TrimPrefix(ws, "ws_") + "." }

func newWalled(t *testing.T, seed uint64) *walled {
	t.Helper()
	b, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	gate := mustGate(t, access.Options{Keys: b, EmbedKey: make([]byte, 32), Limits: access.Limits{PerSecond: 1e9, Burst: 1 << 30, Refusals: 1e9}})
	w := &walled{
		served: serve(t, Options{Keys: b, Access: gate, Tail: TailOptions{Heartbeat: 10 * time.Millisecond}}),
		r:      rand.New(rand.NewPCG(seed, 1)), names: []string{"ws_a", "ws_b", "ws_c", access.System, "ws_z"},
	}
	withDoor(w.served)
	for i := range 60 {
		ws := w.names[i%3]
		secret := secretOf(ws)
		// What can be asked for by its name is alike in all workspaces; the rest tells.
		w.publish(ws, fmt.Sprintf(`{"id":"e%d","type":"app.x","actor":{"id":"u1","name":%[2]q},"on_behalf_of":{"id":"%[2]s%[1]d"},"object":{"type":"app","id":"u1","name":%[2]q},"outcome":%[2]q,"source":%[2]q,"context":{"session_id":%[2]q},"dimensions":{"org":%[2]q},"data":%[2]q}`, i/9, secret))
	}
	w.publish("ws_a", `{"type":"t","actor":{"x":"`+secretOf("ws_a")+`"}}`) // a rejection
	w.stream.Publish("activity._x._", secretOf(access.System))
	w.settle()
	for i := range w.api.o.Ledger.Head().Size {
		leaf, _, err := w.api.o.Ledger.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		w.ids = append(w.ids, leaf.Entry.ULID)
	}
	w.tokens = append(w.tokens, wallToken{}, wallToken{text: "ann_x"}, wallToken{text: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."})
	for range 60 {
		tok := wallToken{scopes: access.Scopes(1 + w.r.IntN(int(access.All)))}
		switch {
		case w.r.IntN(8) == 0:
			tok.workspaces = []string{access.Everywhere}
		default:
			all := slices.Clone(w.names)
			w.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			tok.workspaces = all[:1+w.r.IntN(2)]
		}
		tok.text = book{b}.mint(t, tok.scopes, tok.workspaces...)
		w.tokens = append(w.tokens, tok)
	}
	// Embed tokens, of a workspace or of one user of it.
	minter, err := gate.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + book{b}.mint(t, access.Read, access.Everywhere)}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, ws := range slices.Concat(w.names, w.names) {
		e := access.Embed{Workspace: ws}
		if i >= len(w.names) {
			e.Only = &access.Only{User: "u1"}
		}
		_, text, err := gate.Mint(minter, e, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		w.tokens = append(w.tokens, wallToken{text, access.Read, []string{ws}})
	}
	// Revoked ones are as none.
	for range 5 {
		k, text := book{b}.key(t, access.All, access.Everywhere)
		if _, err := b.Revoke(k.ID, mustWorkspaces(t, access.Everywhere), "test", time.Now()); err != nil {
			t.Fatal(err)
		}
		w.tokens = append(w.tokens, wallToken{text: text})
	}
	return w
}

// pattern draws what is asked for: whatever is registered.
func (w *walled) pattern() string { return w.api.mux.patterns[w.r.IntN(len(w.api.mux.patterns))] }

// request draws one, for some workspace.
func (w *walled) request() (method, path, ws string, body string, header http.Header) {
	pattern := w.pattern()
	ws = w.names[w.r.IntN(len(w.names))]
	id := w.ids[w.r.IntN(len(w.ids))]
	if w.r.IntN(4) == 0 {
		id[w.r.IntN(16)]++
	}
	method, path, _ = strings.Cut(filled(pattern, ws, id), " ")
	header = http.Header{"Content-Type": {"application/json"}}
	if !strings.Contains(pattern, "{ws}") {
		if w.r.IntN(2) == 0 { // as paths that were published elsewhere need
			header.Set(access.WorkspaceHeader, ws)
		}
		ws = ""
	}
	if method == http.MethodGet && w.r.IntN(10) == 0 {
		method = http.MethodHead
	}
	header.Set("Last-Event-Id", id.String())
	if len(w.tags) > 0 && w.r.IntN(3) == 0 {
		header.Set("If-None-Match", w.tags[w.r.IntN(len(w.tags))])
	}
	if strings.Contains(path, "?") || method == http.MethodPost {
		return method, path, ws, `{"type":"t","actor":{"id":"u1"}}`, header
	}
	q := url.Values{}
	for range w.r.IntN(3) {
		p := [][2]string{
			{"limit", "2"},
			{"user", "u1"},
			{"object", "app/u1"},
			{"kind", "record,duplicate,conflict,rejection,control"},
			{"as_of", "40"},
			{"order", "occurred"},
			{"with", "sentence"},
			{"with", "payloads"},
			{"from", "3"},
			{"grade", "asserted"},
			{"last", "3"},
			{"after", id.String()},
			{"nonsense", "1"},
			{"limit", "x"},
			{"first", "oldest"},
		}[w.r.IntN(15)]
		q.Set(p[0], p[1])
	}
	if len(w.cursor) > 0 && w.r.IntN(4) == 0 {
		q.Set("cursor", w.cursor[w.r.IntN(len(w.cursor))])
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return method, path, ws, "", header
}

// ask answers a request, and returns all that the client sees.
func (w *walled) ask(method, path, body string, header http.Header, token string) (status int, seen string, h http.Header) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = header.Clone()
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	out := httptest.NewRecorder()
	w.api.ServeHTTP(out, r)
	return out.Code, fmt.Sprint(out.Header()) + out.Body.String(), out.Header()
}

// listen answers a request for a tail up to its first heartbeat, over HTTP.
func (w *walled) listen(path string, header http.Header, token string) (status int, seen string) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = header.Clone()
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	seen = fmt.Sprint(res.Header)
	for lines := bufio.NewScanner(res.Body); lines.Scan() && lines.Text() != ":"; {
		seen += lines.Text() + "\n"
	}
	return res.StatusCode, seen
}

// TestWalls asks random requests with random tokens: whatever comes back holds
// nothing of a workspace that the token does not name, and doesn't tell whether there
// is such a workspace.
func TestWalls(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWalled(t, seed)
	shown, hidden := 0, 0
	for range *pairs {
		tok := &w.tokens[w.r.IntN(len(w.tokens))]
		method, path, ws, body, header := w.request()
		bare, _, _ := strings.Cut(path, "?")
		var status int
		var seen string
		var h http.Header
		if tail := strings.HasSuffix(bare, "/tail"); tail && (method != http.MethodGet || w.r.IntN(20) != 0) {
			continue
		} else if tail {
			status, seen = w.listen(path, header, tok.text)
		} else {
			status, seen, h = w.ask(method, path, body, header, tok.text)
		}
		say := func(what string) {
			t.Fatalf("%s: %s %s with %v in %v: %d %.2000s", what, method, path, tok.scopes, tok.workspaces, status, seen)
		}
		for _, other := range w.names {
			if !tok.name(other) && strings.Contains(seen, secretOf(other)) {
				say("it shows something of " + other)
			}
		}
		open := slices.Contains(openPaths, bare)
		switch {
		case open:
		case tok.scopes == 0 && status != http.StatusUnauthorized:
			say("a token that is not good")
		case tok.scopes != 0 && ws != "" && !tok.name(ws):
			hidden++
			if !slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound}, status) {
				say("a workspace that the token doesn't name")
			}
			// A workspace of nobody's is answered in the same words.
			none := "ws_q"
			if ws == access.System { // another length, and a name that has rules of its own
				break
			}
			theirs := strings.Replace(path, "/"+ws+"/", "/"+none+"/", 1)
			_, twin, _ := w.ask(method, theirs, body, header, tok.text)
			if h == nil {
				_, twin = w.listen(theirs, header, tok.text)
			}
			if same(seen, ws) != same(twin, none) {
				say("told apart from a workspace of nobody's: " + twin)
			}
		case status == http.StatusOK && ws != "":
			shown++
			if !tok.name(ws) {
				say("shown")
			}
			if tag := h.Get("ETag"); tag != "" && len(w.tags) < 500 {
				w.tags = append(w.tags, tag)
			}
			if _, rest, ok := strings.Cut(seen, `"next_cursor":"`); ok && len(w.cursor) < 500 {
				cursor, _, _ := strings.Cut(rest, `"`)
				w.cursor = append(w.cursor, cursor)
			}
		}
	}
	if shown < *pairs/100 || hidden < *pairs/100 {
		t.Errorf("of %d requests %d were answered and %d hidden: that tells little", *pairs, shown, hidden)
	}
}

// TestWallsAskEverything: TestWalls asks for every operation of the OpenAPI document, those
// of the doors too, and for nothing else.
func TestWallsAskEverything(t *testing.T) {
	w := newWalled(t, 1)
	documented, drawn := map[string]bool{}, map[string]bool{}
	for path, of := range w.api.Huma().OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": of.Get, "POST": of.Post, "PUT": of.Put, "DELETE": of.Delete, "PATCH": of.Patch} {
			if op != nil {
				documented[method+" "+path] = true
			}
		}
	}
	for range 100 * len(documented) { // each is missed by one seed in 10^43
		drawn[w.pattern()] = true
	}
	if !maps.Equal(documented, drawn) || len(drawn) < 40 {
		t.Errorf("the document has %d operations\n%v\nand asked for are %d\n%v", len(documented), slices.Sorted(maps.Keys(documented)), len(drawn), slices.Sorted(maps.Keys(drawn)))
	}
}

// same is an answer without what differs between any two.
func same(seen, ws string) string {
	seen = varying.ReplaceAllString(seen, "")
	for _, name := range []string{"X-Request-Id:[", "Ratelimit:[", "Date:["} {
		if before, rest, ok := strings.Cut(seen, name); ok {
			_, after, _ := strings.Cut(rest, "]")
			seen = before + after
		}
	}
	return strings.ReplaceAll(seen, "/"+ws+"/", "/WS/")
}
