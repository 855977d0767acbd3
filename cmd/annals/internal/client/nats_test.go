package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"annals/cmd/annals/internal/natscontext"
	"annals/ingest"
	"annals/ingest/broker"
	"annals/ingest/door"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// overNATS starts a broker that nobody records at, and connects to it.
func overNATS(t *testing.T) (*broker.Broker, *OverNATS) {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c, err := Connect(natscontext.Target{URL: b.ClientURL()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return b, c
}

// TestOverNATS: lines go in their order, in as few requests as they fit into, one with line
// feeds of its own alone; each gets its own outcome, and where no answer comes it is said
// what that means of each.
func TestOverNATS(t *testing.T) {
	b, c := overNATS(t)
	one := []byte(`{"id":"1"}`)
	var none *UnreachedError
	if got, err := c.Publish(t.Context(), "ws", [][]byte{one, one}, false); !errors.As(err, &none) || !none.Unsent || len(got) != 2 || got[1].Status != Unsent {
		t.Fatalf("nobody answers: %+v %v", got, err)
	}

	ledger, err := b.Connect(ingest.ConnOptions("ledger", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ledger.Close)
	var mu sync.Mutex
	var sizes []int
	var seen []string
	if _, err := ledger.Subscribe(door.SubjectRecord+".ws", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		refuse := func(status int, code string) {
			a := nats.NewMsg(m.Reply)
			a.Header.Set(micro.ErrorHeader, code)
			a.Header.Set(micro.ErrorCodeHeader, code)
			a.Data = fmt.Appendf(nil, `{"status":%d,"code":%q,"detail":"so it is","errors":[{"pointer":"/actor","code":%q,"detail":"there"}]}`, status, code, code)
			_ = ledger.PublishMsg(a)
		}
		records := [][]byte{m.Data}
		if m.Header.Get("Content-Type") == "application/x-ndjson" {
			records = bytes.Split(m.Data, []byte{'\n'})
		}
		if m.Header.Get(door.HeaderWait) != "recorded" {
			t.Errorf("it does not wait: %v", m.Header)
		}
		sizes = append(sizes, len(records))
		var told struct {
			Items []Outcome `json:"items"`
		}
		for _, r := range records {
			seen = append(seen, string(r))
			told.Items = append(told.Items, Outcome{Status: "recorded", ID: string(r)})
		}
		switch {
		case bytes.Contains(m.Data, []byte("refuse")):
			refuse(422, "missing_actor")
		case bytes.Contains(m.Data, []byte("large")):
			refuse(413, "body_too_large")
		case bytes.Contains(m.Data, []byte("stopped")):
			refuse(503, "not_recording")
		default:
			a, _ := json.Marshal(&told)
			_ = m.Respond(a)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Flush(); err != nil {
		t.Fatal(err)
	}
	publish := func(lines ...string) (got []Outcome, err error) {
		mu.Lock()
		sizes, seen = nil, nil
		mu.Unlock()
		var all [][]byte
		for _, l := range lines {
			all = append(all, []byte(l))
		}
		got, err = c.Publish(t.Context(), "ws", all, true)
		mu.Lock()
		defer mu.Unlock()
		if len(got) != len(lines) {
			t.Fatalf("%d outcomes of %d lines", len(got), len(lines))
		}
		return got, err
	}
	many := make([]string, 2*door.MaxRequested+1)
	for i := range many {
		many[i] = fmt.Sprintf(`{"id":"%d"}`, i)
	}
	if _, err := publish(many...); err != nil || fmt.Sprint(sizes) != fmt.Sprint([]int{door.MaxRequested, door.MaxRequested, 1}) || strings.Join(seen, "") != strings.Join(many, "") {
		t.Errorf("%v: requests of %v", err, sizes)
	}
	half := strings.Repeat("x", 700_000)
	if _, err := publish(half, half, "a", "b\nc", "d\ne", "f"); err != nil || fmt.Sprint(sizes) != "[1 2 1 1 1]" {
		t.Errorf("%v: requests of %v", err, sizes)
	}
	got, err := publish("a", "refuse\nme", "b")
	if err != nil || got[0].Status != "recorded" || got[1].Status != "rejected" || got[1].Code != "missing_actor" || got[1].Pointer != "/actor" || got[2].Status != "recorded" {
		t.Errorf("one by itself is refused: %v %+v", err, got)
	}
	got, err = publish("a\n", "stopped\n", "b")
	if err == nil || got[0].Status != "recorded" || got[1].Status != Unsent || got[2].Status != Unsent {
		t.Errorf("recording has stopped: %v %+v", err, got)
	}
	if got, err = c.Publish(t.Context(), "ws", [][]byte{[]byte("large")}, false); err == nil || got[0].Status != "unknown" {
		t.Errorf("an answer that was too large: %v %+v", err, got)
	}
	var p *Problem
	if got, err = c.Publish(t.Context(), "ws", [][]byte{bytes.Repeat([]byte("x"), 2<<20)}, true); !errors.As(err, &p) || got[0].Status != Unsent {
		t.Errorf("a record that fits in no message: %v %+v", err, got)
	}
}

// TestOverNATSDenied: who may not publish for a workspace is told so at once, and not after
// every try has waited for an answer that nobody gives.
func TestOverNATSDenied(t *testing.T) {
	_, c := overNATS(t)
	got, err := c.Publish(t.Context(), "no.workspace", [][]byte{[]byte(`{}`), []byte(`{}`)}, true) // none of the subjects that the broker lets anybody publish on
	var p *Problem
	if !errors.As(err, &p) || p.Status != 403 || !strings.Contains(p.Detail, "publish on annals.api.record.no.workspace: take a producer's seed") {
		t.Errorf("%v", err)
	}
	if len(got) != 2 || got[0].Status != Unsent || got[1].Status != Unsent {
		t.Errorf("what became of the lines: %+v", got)
	}
	if len(c.asked) != 0 {
		t.Errorf("%d requests are under way", len(c.asked))
	}
}

// TestNoPasswordIsShown: what can't be reached is named without what one gets in by.
func TestNoPasswordIsShown(t *testing.T) {
	for _, urls := range []string{"nats://ann:hunter2@127.0.0.1:1", "nats://127.0.0.1:1, nats://ann:hunter2@127.0.0.1:2", "nats://ann:hunter2%@127.0.0.1:1"} {
		if _, err := Connect(natscontext.Target{URL: urls}, "test"); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "127.0.0.1:") {
			t.Errorf("%s: %v", urls, err)
		}
	}
	c, err := New("http://ann:hunter2@127.0.0.1:1/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context(), "ws", [][]byte{[]byte("{}")}, false); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("over HTTP: %v", err)
	}
}
