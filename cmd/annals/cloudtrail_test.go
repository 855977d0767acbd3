package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/client"
	"annals/ingest"
	"annals/ledger/chain"
	reading "annals/query/client"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
)

// cloudtrail is real input, beside this repository and not in it.
const cloudtrail = "../../../shared/data/cloudtrail"

// trailEvent is what of an event becomes a record's own members.
type trailEvent struct {
	EventID      string `json:"eventID"`
	EventTime    string `json:"eventTime"`
	EventSource  string `json:"eventSource"`
	EventName    string `json:"eventName"`
	SourceIP     string `json:"sourceIPAddress"`
	UserAgent    string `json:"userAgent"`
	UserIdentity struct {
		Type        string `json:"type"`
		ARN         string `json:"arn"`
		PrincipalID string `json:"principalId"`
		InvokedBy   string `json:"invokedBy"`
		UserName    string `json:"userName"`
		AccountID   string `json:"accountId"`
	} `json:"userIdentity"`
}

// user is who acted: the first of what names them.
func (e *trailEvent) user() string {
	for _, id := range []string{e.UserIdentity.ARN, e.UserIdentity.PrincipalID, e.UserIdentity.InvokedBy, e.UserIdentity.AccountID} {
		if id != "" {
			return id
		}
	}
	return e.UserIdentity.Type
}

func (e *trailEvent) record(raw jsontext.Value) ([]byte, error) {
	r := activity.Record{
		ID: e.EventID, Producer: "aws.cloudtrail", Type: "aws." + e.EventName, OccurredAt: e.EventTime,
		Actor:   &activity.Actor{Type: "user", ID: e.user(), Name: e.UserIdentity.UserName},
		Source:  e.EventSource,
		Context: &activity.Context{IP: e.SourceIP, UserAgent: e.UserAgent},
		Data:    raw,
	}
	return r.AppendJSON(nil)
}

// readTrail reads every event of the files.
func readTrail(t *testing.T) (events []trailEvent, raw []jsontext.Value) {
	files, err := filepath.Glob(filepath.Join(cloudtrail, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED, NOT PASSED: the real input is not at %s (%v)", cloudtrail, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Records []jsontext.Value }
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range file.Records {
			var e trailEvent
			if err := json.Unmarshal(r, &e); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			events, raw = append(events, e), append(raw, r)
		}
	}
	return events, raw
}

// TestCloudTrail publishes 1,667 real events over NATS and finds, by user and by
// service, as many as the files say.
func TestCloudTrail(t *testing.T) {
	events, raw := readTrail(t)
	if len(events) != 1667 {
		t.Fatalf("%d events in the files, want 1,667", len(events))
	}
	s := mustServe(t, filepath.Join(t.TempDir(), "data"))
	publishTrail(t, s, events, raw)

	users, services, ids := map[string]uint64{}, map[string]uint64{}, map[string]bool{}
	for i := range events {
		e := &events[i]
		if ids[e.EventID] {
			t.Fatalf("the files hold %s twice; the counts below don't allow for that", e.EventID)
		}
		ids[e.EventID] = true
		users[e.user()]++
		services[e.EventSource]++
	}
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	awaitTotal(t, c, "ws_aws", uint64(len(events)))
	for user, want := range users {
		page, err := c.Timeline(t.Context(), "ws_aws", reading.Query{Filter: reading.Filter{Where: []reading.Condition{reading.Is(reading.User, user)}}, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != want {
			t.Errorf("user %s: %d in the timeline, %d in the files", user, page.Total, want)
		}
	}
	got := countTrail(t, c)
	for service, want := range services {
		if got[service] != want {
			t.Errorf("service %s: %d in the timeline, %d in the files", service, got[service], want)
		}
	}
	t.Logf("%d events, %d users, %d services", len(events), len(users), len(services))
}

func publishTrail(t *testing.T, s *server, events []trailEvent, raw []jsontext.Value) {
	t.Helper()
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pending := make([]*ingest.Pending, len(events))
	for i := range events {
		record, err := events[i].record(raw[i])
		if err != nil {
			t.Fatal(err)
		}
		if pending[i], err = p.PublishAsync(t.Context(), "ws_aws", chain.OwnType, record); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range pending {
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// countTrail reads every page and counts what was recorded, by service.
func countTrail(t *testing.T, c *client.Client) map[string]uint64 {
	t.Helper()
	services := map[string]uint64{}
	q := reading.Query{Limit: 1000}
	for {
		page, err := c.Timeline(t.Context(), "ws_aws", q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			r, err := activity.Parse(page.Items[i].Record)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(r.Type, "aws.") {
				t.Errorf("%s has the type %s", r.ID, r.Type)
			}
			services[r.Source]++
		}
		if page.NextCursor == "" {
			return services
		}
		q.Cursor = page.NextCursor
	}
}

// awaitTotal waits until a workspace has so many entries in its timeline.
func awaitTotal(t *testing.T, c *client.Client, workspace string, want uint64) {
	t.Helper()
	var last string
	for late := time.Now().Add(startTimeout); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		page, err := c.Timeline(t.Context(), workspace, reading.Query{Limit: 1})
		if err == nil && page.Total == want {
			return
		}
		if last = fmt.Sprint(err); err == nil {
			last = fmt.Sprint(page.Total)
		}
	}
	t.Fatalf("%d entries are not in the timeline of %s: %s", want, workspace, last)
}
