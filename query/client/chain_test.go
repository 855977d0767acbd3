package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"annals/query/client"

	"github.com/go-json-experiment/json"
)

// TestEntries goes along a chain of more entries than an answer has.
func TestEntries(t *testing.T) {
	s := serve()
	defer s.close()
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":"%d","type":"t","actor":{"id":"u"}}`, i)
	}
	for range 3 { // the later ones are duplicates
		s.stream.Publish("activity.ws_7._", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
	}
	s.publish(`{"type":"t","actor":{"id":"u"}}`)
	c, err := client.New(s.http.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []client.Range{{To: 3005}, {From: 2, To: 2900}, {From: 1500, To: 1501, Payloads: true}, {From: 4, To: 4}, {From: 9999, To: 99999}, {From: 3000, To: 9000}} {
		n := uint64(0)
		for raw, err := range c.Entries(t.Context(), "ws_7", r) {
			if err != nil {
				t.Fatal(err)
			}
			var line struct {
				Index uint64 `json:"index"`
				Entry []byte `json:"entry"`
				Body  []byte `json:"body"`
			}
			if err := json.Unmarshal(raw, &line); err != nil || line.Index != r.From+n+2 || len(line.Entry) != 208 || (line.Body != nil) != r.Payloads {
				t.Fatalf("%+v, entry %d: %v %s", r, n, err, raw)
			}
			n++
		}
		if want := min(r.To, 3005) - min(r.From, 3005); n != want {
			t.Errorf("%+v: %d entries, want %d", r, n, want)
		}
	}
	// This server signs nothing, and says so.
	var p *client.Problem
	if _, err := c.Head(t.Context(), "ws_7"); !errors.As(err, &p) || p.Code != "no_checkpoint" {
		t.Errorf("a head: %v", err)
	}
	if _, err := c.Keys(t.Context()); !errors.As(err, &p) || p.Code != "no_checkpoint" {
		t.Errorf("keys: %v", err)
	}
	if _, err := c.Checkpoint(t.Context()); !errors.As(err, &p) || p.Code != "no_checkpoint" {
		t.Errorf("a checkpoint: %v", err)
	}
}

// TestEntriesOfAStranger: a server that answers more than it was asked for, or
// breaks off, is not believed.
func TestEntriesOfAStranger(t *testing.T) {
	for name, body := range map[string]string{"too many": "{}\n{}\n{}\n", "broken off": "{}\n{}"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		c, err := client.New(s.URL, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		failed := error(nil)
		for _, err := range c.Entries(context.Background(), "ws", client.Range{From: 5, To: 7}) {
			failed = err
		}
		if failed == nil {
			t.Errorf("%s: no error", name)
		}
		s.Close()
	}
}
