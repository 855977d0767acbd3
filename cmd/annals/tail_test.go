package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"annals/internal/freeport"
	"annals/query/client"
)

// TestTailOutlivesServers follows a workspace while its server is stopped, killed
// and started again: everything comes once, in order, and Ctrl-C ends it well.
func TestTailOutlivesServers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	listen := fmt.Sprintf("127.0.0.1:%d", freeport.Find(t, 1)[0])
	s := mustServe(t, dir, "--listen", listen)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			body := fmt.Sprintf(`{"id":"r%d","type":"t","actor":{"id":"u"}}`, i)
			if a, err := c.Do(t.Context(), "POST", "/v1/workspaces/ws/records?wait=recorded", []byte(body), "Content-Type", "application/json"); err != nil || a.Status != 200 {
				t.Fatal(a, err)
			}
		}
	}
	publish(0, 5)

	tail := exec.Command("annals", "tail", "--url", s.url, "--workspace", "ws", "-f", "--last", "3", "-o", "jsonl")
	tail.Env = withoutOurs(nil)
	said := new(lockedBuffer)
	tail.Stderr = said
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tail.Process.Kill() }()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	var got []string
	hear := func(n int) {
		t.Helper()
		for late := time.After(startTimeout); len(got) < n; {
			select {
			case line := <-lines:
				_, id, _ := strings.Cut(line, `"record":{"id":"`)
				id, _, _ = strings.Cut(id, `"`)
				got = append(got, id)
			case <-late:
				t.Fatalf("heard %q\n%s", got, said)
			}
		}
	}
	hear(3)
	publish(5, 8)
	hear(6)
	for n, end := range []func(){func() {
		if err := s.terminate(); err != nil {
			t.Error(err)
		}
	}, func() { s.kill() }} {
		end()
		s = mustServe(t, dir, "--listen", listen)
		publish(8+3*n, 11+3*n)
		hear(9 + 3*n)
	}
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		t.Errorf("and then %s", line)
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v\n%s", err, said)
	}
	var want []string
	for i := 2; i < 14; i++ {
		want = append(want, fmt.Sprintf("r%d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	if !strings.Contains(said.String(), "the server stops") || !strings.Contains(said.String(), "coming again in") {
		t.Errorf("it said %q", said)
	}
}
