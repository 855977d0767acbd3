package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/cmd/annals/internal/datadir"
)

// TestRewoundStreamIsNotReady puts an older copy of the stream in the newer one's
// place: the server doesn't call itself ready, says why once, stores nothing, and
// says to whoever records that it stored nothing.
func TestRewoundStreamIsNotReady(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "one.jsonl")
	if err := os.WriteFile(file, []byte(`{"id":"x","workspace":"ws_7","type":"t","actor":{"type":"system"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustServe(t, dir)
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	stream, older := filepath.Join(dir, datadir.Stream), filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(stream)); err != nil {
		t.Fatal(err)
	}
	s = mustServe(t, dir)
	if _, errs, status := annals(t, "publish", "--url", s.url, file); status != 0 {
		t.Fatal(errs)
	}
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(stream); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, stream); err != nil {
		t.Fatal(err)
	}

	s, err := startServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	if !strings.Contains(s.notReady, "was rewound") {
		t.Errorf("it says %q at the start", s.notReady)
	}
	res, err := http.Post(s.url+"/v1/workspaces/ws_7/records", "application/json", strings.NewReader(oneRecord))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(body); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, `"code":"not_recording"`) ||
		!strings.Contains(got, "Recording has stopped") || !strings.Contains(got, "was not stored") || strings.Contains(got, "items") {
		t.Errorf("%s %s", res.Status, got)
	}
	out, errs, status := annals(t, "publish", "--url", s.url, file)
	if status != exitFailure || !strings.Contains(out, "not recorded: line 1") || !strings.Contains(errs, "was not stored") {
		t.Errorf("publish: status %d\n%s%s", status, out, errs)
	}
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	// Each request that was refused has a line of its own.
	n := 0
	for line := range strings.Lines(s.stderr.String()) {
		if strings.Contains(line, "was rewound") && !strings.Contains(line, "request_id=") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the reason is logged %d times:\n%s", n, s.stderr)
	}
}
