package query

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/projections"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
)

// ledger asks where the ledger stands.
func (s *served) ledger() (l Ledger) {
	s.t.Helper()
	a := s.do("GET", "/v1/ledger")
	if err := json.Unmarshal(a.body, &l); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("%d %v %s", a.status, err, a.body)
	}
	return l
}

// rebuilt waits until no rebuild runs.
func (s *served) rebuilt() Indexes {
	s.t.Helper()
	for range 2000 {
		if at := s.ledger().Indexes; at.Rebuilding == nil {
			return at
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatal("the rebuild never ends")
	return Indexes{}
}

// TestRebuild rebuilds over HTTP: pages are the same before, meanwhile and
// afterwards, and the ledger's page says how it goes.
func TestRebuild(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 50)
	s.settle()
	const path = "/v1/workspaces/ws/timeline?limit=7"
	before := s.do("GET", path)
	a := s.do("POST", "/v1/indexes/rebuild")
	var begun Indexes
	if err := json.Unmarshal(a.body, &begun); err != nil || a.status != http.StatusAccepted || a.header.Get("Location") != "/v1/ledger" {
		t.Fatalf("%d %v %s", a.status, err, a.body)
	}
	for range 20 {
		if now := s.do("GET", path); now.status != http.StatusOK || !bytes.Equal(now.body, before.body) {
			t.Fatalf("meanwhile: %d\n%s\nwant\n%s", now.status, now.body, before.body)
		}
	}
	at := s.rebuilt()
	if at.Size != 52 || at.Generation != 2 || at.Rebuilt == nil || at.Rebuilt.Size != 52 || at.Rebuilt.Entries != 52 || at.Rebuilt.Seconds <= 0 || at.Rebuilt.Error != "" {
		t.Errorf("%+v %+v", at, at.Rebuilt)
	}
	if now := s.do("GET", path); !bytes.Equal(now.body, before.body) {
		t.Errorf("afterwards: %d\n%s\nwant\n%s", now.status, now.body, before.body)
	}
	metrics := string(s.do("GET", "/metrics").body)
	for _, want := range []string{"annals_projections_generation 2", "annals_projections_rebuild_entries 0"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

// TestRebuildHeld looks at a rebuild that a test holds up: it is to be seen, and
// there is no second one.
func TestRebuildHeld(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 5)
	s.settle()
	l, p := s.api.o.Ledger, s.api.o.Projections
	held, release := make(chan struct{}), make(chan struct{})
	rebuilt := make(chan error, 1)
	go func() {
		hold := func(done, of uint64) {
			if held != nil {
				close(held)
				<-release
				held = nil
			}
		}
		rebuilt <- p.Rebuild(t.Context(), l.Leaves, func() uint64 { return l.Head().Size }, hold)
	}()
	<-held
	if at := s.ledger().Indexes; at.Rebuilding == nil || at.Rebuilding.Of != 7 || at.Generation != 1 || at.Rebuilt != nil {
		t.Errorf("%+v", at)
	}
	problem := s.refused(http.StatusConflict, "rebuilding", "POST", "/v1/indexes/rebuild")
	if !strings.Contains(problem.Detail, "/v1/ledger") {
		t.Errorf("detail %q does not say where to look", problem.Detail)
	}
	close(release)
	if err := <-rebuilt; err != nil {
		t.Fatal(err)
	}
	if at := s.ledger().Indexes; at.Rebuilding != nil || at.Generation != 2 {
		t.Errorf("%+v", at)
	}
}

// TestRebuildRefused asks in ways that are refused, and for what can't be done.
func TestRebuildRefused(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 5)
	s.settle()
	const path = "/v1/indexes/rebuild"
	s.refused(http.StatusMethodNotAllowed, "method_not_allowed", "GET", path)
	s.refused(http.StatusBadRequest, "unknown_parameter", "POST", path+"?fast=1")
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		s.refused(http.StatusForbidden, "cross_site", "POST", path, header...)
	}
	if at := s.ledger().Indexes; at.Generation != 1 || at.Rebuilding != nil || at.Rebuilt != nil {
		t.Errorf("what was refused was done: %+v", at)
	}
	for _, header := range [][]string{{}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", s.url}} {
		if a := s.do("POST", path, header...); a.status != http.StatusAccepted {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
		s.rebuilt()
	}
}

// TestRebuildFails meets a folder that is not ours where the new indexes are to
// be: the answer says that it began, and the ledger's page why it failed.
func TestRebuildFails(t *testing.T) {
	var log bytes.Buffer
	fs := vfs.NewMem()
	s := serve(t, Options{})
	s.fill("ws", 5)
	s.settle()
	o := s.api.o
	var err error
	o.Projections, err = projections.OpenLive("others", o.Ledger.ID(), projections.Options{FS: fs, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Projections.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := fs.MkdirAll("others/2/letters", 0o755); err != nil {
		t.Fatal(err)
	}
	s.api.o.Projections = o.Projections
	s.index()
	if a := s.do("POST", "/v1/indexes/rebuild"); a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.body)
	}
	at := s.rebuilt()
	if at.Generation != 1 || at.Rebuilt == nil || !strings.Contains(at.Rebuilt.Error, "something else") {
		t.Errorf("%+v %+v", at, at.Rebuilt)
	}
	if err := o.Projections.Close(); err != nil || !strings.Contains(log.String(), "a rebuild failed") {
		t.Errorf("%v; the log says %q", err, log.String())
	}
	s.refused(http.StatusServiceUnavailable, "not_ready", "POST", "/v1/indexes/rebuild")
}
