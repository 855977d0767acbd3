package service

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/datadir"
	"annals/ledger"
)

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestJournal: what happens at the ledger's doors is in the ledger, once, also what
// happened while no server ran; and nowhere is a secret, in a log of everything, an
// answer, a metric, the ledger or a file.
func TestJournal(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	log := new(lines)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	adminID, admin := giveAccess(t, o.Data)
	s := mustStart(t, o)
	c, err := client.New(s.URL(), client.Options{Token: admin})
	if err != nil {
		t.Fatal(err)
	}
	minted, err := c.MintKey(t.Context(), &client.KeyRequest{Name: "tenant's", Scopes: []string{"read"}, Workspaces: []string{"ws_7"}})
	if err != nil {
		t.Fatal(err)
	}
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c3JfZGFuYV9zZWNyZXQifQ.c2lnbmF0dXJlX3NlY3JldA"
	guess := minted.Token[:len(minted.Token)-6] + "AAAAAA"
	secrets := []string{admin, minted.Token, guess, jwt}
	var answers strings.Builder
	ask := func(path, token string) {
		t.Helper()
		status, body := askWith(t, s, path, token)
		fmt.Fprintln(&answers, status, body)
	}
	for _, token := range []string{guess, guess, guess, jwt, "x" + admin, admin + "x", "", minted.Token, admin} {
		ask("/v1/workspaces/ws_7/timeline", token)
	}
	ask("/v1/workspaces/ws_8/timeline", minted.Token)
	ask("/metrics", minted.Token)
	for _, token := range secrets {
		for _, path := range []string{"/v1/workspaces/ws_7/timeline?user=", "/v1/workspaces/ws_7/timeline?access_token=", "/healthz?", "/", "/v1/workspaces/ws_7/users/", "/v1/access/keys/"} {
			ask(path+token, admin)
		}
		ask("/v1/workspaces/ws_7/timeline?"+token+"=1", "")
	}
	ask("/tile/entries/000.p/1", admin)
	ask("/v1/access/keys", admin)
	ask("/metrics", admin)
	if err := c.RevokeKey(t.Context(), minted.Key.ID); err != nil {
		t.Fatal(err)
	}
	ask("/v1/workspaces/ws_7/timeline", minted.Token)
	mustClose(t, s)

	s = mustStart(t, o)
	count := func(typ string) (body string) {
		t.Helper()
		status, body := askWith(t, s, "/v1/workspaces/_system/timeline?type="+typ+"&kind=record,duplicate,conflict,rejection", admin)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		answers.WriteString(body)
		return body
	}
	for typ, want := range map[string][]string{
		"access.key_minted":  {`"total":2`, adminID, minted.Key.ID, `"tenant's"`, `"grade":"verified"`, `"id":"` + adminID + `"`},
		"access.key_revoked": {`"total":1`, minted.Key.ID, `"grade":"verified"`},
		"access.refused":     {`"total":1`, `"count":3`, "no such API key is known here", `"what":"no_such_workspace"`, `"what":"missing_scope"`, "was revoked", `"addresses":["127.0.0.1"]`},
		"access.used":        {`"total":1`, `"what":"entry-bundle"`, `"who":"` + adminID + `"`},
	} {
		body := count(typ)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %s: %s", typ, w, body)
			}
		}
	}
	if body := count("access.configured"); !strings.Contains(body, `"tls":false`) {
		t.Errorf("%s", body)
	}
	mustClose(t, s)
	toTables(t, o.Data)

	if said := log.String(); !strings.Contains(said, "not let in") || !strings.Contains(said, "no such API key") {
		t.Errorf("the log doesn't say who was not let in: %s", said)
	}
	for _, secret := range secrets {
		for _, part := range []string{secret[22:44], secret[len(secret)-20:]} { // what holds the whole holds these
			for _, place := range telling(t, log.String(), answers.String(), o.Data, part) {
				t.Errorf("%s holds a secret: …%s…", place, part)
			}
		}
	}
	mustHold(t, o.Data, "no such API key is known here", "entry-bundle", minted.Key.ID)
}

// telling lists what holds text of all that a service lets out: its log, its answers, and
// the files of its folder.
func telling(t *testing.T, log, answers, dir, text string) []string {
	t.Helper()
	found := holding(t, dir, text)
	if strings.Contains(log, text) {
		found = append(found, "the log")
	}
	if strings.Contains(answers, text) {
		found = append(found, "an answer")
	}
	return found
}

// toTables moves what the ledger was told last from Pebble's log into a table, as
// opening it does.
func toTables(t *testing.T, dir string) {
	t.Helper()
	l, err := ledger.Open(filepath.Join(dir, datadir.Ledger), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// mustHold is the other side of a search that finds nothing: what must be there it finds,
// in a table.
func mustHold(t *testing.T, dir string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		found := holding(t, dir, text)
		if !slices.ContainsFunc(found, func(path string) bool { return filepath.Ext(path) == ".sst" }) {
			t.Errorf("%q is in no table: the search tests nothing; it is in %q", text, found)
		}
	}
}
