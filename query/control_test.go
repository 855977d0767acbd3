package query

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
)

// TestSubmit: a control message goes through as it came, its entry is waited for,
// and a refusal is passed on.
func TestSubmit(t *testing.T) {
	var got []byte
	var refusal error
	var sequence uint64
	s := serve(t, Options{Submit: func(_ context.Context, body []byte) (uint64, error) {
		got = body
		return sequence, refusal
	}})
	s.publish("ws", `{"type":"t","actor":{"id":"u"}}`)
	s.stream.Publish("annals.control.mark", "no control message")
	s.settle()
	head := s.api.o.Ledger.Head()
	recorded, _, err := s.api.o.Ledger.Get(head.Size - 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, kind, body string
		sequence         uint64
		refusal          error
		status           int
		want             string
	}{
		{"recorded", octets, "sealed", recorded.Entry.Sequence, nil, 200, `{"status":"recorded","sequence":3,"index":2,"ulid":"` + recorded.Entry.ULID.String() + `"}`},
		{"rejected", "application/octet-stream; x=y", "sealed", head.State.Sequence, nil, 200, `,"code":"control_frame"}`},
		{"refused", octets, "sealed", 0, problem.New(problem.ControlRefused, "no such key"), 422, "no such key"},
		{"raced", octets, "sealed", 0, problem.New(problem.ControlRaced, ""), 409, "sign the statement anew"},
		{"as a form", "application/x-www-form-urlencoded", "sealed", 0, nil, 415, "unsupported_media_type"},
		{"as nothing", "", "sealed", 0, nil, 415, "application/octet-stream"},
		{"as large as may be", octets, strings.Repeat("x", chain.MaxBody), recorded.Entry.Sequence, nil, 200, "recorded"},
		{"larger", octets, strings.Repeat("x", chain.MaxBody+1), 0, nil, 413, "at most"},
	} {
		got, refusal, sequence = nil, c.refusal, c.sequence
		a := s.send("POST", "/v1/control", c.body, "Content-Type", c.kind)
		if a.status != c.status || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, a.status, a.body, c.status, c.want)
		}
		if taken := a.status != 415 && a.status != 413; taken != (got != nil) || taken && string(got) != c.body {
			t.Errorf("%s: %d bytes were submitted of %d", c.name, len(got), len(c.body))
		}
	}
	got = nil
	if a := s.send("POST", "/v1/control", "sealed", "Content-Type", octets, "Sec-Fetch-Site", "cross-site"); a.status != 403 || got != nil {
		t.Errorf("from another site's page: %d", a.status)
	}
}

// TestAcceptedOnly: what is not folded in time is said to be accepted, no more.
func TestAcceptedOnly(t *testing.T) {
	s := serve(t, Options{Submit: func(context.Context, []byte) (uint64, error) { return 99, nil }, FoldTimeout: 1})
	if a := s.send("POST", "/v1/control", "sealed", "Content-Type", octets); a.status != 200 || string(bytes.TrimSpace(a.body)) != `{"status":"accepted","sequence":99}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestHoleIsServed: what is missing, and the number that is due.
func TestHoleIsServed(t *testing.T) {
	var hole *Hole
	s := serve(t, Options{Hole: func(context.Context) (*Hole, uint64) { return hole, 7 }})
	for _, want := range []*Hole{nil, {Epoch: 1, First: 57, Last: 58, Size: 55, Root: "00", Folded: true}} {
		hole = want
		var got struct {
			Epoch   *uint32
			Control uint64
			Hole    *Hole
		}
		a := s.send("GET", "/v1/ledger", "")
		if err := json.Unmarshal(a.body, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if got.Epoch == nil || got.Control != 7 || (got.Hole == nil) != (want == nil) || want != nil && *got.Hole != *want {
			t.Errorf("with the hole %v: %s", want, a.body)
		}
	}
}
