package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/access"
)

// ledger stands in for the stream.
type ledger struct {
	mu    sync.Mutex
	told  []string
	fails error
}

func (l *ledger) publish(_ context.Context, r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil {
		return l.fails
	}
	b, err := r.Bytes()
	l.told = append(l.told, string(b))
	return err
}

func journal(t *testing.T, l *ledger, reads bool) (*Journal, *access.Book) {
	t.Helper()
	b, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Publish: l.publish, Book: b, Reads: reads, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)}), b
}

// TestNobodyFillsTheLedger: however many attempts there are, of however many kinds,
// they are one record, and counted all.
func TestNobodyFillsTheLedger(t *testing.T) {
	l := &ledger{}
	j, _ := journal(t, l, false)
	for i := range 10_000 {
		r := &http.Request{RemoteAddr: fmt.Sprintf("10.0.%d.%d:1", i/250%250, i%250)}
		j.Refused(r, nil, fmt.Errorf("kind %d %s", i%500, strings.Repeat("x", 1000)))
	}
	l.fails = errors.New("the stream is away")
	j.counted(t.Context())
	l.fails = nil
	j.counted(t.Context())
	j.counted(t.Context())
	if len(l.told) != 1 || len(l.told[0]) > 100_000 || strings.Count(l.told[0], `"count":20,`) != maxTallies-1 || !strings.Contains(l.told[0], fmt.Sprintf(`"count":%d,`, 10_000-20*(maxTallies-1))) {
		t.Errorf("%d records, the first of %d bytes: %.2000s", len(l.told), len(l.told[0]), l.told[0])
	}
}

// TestCountedOnce: a record of what was counted keeps its id and its bytes until it is
// acknowledged: one that arrived, and whose acknowledgement was lost, is a duplicate
// when it comes again. What is counted meanwhile is told after it, and none twice.
func TestCountedOnce(t *testing.T) {
	var arrived []string
	lost := true
	l := &ledger{}
	j, _ := journal(t, l, true)
	j.o.Publish = func(_ context.Context, r Record) error {
		b, err := r.Bytes()
		arrived = append(arrived, string(b))
		if lost {
			return errors.New("no acknowledgement came")
		}
		return err
	}
	who := &access.Principal{ID: "k1"}
	for range 3 {
		j.Used(who, access.Read, "timeline", "ws_7")
		j.counted(t.Context())
	}
	lost = false
	j.counted(t.Context())
	j.counted(t.Context())
	if len(arrived) != 5 {
		t.Fatalf("%d came: %s", len(arrived), arrived)
	}
	for _, again := range arrived[1:4] {
		if again != arrived[0] {
			t.Errorf("first %s\nagain %s", arrived[0], again)
		}
	}
	if !strings.Contains(arrived[0], `"count":1`) || !strings.Contains(arrived[4], `"count":2`) {
		t.Errorf("%s", arrived)
	}
}

// TestWhatIsTold: audits always, reads where it is asked for, and neither what shows
// nothing of a workspace nor what records.
func TestWhatIsTold(t *testing.T) {
	for _, reads := range []bool{false, true} {
		l := &ledger{}
		j, _ := journal(t, l, reads)
		who := &access.Principal{ID: "k1"}
		for _, u := range []struct {
			anyOf           access.Scopes
			what, workspace string
		}{
			{access.Read, "timeline", "ws_7"},
			{access.Read, "timeline", "ws_7"},
			{access.Read, "workspace-feed-export", "ws_7"},
			{access.Read, "mint-embed-token", "ws_7"},
			{access.Read, "revoke-embed-token", "ws_7"},
			{access.Audit, "tile", access.Everywhere},
			{access.Read | access.Audit, "proof", "ws_7"},
			{access.All, "checkpoint", access.Anywhere},
			{access.Record, "record-activity", "ws_7"},
			{access.Admin, "rebuild", access.Everywhere},
		} {
			j.Used(who, u.anyOf, u.what, u.workspace)
		}
		j.counted(t.Context())
		want := []string{`"what":"tile"`, `"what":"proof"`, `"what":"workspace-feed-export"`, `"what":"mint-embed-token"`, `"what":"revoke-embed-token"`}
		if reads {
			want = append(want, `"what":"timeline","workspace":"ws_7","count":2`)
		}
		if len(l.told) != 1 || strings.Count(l.told[0], `"what"`) != len(want) {
			t.Fatalf("%s", l.told)
		}
		for _, w := range want {
			if !strings.Contains(l.told[0], w) {
				t.Errorf("%s lacks %s", l.told, w)
			}
		}
	}
}

// TestChangesWait: what could not be told is told later, in order, and once.
func TestChangesWait(t *testing.T) {
	l := &ledger{fails: errors.New("the stream is away")}
	j, b := journal(t, l, false)
	everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
	if err != nil {
		t.Fatal(err)
	}
	k, _, err := b.Add(access.Request{Name: "x", Scopes: access.Read, Workspaces: everywhere, Life: time.Hour, By: CommandLine}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Revoke(k.ID, everywhere, "k9", time.Now()); err != nil {
		t.Fatal(err)
	}
	j.changes(t.Context())
	l.fails = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j.Run(ctx)
	j.changes(t.Context())
	i := slices.IndexFunc(l.told, func(s string) bool {
		return strings.Contains(s, `"type":"access.key_minted"`) && strings.Contains(s, `"actor":{"type":"system"}`)
	})
	if len(l.told) != 2 || i != 0 || !strings.Contains(l.told[1], `"type":"access.key_revoked"`) || !strings.Contains(l.told[1], `"actor":{"type":"service","id":"k9"}`) {
		t.Errorf("%s", l.told)
	}
}

// TestStartWaits: how the server was started is told when the stream is back, once,
// and under one id however often that was tried.
func TestStartWaits(t *testing.T) {
	tried, away := make(chan string), errors.New("the stream is away")
	answer := make(chan error)
	b, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	j := New(Options{Book: b, Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler), Publish: func(_ context.Context, r Record) error {
		text, err := r.Bytes()
		tried <- string(text)
		return errors.Join(err, <-answer)
	}})
	j.Configured(map[string]any{"listen": "127.0.0.1:1"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx)
	}()
	first := <-tried
	if !strings.Contains(first, `"type":"access.configured"`) || !strings.Contains(first, "127.0.0.1:1") {
		t.Errorf("%s", first)
	}
	answer <- away
	for range 2 {
		if again := <-tried; again != first {
			t.Errorf("first %s, then %s", first, again)
		}
		answer <- away
	}
	<-tried
	cancel() // while it is being told: that is told to its end
	answer <- nil
	select {
	case more := <-tried:
		t.Errorf("told once more: %s", more)
		answer <- nil
		<-done
	case <-done:
	}

	// A stream that comes back last of all is told at the end.
	l := &ledger{fails: away}
	j, _ = journal(t, l, false)
	j.Configured(nil)
	j.started(t.Context())
	l.fails = nil
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	j.Run(ctx)
	if len(l.told) != 1 {
		t.Errorf("%s", l.told)
	}
}
