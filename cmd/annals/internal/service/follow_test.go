package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/projections"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ask sends a request without a body, and returns the status and the answer.
func ask(t *testing.T, s *Service, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestRebuildWhileRecording rebuilds one generation after the other while records
// come: each is on the timeline as soon as it is said to be recorded, and the
// follower goes on over every swap. A stop in the middle of a rebuild is a clean
// one, and the next start goes on.
func TestRebuildWhileRecording(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.fresh = time.Minute // a busy machine folds late
	s := mustStart(t, o)
	const records = 60
	for n := range records {
		if n%6 == 0 {
			if status, body := ask(t, s, "POST", "/v1/indexes/rebuild"); status != http.StatusAccepted && status != http.StatusConflict {
				t.Fatal(status, body)
			}
		}
		if status, body := post(t, s, fmt.Sprint("r", n)); status != http.StatusOK {
			t.Fatal(status, body)
		}
		status, body := ask(t, s, "GET", "/v1/workspaces/ws_7/timeline?limit=1")
		if want := fmt.Sprintf(`"total":%d`, n+1); status != http.StatusOK || !strings.Contains(body, want) {
			t.Fatalf("after %d records: %d %s", n+1, status, body)
		}
	}
	for late := time.Now().Add(time.Minute); s.Projections().Progress().Running && time.Now().Before(late); {
		time.Sleep(5 * time.Millisecond)
	}
	if p := s.Projections().Progress(); p.Generation < 3 || p.Err != nil {
		t.Errorf("%+v", p)
	}
	if err := s.Projections().Wait(t.Context(), s.Ledger().Head().Size); err != nil || !aligned(s.Ledger(), s.Projections()) {
		t.Errorf("the projections are not the ledger's: %v", err)
	}
	if status, body := ask(t, s, "POST", "/v1/indexes/rebuild"); status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	mustClose(t, s)
	s = mustStart(t, o)
	if err := s.Projections().Wait(t.Context(), s.Ledger().Head().Size); err != nil {
		t.Error(err)
	}
	if status, body := ask(t, s, "GET", "/v1/workspaces/ws_7/timeline?limit=1"); status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"total":%d`, records)) {
		t.Errorf("after the restart: %d %s", status, body)
	}
}

// TestFollowsFromFarBehind folds a ledger that grew without anybody following,
// and then what comes.
func TestFollowsFromFarBehind(t *testing.T) {
	stream := chaintest.New("far behind")
	l, err := ledger.Create("ledger", stream.Messages[0], stream.Messages[1], ledger.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 1000
	body := strings.Repeat(`{"type":"t","actor":{"id":"u"}}`+"\n", lines)
	grow := func(n int) {
		t.Helper()
		for range n {
			stream.Publish("activity.ws._", body, "Content-Type", chain.NDJSON)
		}
		if err := l.Append(t.Context(), stream.Messages[l.Position().Sequence:]); err != nil {
			t.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	grow(followFar/lines + 5)
	p, err := projections.OpenLive("projections", l.ID(), projections.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	stop := beside(func(ctx context.Context) error { return Follow(ctx, l, p, slog.New(slog.DiscardHandler)) })
	defer func() {
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("the follower ended with %v", err)
		}
		if err := errors.Join(p.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}()
	for range 3 {
		if err := p.Wait(t.Context(), l.Head().Size); err != nil || !aligned(l, p) {
			t.Fatalf("%v: the projections are not the ledger's", err)
		}
		v, err := p.View()
		if err != nil {
			t.Fatal(err)
		}
		leaf, _, err := l.Get(v.Cursor() - 1)
		if err != nil {
			t.Fatal(err)
		}
		n, err := v.Count(t.Context(), projections.Query{Workspace: leaf.Entry.Workspace})
		if err != nil || n.N != v.Cursor()-2 { // but genesis and seed
			t.Errorf("%d records of %d entries: %v", n.N, v.Cursor(), err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		grow(1)
	}
}
