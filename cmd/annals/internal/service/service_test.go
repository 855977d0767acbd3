package service

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/internal/freeport"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// mustStart starts a service that the test's end closes, if it isn't closed yet.
func mustStart(t *testing.T, o Options) *Service {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t *testing.T, s *Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// freeAddress is one that a service can be told to listen on.
func freeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freeport.Find(t, 1)[0])
}

func recordNamed(id string) string {
	return fmt.Sprintf(`{"id":%q,"type":"app.renamed","actor":{"type":"user","id":"u1"}}`, id)
}

// post records over HTTP and returns the status and the answer.
func post(t *testing.T, s *Service, id string) (int, string) {
	t.Helper()
	res, err := http.Post(s.URL()+"/v1/workspaces/ws_7/records?wait=recorded", "application/json", strings.NewReader(recordNamed(id)))
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

// TestProducersComeAfterTheMark: a producer that tries to connect without end
// gets in only after the mark of each start.
func TestProducersComeAfterTheMark(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.NATSListen = freeAddress(t)
	stop := make(chan struct{})
	pushed := make(chan struct{})
	go push(o.NATSListen, stop, pushed)
	defer func() {
		close(stop)
		<-pushed
	}()
	size := uint64(2) // genesis and seed
	for start := range 2 {
		s := mustStart(t, o)
		head := s.Ledger().Head()
		for head.Size <= size+1 { // until a record is in, too
			var err error
			if head, err = s.Ledger().Wait(t.Context(), head.Size); err != nil {
				t.Fatal(err)
			}
		}
		first, _, err := s.Ledger().Get(size)
		if err != nil {
			t.Fatal(err)
		}
		if first.Entry.Kind != chain.KindControl || chain.ControlType(first.Entry.Code) != chain.ControlMark {
			t.Errorf("start %d: entry %d is a %s, not the mark", start, size, first.Entry.Kind)
		}
		mustClose(t, s)
		// What stood in the stream and was not folded comes first the next time.
		size = s.pumpedSize(t)
	}
}

// pumpedSize starts the service once more, quietly, to see how large the ledger
// is when all of the stream is folded.
func (s *Service) pumpedSize(t *testing.T) uint64 {
	t.Helper()
	o := s.o
	o.NATSListen = "127.0.0.1:0" // nobody is pushing there
	again := mustStart(t, o)
	defer mustClose(t, again)
	info, err := again.streamInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head := again.Ledger().Head()
	for head.State.Sequence < info.State.LastSeq {
		if head, err = again.Ledger().Wait(t.Context(), head.Size); err != nil {
			t.Fatal(err)
		}
	}
	return head.Size
}

// push publishes as fast as it can connect.
func push(address string, stop, done chan struct{}) {
	defer close(done)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		nc, err := nats.Connect("nats://"+address, nats.Timeout(time.Second), nats.NoReconnect())
		if err != nil {
			continue
		}
		_, _ = nc.Request("activity.ws_7.app.renamed", []byte(recordNamed(fmt.Sprint("push", n))), time.Second)
		nc.Close()
	}
}

// TestStrangerStream: a stream that an older copy was put in place of lets nobody
// in and records nothing; what was recorded can be read.
func TestStrangerStream(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	if status, body := post(t, s, "before"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	mustClose(t, s)
	older := filepath.Join(t.TempDir(), "older")
	stream := filepath.Join(o.Data, datadir.Stream)
	if err := os.CopyFS(older, os.DirFS(stream)); err != nil {
		t.Fatal(err)
	}
	s = mustStart(t, o)
	if status, body := post(t, s, "after"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	mustClose(t, s)
	size := s.Ledger().Head().Size

	if err := os.RemoveAll(stream); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, stream); err != nil {
		t.Fatal(err)
	}
	o.NATSListen = freeAddress(t)
	s = mustStart(t, o)
	if nc, err := nats.Connect("nats://" + o.NATSListen); err == nil {
		nc.Close()
		t.Error("producers are let in")
	}
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "rewound") {
		t.Errorf("ready says %v", err)
	}
	if url := s.NATSURL(); url != "" {
		t.Errorf("producers are let in at %s", url)
	}
	if status, body := post(t, s, "later"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"not_recording"`) {
		t.Errorf("recording answers %d %s", status, body)
	}
	res, err := http.Get(s.URL() + "/v1/workspaces/ws_7/timeline")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("reading answers %s", res.Status)
	}
	if got := s.Ledger().Head().Size; got != size {
		t.Errorf("the ledger went from %d to %d entries", size, got)
	}
}

// TestAlignsProjections: projections of a history that the ledger has not, after
// a ledger was put back, are folded anew.
func TestAlignsProjections(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	if status, body := post(t, s, "one"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	mustClose(t, s)
	other := options(filepath.Join(t.TempDir(), "other"))
	mustClose(t, mustStart(t, other))
	foreign := filepath.Join(other.Data, datadir.Projections)
	own := filepath.Join(o.Data, datadir.Projections)
	if err := os.RemoveAll(own); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(foreign, own); err != nil {
		t.Fatal(err)
	}
	s = mustStart(t, o)
	if err := s.Projections().Wait(t.Context(), s.Ledger().Head().Size); err != nil {
		t.Fatal(err)
	}
	if !aligned(s.Ledger(), s.Projections()) {
		t.Error("the projections are not the ledger's")
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "localhost": true,
		"": false, "0.0.0.0": false, "::": false, "192.0.2.1": false, "no.such.host.invalid": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
