package service

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/natsconfig"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// TestEverythingIsTold: how the server is configured, and that it is configured otherwise;
// embed tokens that are minted and revoked; exports; reads, where that is asked for; tokens
// in URLs and tokens that ask too often. Each is a record of the system's workspace. And
// no secret of the run is in the log of everything, an answer, a metric, or a file of the
// ledger, the stream or the indexes: keys, embed tokens and what they are signed by, the
// replicas' token, the seeds of NATS.
func TestEverythingIsTold(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	log := new(lines)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.NATSAccounts, _ = natsConfig(t)
	const shared = "replicas-token-0123456789-abcdefghij-ABCDEFGHIJ"
	o.PeerToken = tokenFile(t, shared)
	_, admin := giveAccess(t, o.Data)
	s := mustStart(t, o)
	mustClose(t, s)
	o.Access.LogReads = true
	o.Access.Origins = []string{"https://app.example.com"}
	o.Access.Limits.Burst, o.Access.Limits.PerSecond = 40, 0.001 // the next start's
	s = mustStart(t, o)

	var answers strings.Builder
	ask := func(method, path, token, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&answers, res.Status, res.Header)
		return res.StatusCode, string(text)
	}
	must := func(want int, method, path, token, body string) string {
		t.Helper()
		status, text := ask(method, path, token, body)
		if status != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, status, text, want)
		}
		return text
	}
	// What an answer that hands out a secret holds is not searched for it; all others are.
	seen := func(want int, method, path, token, body string) {
		t.Helper()
		answers.WriteString(must(want, method, path, token, body))
	}
	var embedded struct{ ID, Token string }
	text := must(http.StatusCreated, "POST", "/v1/workspaces/ws_7/embed-tokens", admin, `{"user":"u1","expires_in":60}`)
	if err := json.Unmarshal([]byte(text), &embedded, json.MatchCaseInsensitiveNames(true)); err != nil || embedded.Token == "" {
		t.Fatal(err, text)
	}
	c, err := client.New(s.URL(), client.Options{Token: admin})
	if err != nil {
		t.Fatal(err)
	}
	minted, err := c.MintKey(t.Context(), &client.KeyRequest{Name: "busy", Scopes: []string{"read"}, Workspaces: []string{"ws_7"}})
	if err != nil {
		t.Fatal(err)
	}
	producer := asUser(t, s.NATSURL(), o.NATSAccounts, "producer-ws_7", nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if _, err := producer.Request("activity.ws_7.app.renamed", []byte(recordNamed("over NATS")), freshTimeout); err != nil {
		t.Fatal(err)
	}
	if err := producer.Publish("vouched.ws_7.x", nil); err != nil { // refused, and logged
		t.Fatal(err)
	}
	seen(200, "GET", "/v1/workspaces/ws_7/users/u1/timeline", embedded.Token, "")
	seen(400, "GET", "/v1/workspaces/ws_7/users/u1/timeline?token="+embedded.Token, "", "")
	seen(400, "GET", "/v1/workspaces/ws_7/users/"+embedded.Token+"/timeline", admin, "")
	seen(404, "GET", "/v1/workspaces/ws_7/users/u2/timeline", embedded.Token, "")
	seen(200, "GET", "/v1/workspaces/ws_7/feed.csv", admin, "")
	seen(200, "GET", "/v1/workspaces/ws_7/entries?from=0", admin, "")
	seen(200, "GET", "/v1/workspaces/ws_7/timeline", admin, "")
	seen(401, "GET", "/v1/workspaces/ws_7/timeline", shared[:len(shared)-1], "")
	seen(200, "DELETE", "/v1/workspaces/ws_7/embed-tokens/"+embedded.ID, admin, "")
	seen(401, "GET", "/v1/workspaces/ws_7/users/u1/timeline", embedded.Token, "")
	for range 40 {
		ask("GET", "/healthz", "", "")
		if status, text := ask("GET", "/v1/workspaces/ws_7/counts?by=kind", minted.Token, ""); status == http.StatusTooManyRequests {
			answers.WriteString(text)
			break
		}
	}
	seen(429, "GET", "/v1/workspaces/ws_7/counts?by=kind", minted.Token, "")
	seen(200, "GET", "/metrics", admin, "")
	mustClose(t, s)

	o.Access.Limits.Burst, o.Access.Limits.PerSecond = 0, 0
	s = mustStart(t, o)
	for typ, want := range map[string][]string{
		"access.configured": {`"log_reads":false`, `"log_reads":true`, `"https://app.example.com"`, `"burst":40`},
		"access.used": {
			`"what":"mint-embed-token"`, `"what":"revoke-embed-token"`, `"what":"workspace-feed-export"`, `"what":"workspace-entries"`, `"what":"workspace-timeline"`,
			`"who":"embed:` + embedded.ID + `"`, `"what":"counts"`,
		},
		"access.refused": {`"what":"token_in_url"`, `"what":"rate_limited"`, `"who":"` + minted.Key.ID + `"`, "was revoked", `"addresses":["127.0.0.1"]`},
	} {
		body := must(200, "GET", "/v1/workspaces/_system/timeline?type="+typ, admin, "")
		answers.WriteString(body)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %s: %s", typ, w, body)
			}
		}
	}
	mustClose(t, s)
	toTables(t, o.Data)

	embedKey, err := accessfile.EmbedKey(o.Data)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"the administrator's key": admin, "the key that was minted": minted.Token, "the replicas' token": shared,
		"the embed token": embedded.Token, "its seal": embedded.Token[strings.LastIndexByte(embedded.Token, '.')+1:],
		"what embed tokens are signed by": string(embedKey), "the same in hexadecimal": hex.EncodeToString(embedKey),
	}
	for _, user := range []string{"ledger", "producer", "producer-ws_7", "operator", "system"} {
		seed, err := os.ReadFile(natsconfig.SeedFile(o.NATSAccounts, user))
		if err != nil {
			t.Fatal(err)
		}
		secrets["the seed of "+user] = string(bytes.TrimSpace(seed))
	}
	for name, secret := range secrets {
		part := secret[len(secret)-20:] // what holds the whole holds this
		for _, place := range telling(t, log.String(), answers.String(), o.Data, part) {
			if place != filepath.Join(o.Data, "keys", "embed") {
				t.Errorf("%s holds %s", place, name)
			}
		}
	}
	mustHold(t, o.Data, "mint-embed-token", "revoke-embed-token", embedded.ID)
}

// freshTimeout is longer than any acknowledgement takes.
const freshTimeout = nats.DefaultTimeout * 10

// TestDevelopmentIsSaid: a server that asks nobody says so at each start, and one that
// does doesn't.
func TestDevelopmentIsSaid(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	start := func() string {
		log := new(lines)
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		mustClose(t, mustStart(t, o))
		return log.String()
	}
	for range 2 {
		if said := start(); strings.Count(said, "DEVELOPMENT MODE") != 1 || !strings.Contains(said, "level=WARN") {
			t.Errorf("%s", said)
		}
	}
	giveAccess(t, o.Data)
	if said := start(); strings.Contains(said, "DEVELOPMENT MODE") {
		t.Errorf("%s", said)
	}
}
