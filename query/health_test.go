package query

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"annals/internal/access"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReady(t *testing.T) {
	var why error
	s := serve(t, Options{Ready: func(context.Context) error { return why }})
	if a := s.do("GET", "/readyz"); a.status != 200 || string(a.body) != `{"status":"ready"}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	why = errors.New("the reader is catching up: 5 of 9")
	p := s.refused(503, "not_ready", "GET", "/readyz")
	if p.Detail != why.Error() {
		t.Errorf("detail %q does not name what is missing", p.Detail)
	}
	if a := s.do("GET", "/healthz"); a.status != 200 {
		t.Errorf("healthz %d while not ready", a.status)
	}
}

func TestLedgerHead(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 3)
	s.settle()
	var got Ledger
	a := s.do("GET", "/v1/ledger")
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatal(err)
	}
	head := s.api.o.Ledger.Head()
	want := Ledger{
		ID: s.stream.ID.String(), Origin: "annals.example/query", Stream: "ANNALS", Size: 5, Root: head.Root.String(),
		RecordedAt: "2026-01-02T03:04:05.004Z", Sequence: 5, Fold: 1, Control: 2, State: "recording", Indexes: Indexes{Size: 5, Generation: 1},
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestReasonsAreForAuditors: why something is wrong names peers, replicas, roots and
// files. Who audits or administers the whole ledger is told; who asks without a
// token, or reads a workspace, is told that something is wrong.
func TestReasonsAreForAuditors(t *testing.T) {
	const secret = "http://10.1.2.3:8080 replica-b 5d41402a"
	var log bytes.Buffer
	status := &Witnessing{Size: 1, Need: "1 of 1", Error: secret, Witnesses: []WitnessStatus{{Name: "w.example", Size: 1, Error: secret}}}
	s, keys := behind(t, Options{
		Ready:     func(context.Context) error { return errors.New("peer ledger " + secret) },
		TrimHeld:  func() string { return "replica " + secret },
		Witnesses: Witnesses{Status: func() *Witnessing { return status }},
		Logger:    slog.New(slog.NewTextHandler(&log, nil)),
	})
	s.fill("ws_a", 1)
	s.settle()
	p := s.refused(http.StatusServiceUnavailable, "not_ready", "GET", "/readyz")
	if strings.Contains(p.Detail, secret) || !strings.Contains(p.Detail, "waits") || !strings.Contains(log.String(), secret) {
		t.Errorf("/readyz says %q, the log %s", p.Detail, log.String())
	}
	s.token = keys.mint(t, access.Read, "ws_a")
	var embedded Embedded
	if err := json.Unmarshal(s.send("POST", "/v1/workspaces/ws_a/embed-tokens", `{}`, "Content-Type", "application/json").body, &embedded); err != nil {
		t.Fatal(err)
	}
	for token, told := range map[string]bool{
		keys.mint(t, access.Read, "ws_a"):                                       false,
		keys.mint(t, access.Read|access.Record|access.Erase, access.Everywhere): false,
		keys.mint(t, access.All, "ws_a"):                                        false,
		embedded.Token:                                                          false,
		keys.mint(t, access.Audit, access.Everywhere):                           true,
		keys.mint(t, access.Admin, access.Everywhere):                           true,
	} {
		s.token = token
		a := s.do("GET", "/v1/ledger")
		want := 0
		if told {
			want = 4 // error, trim_held, and two of witnesses
		}
		if n := strings.Count(string(a.body), secret); a.status != http.StatusOK || n != want || !strings.Contains(string(a.body), `"state":"waiting"`) {
			t.Errorf("%d reasons, want %d: %d %s", n, want, a.status, a.body)
		}
	}
	if status.Witnesses[0].Error == "" {
		t.Error("the reasons were taken from whoever made the status too")
	}
}

// TestStopped asks a ledger that met a statement of the future.
func TestStopped(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 1)
	s.settle()
	s.stream.Messages = append(s.stream.Messages, s.stream.Messages[2])
	s.stream.Messages[3].Sequence = 99 // a hole
	l := s.api.o.Ledger
	_ = l.Append(t.Context(), s.stream.Messages[3:])
	_ = l.Flush(t.Context())
	if l.Err() == nil {
		t.Fatal("the ledger goes on over a hole")
	}
	a := s.do("GET", "/v1/ledger")
	if !strings.Contains(string(a.body), `"state":"stopped"`) || !strings.Contains(string(a.body), `"error":`) {
		t.Errorf("%s", a.body)
	}
	s.refused(503, "not_ready", "GET", "/readyz")
	if got := len(s.page("/v1/workspaces/ws/timeline").Records); got != 1 {
		t.Errorf("%d records: a ledger that has stopped still reads", got)
	}
}

func TestMetrics(t *testing.T) {
	injected := prometheus.NewCounter(prometheus.CounterOpts{Name: "annals_injected_total", Help: "For the test."})
	s := serve(t, Options{Collectors: []prometheus.Collector{injected}})
	s.fill("ws", 3)
	s.settle()
	s.page("/v1/workspaces/ws/users/secret-user/timeline")
	s.page("/v1/workspaces/ws/users/%2F/timeline")
	s.do("GET", "/nowhere/secret-path")
	got := string(s.do("GET", "/metrics").body)
	for _, want := range []string{
		`annals_http_request_seconds_count{method="GET",route="/v1/workspaces/{ws}/users/{id}/timeline",status="200"} 2`,
		`annals_http_request_seconds_count{method="any",route="none",status="404"} 1`,
		"annals_ledger_durable_entries 5", "annals_projections_entries 5", "annals_projections_lag_entries 0",
		"annals_ledger_recording 1", "annals_injected_total 0", "go_goroutines",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("metrics name a user or a path")
	}
}

// TestPanic sees a panic answered, logged with its request, and survived.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := serve(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s.api.mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	p := s.refused(500, "internal", "GET", "/panic", "X-Request-Id", "find-me")
	if strings.Contains(p.Detail, "bug") || !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), "request_id=find-me") {
		t.Errorf("told %q, logged %s", p.Detail, log.String())
	}
	if a := s.do("GET", "/healthz"); a.status != 200 {
		t.Errorf("after a panic: %d", a.status)
	}
}
