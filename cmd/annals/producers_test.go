package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"annals/activity"
	"annals/cmd/annals/internal/client"
	reading "annals/query/client"
)

// producers are the programs of docs/producers.md: how the page marks each, what runs it,
// and how.
var producers = []struct{ mark, needs, file string }{
	{"python", "python3", "producer.py"},
	{"javascript", "node", "producer"},
	{"java", "javac", "Producer.java"},
	{"sh", "curl", "producer.sh"},
}

func producerCommand(mark, file string) []string {
	switch mark {
	case "python":
		return []string{"python3", file}
	case "javascript":
		return []string{"node", file}
	case "java":
		return []string{"java", file}
	}
	return []string{"sh", file}
}

// program is the first piece of code of a language on a page.
func program(t *testing.T, page, mark string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "```"+mark+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("the page has no program in %s", mark)
	}
	return text + "\n"
}

// unwilling stands before a server: it fails the first request, and loses the answer to
// the second, which the server has got.
type unwilling struct {
	behind http.Handler
	mu     sync.Mutex
	bodies []string
	tokens []string
}

func (u *unwilling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	u.mu.Lock()
	u.bodies = append(u.bodies, string(body))
	u.tokens = append(u.tokens, r.Header.Get("Authorization"))
	n := len(u.bodies)
	u.mu.Unlock()
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch n {
	case 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 2:
		u.behind.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusBadGateway)
	default:
		u.behind.ServeHTTP(w, r)
	}
}

// seen returns what came so far, each request with its token.
func (u *unwilling) seen() (bodies, tokens []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.bodies), slices.Clone(u.tokens)
}

// TestProducers runs the programs of docs/producers.md against a server that fails once,
// and once loses its answer: each has recorded one record, under one id, in the end.
func TestProducers(t *testing.T) {
	text, err := os.ReadFile("../../docs/producers.md")
	if err != nil {
		t.Fatal(err)
	}
	s := mustServe(t, filepath.Join(t.TempDir(), "data"))
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range producers {
		code := program(t, string(text), p.mark)
		t.Run(p.mark, func(t *testing.T) {
			if _, err := exec.LookPath(p.needs); err != nil {
				t.Skipf("SKIPPED, NOT PASSED: %s is not here (%v)", p.needs, err)
			}
			file := filepath.Join(t.TempDir(), p.file)
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			before := &unwilling{behind: httputil.NewSingleHostReverseProxy(to)}
			srv := httptest.NewServer(before)
			defer srv.Close()
			workspace := "ws_" + p.mark
			run := func(user string) (string, error) {
				argv := append(producerCommand(p.mark, file), user, "app", "app_42")
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Env = append(withoutOurs(os.Environ()), "ANNALS_URL="+srv.URL, "ANNALS_WORKSPACE="+workspace, "ANNALS_TOKEN=a-token")
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			out, err := run("usr_dana")
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			bodies, tokens := before.seen()
			if len(bodies) != 3 || bodies[0] != bodies[1] || bodies[1] != bodies[2] || tokens[2] != "Bearer a-token" {
				t.Errorf("it sent %q with %q", bodies, tokens)
			}
			awaitTotal(t, c, workspace, 1)
			page, err := c.Timeline(t.Context(), workspace, reading.Query{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := activity.Parse(page.Items[0].Record)
			if err != nil || len(r.ID) < 32 || r.Type != "app.renamed" || r.Actor.ID != "usr_dana" || r.Object.ID != "app_42" {
				t.Errorf("recorded: %v %s", err, page.Items[0].Record)
			}
			if !strings.Contains(out, "duplicate") { // the answer to the try that recorded it was lost
				t.Errorf("it prints %q, and the record was there already", out)
			}
			// What is no record is not sent again, and the program fails and says why.
			out, err = run("")
			if again, _ := before.seen(); err == nil || !strings.Contains(out, "missing_actor_id") || len(again) != len(bodies)+1 {
				t.Errorf("nobody acted: %v, %d tries, %s", err, len(again)-len(bodies), out)
			}
		})
	}
}
