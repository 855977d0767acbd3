package service

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sent posts a body and returns the answer.
func sent(t *testing.T, s *Service, query, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/workspaces/ws_7/records"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// readEvents has a ledger read CloudEvents from here on.
func readEvents(t *testing.T, s *Service) {
	t.Helper()
	state := s.Ledger().Head().State
	if _, err := s.Submit(t.Context(), chain.SealFoldVersion(state.Ledger(), state.Control, chain.FoldEvents, "", operator(t, s))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "version 2 is in force", func() bool { return s.Ledger().Head().State.Version == chain.FoldEvents })
}

// TestEvents: a ledger reads CloudEvents once its operator says so, over HTTP and NATS
// alike, and indexes and pages see the record that each tells.
func TestEvents(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	binary := []string{"ce-specversion", "1.0", "ce-id", "e1", "ce-source", "/crm", "ce-type", "app.renamed", "ce-subject", "app_42", "ce-authtype", "user", "ce-authid", "usr_dana"}
	if res, text := sent(t, s, "", `{"n":1}`, binary...); res.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(text, "annals fold-version") {
		t.Fatalf("before version 2: %s %s", res.Status, text)
	}
	readEvents(t, s)

	res, text := sent(t, s, "?wait=recorded", `{"n":1}`, binary...)
	if res.StatusCode != http.StatusOK || !strings.Contains(text, `"status":"recorded"`) {
		t.Fatalf("%s %s", res.Status, text)
	}
	if res, text := sent(t, s, "?wait=recorded", `{"n":1}`, binary...); !strings.Contains(text, `"status":"duplicate"`) {
		t.Errorf("the same again: %s %s", res.Status, text)
	}
	nc, err := nats.Connect(s.NATSURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	m := &nats.Msg{Subject: "activity.ws_7._", Header: nats.Header{}, Data: []byte(`[2]`)}
	for i := 0; i < len(binary); i += 2 {
		m.Header[binary[i]] = []string{binary[i+1]}
	}
	if _, err := nc.RequestMsg(m, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	var page struct {
		Records []struct {
			Type   string
			Record struct {
				ID, Producer string
				Actor        struct{ ID string }
				Object       struct{ ID string }
			}
			Event struct {
				Specversion, Source string
				Data                any
			}
		}
	}
	eventually(t, "both are on the actor's page", func() bool {
		res, err := http.Get(s.URL() + "/v1/workspaces/ws_7/timeline?user=usr_dana&kind=record")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		page.Records = nil
		body, err := io.ReadAll(res.Body)
		if err == nil {
			err = json.Unmarshal(body, &page, json.MatchCaseInsensitiveNames(true))
		}
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s %v %s", res.Status, err, body)
		}
		return len(page.Records) == 2
	})
	for _, item := range page.Records {
		if r := item.Record; item.Type != "app.renamed" || r.ID != "e1" || r.Producer != "/crm" || r.Object.ID != "app_42" || item.Event.Source != "/crm" || item.Event.Data == nil {
			t.Errorf("%+v", item)
		}
	}
}

// TestIdempotencyKeySurvivesARestart: what the door forgets, the ledger knows.
func TestIdempotencyKeySurvivesARestart(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	const body = `[{"type":"t","actor":{"id":"u"}},{"type":"t","actor":{"id":"u"}}]`
	key := []string{"Idempotency-Key", `"8e03978e"`}
	s := mustStart(t, o)
	res, first := sent(t, s, "?wait=recorded", body, key...)
	if res.StatusCode != http.StatusOK || strings.Count(first, `"status":"recorded"`) != 2 {
		t.Fatalf("%s %s", res.Status, first)
	}
	if _, again := sent(t, s, "?wait=recorded", body, key...); again != first {
		t.Errorf("first %s, again %s", first, again)
	}
	mustClose(t, s)
	s = mustStart(t, o)
	if res, text := sent(t, s, "?wait=recorded", body, key...); res.StatusCode != http.StatusOK || strings.Count(text, `"status":"duplicate"`) != 2 {
		t.Errorf("after a restart: %s %s", res.Status, text)
	}
}

// TestFullStream: while the stream takes no more the door says so, and when to come back.
func TestFullStream(t *testing.T) {
	s := mustStart(t, options(filepath.Join(t.TempDir(), "data")))
	js, err := jetstream.New(s.line.nc)
	if err != nil {
		t.Fatal(err)
	}
	size := func(bytes int64) {
		t.Helper()
		stream, err := js.Stream(t.Context(), ingest.Stream)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		if c.MaxBytes = bytes; bytes > 0 {
			c.MaxBytes = int64(stream.CachedInfo().State.Bytes) + bytes
		}
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	size(1)
	res, text := sent(t, s, "", recordNamed("full"))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(text, `"code":"stream_full"`) || !strings.Contains(text, `"status":"unknown"`) {
		t.Errorf("%s, Retry-After %q: %s", res.Status, res.Header.Get("Retry-After"), text)
	}
	size(-1)
	if res, text := sent(t, s, "?wait=recorded", recordNamed("full")); res.StatusCode != http.StatusOK {
		t.Errorf("with room again: %s %s", res.Status, text)
	}
}
