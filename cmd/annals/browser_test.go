package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// cutting stands before a server: of the first answer it hands on so many events and half of
// the next, and then the connection is gone. It keeps what the requests said of themselves.
type cutting struct {
	behind http.Handler
	events int
	mu     sync.Mutex
	after  []string // each request's Last-Event-ID
	tokens []string
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.after = append(c.after, r.Header.Get("Last-Event-ID"))
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	first := len(c.after) == 1
	c.mu.Unlock()
	if first {
		w = &cut{w, c.events}
	}
	c.behind.ServeHTTP(w, r)
}

// cut is the writer of an answer that ends in the middle of an event.
type cut struct {
	http.ResponseWriter
	left int // events that may still begin
}

func (c *cut) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cut) Write(b []byte) (int, error) {
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "event: record") {
			continue
		}
		if c.left--; c.left >= 0 {
			continue
		}
		_, _ = c.ResponseWriter.Write([]byte(strings.Join(lines[:i+1], "") + `data: {"ul`))
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(b)
}

// TestFollowInJavaScript runs the program of docs/reading.md, by which a page follows a
// workspace with a token, against a server whose first answer breaks off in the middle of an
// event: each entry comes once, in order, and the token is in the header.
func TestFollowInJavaScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("SKIPPED, NOT PASSED: node is not here (%v)", err)
	}
	page, err := os.ReadFile("../../docs/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	runner := `import { follow } from "./follow.mjs";
try {
  for await (const item of follow(process.argv[2], "a-token")) console.log(item.record.id, item.record.object.name);
} catch (err) {
  console.log("refused:", err.message);
}
`
	for name, text := range map[string]string{"follow.mjs": program(t, string(page), "javascript"), "run.mjs": runner} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := mustServe(t, filepath.Join(t.TempDir(), "data"))
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	before := &cutting{behind: proxy, events: 2}
	srv := httptest.NewServer(before)
	defer srv.Close()
	record := func(id string) {
		t.Helper()
		body := fmt.Sprintf(`{"id":%q,"type":"app.renamed","actor":{"type":"user","id":"u"},"object":{"type":"app","id":"a","name":"Zoë 😀 \\n x"}}`, id)
		resp, err := http.Post(s.url+"/v1/workspaces/ws_7/records?wait=recorded", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", id, resp.Status)
		}
	}
	for _, id := range []string{"e1", "e2", "e3"} {
		record(id)
	}

	cmd := exec.Command("node", filepath.Join(dir, "run.mjs"), srv.URL+"/v1/workspaces/ws_7/tail?last=3")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	for i, id := range []string{"e1", "e2", "e3", "e4"} {
		if i == 3 {
			record(id)
		}
		if !lines.Scan() || lines.Text() != id+` Zoë 😀 \n x` {
			t.Fatalf("item %d is %q, want %s", i, lines.Text(), id)
		}
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	if len(before.after) != 2 || before.after[0] != "" || len(before.after[1]) != 26 || before.tokens[1] != "Bearer a-token" {
		t.Errorf("it asked behind %q with %q", before.after, before.tokens)
	}

	// What asking again can't mend ends it, and it says why.
	wrong, err := exec.Command("node", filepath.Join(dir, "run.mjs"), s.url+"/v1/workspaces/ws_7/tail?last=0").CombinedOutput()
	if err != nil || !strings.Contains(string(wrong), "refused: last: it is a whole number, at least 1") {
		t.Errorf("%v: %s", err, wrong)
	}
}
