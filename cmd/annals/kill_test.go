package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/client"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// TestKill kills the server under load, again and again. At the end every record
// that was acknowledged, over HTTP or over NATS, is in the ledger exactly once as
// a record, at the place and with the hash that its receipt said, and the ledger
// is clean. -kills says how often.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := &load{t: t, recorded: map[string]client.Outcome{}, accepted: map[string]bool{}, stop: make(chan struct{})}
	s := mustServe(t, dir)
	l.server.Store(s)
	var done sync.WaitGroup
	for n := range 3 {
		done.Go(func() { l.overHTTP(fmt.Sprintf("http%d", n)) })
	}
	done.Go(func() { l.overNATS("nats") })
	for range *kills {
		// Some work is done for sure; then any moment is as good as another.
		l.await(l.answered() + 200)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		s.kill()
		s = mustServe(t, dir)
		l.server.Store(s)
	}
	l.await(l.answered() + 200)
	close(l.stop)
	done.Wait()
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := annals(t, "verify", "--data", dir); status != 0 {
		t.Errorf("verify: status %d\n%s%s", status, out, errs)
	}
	l.compare(dir)
	t.Logf("%d kills; %d records recorded, %d accepted over NATS", *kills, len(l.recorded), len(l.accepted))
}

// load publishes until it is told to stop, and keeps what it was told.
type load struct {
	t      *testing.T
	server atomic.Pointer[server]
	stop   chan struct{}

	mu       sync.Mutex
	recorded map[string]client.Outcome
	accepted map[string]bool
}

func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.recorded) + len(l.accepted)
}

// await waits for a number of answers.
func (l *load) await(n int) {
	for late := time.Now().Add(startTimeout); l.answered() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			l.t.Errorf("%d answers within %s, want %d", l.answered(), startTimeout, n)
			return
		}
	}
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func killRecord(id string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"producer":"kill","type":"app.renamed","actor":{"type":"user","id":"u1"},"data":%q}`, id, bytes.Repeat([]byte{'x'}, 200))
}

// overHTTP records some at a time and waits until they are recorded; what got no
// answer it sends again with the same ids.
func (l *load) overHTTP(name string) {
	for n := 0; !l.stopped(); n++ {
		var ids []string
		var lines [][]byte
		for i := range 1 + n%20 {
			id := fmt.Sprintf("%s-%d-%d", name, n, i)
			ids, lines = append(ids, id), append(lines, killRecord(id))
		}
		for answered := false; !answered; {
			c, err := client.New(l.server.Load().url, client.Options{})
			if err != nil {
				l.t.Error(err)
				return
			}
			outcomes, err := c.Publish(l.t.Context(), "ws_kill", lines, false)
			if err != nil {
				if l.stopped() {
					return // nobody was told anything
				}
				time.Sleep(5 * time.Millisecond)
				continue
			}
			answered = true
			l.told(ids, outcomes)
		}
	}
}

func (l *load) told(ids []string, outcomes []client.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range outcomes {
		if o.Status != "recorded" && o.Status != "duplicate" {
			l.t.Errorf("%s: %s %s", ids[i], o.Status, o.Detail)
		}
		l.recorded[ids[i]] = o
	}
}

// overNATS publishes through the SDK, which reconnects by itself as long as the
// server keeps its address; here each server has a new one.
func (l *load) overNATS(name string) {
	for run := 0; !l.stopped(); run++ {
		if err := l.overOneConnection(fmt.Sprintf("%s-%d", name, run)); err != nil && !l.stopped() {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (l *load) overOneConnection(name string) error {
	s := l.server.Load()
	nc, err := nats.Connect(s.nats, nats.Timeout(time.Second), nats.NoReconnect())
	if err != nil {
		return err
	}
	defer nc.Close()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	defer func() {
		cancel()
		_ = p.Close(ctx)
	}()
	go func() { // when the server is gone, so is whoever waits for it
		select {
		case <-s.ended:
		case <-ctx.Done():
		}
		cancel()
	}()
	for n := 0; !l.stopped(); n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		if _, err := p.Publish(ctx, "ws_kill", killRecord(id)); err != nil {
			return err
		}
		l.mu.Lock()
		l.accepted[id] = true
		l.mu.Unlock()
	}
	return nil
}

// compare looks for everything that was acknowledged in the ledger itself.
func (l *load) compare(dir string) {
	t := l.t
	led, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	found := map[string]int{}
	var keys activity.Keys
	for leaf, err := range led.Leaves(t.Context(), 0, led.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		_, record := leaf.Record()
		if leaf.Entry.Kind == chain.KindControl || record == nil || activity.Scan(record, &keys) != nil {
			continue
		}
		switch leaf.Entry.Kind {
		case chain.KindRecord:
			found[strings.Clone(keys.ID)]++ // the id is a view of what the iterator yields
		case chain.KindDuplicate:
		default:
			t.Errorf("%s is a %s", keys.ID, leaf.Entry.Kind)
		}
		o, ok := l.recorded[keys.ID]
		if ok && o.Index != nil && *o.Index == leaf.Entry.Index && o.EntryHash != chain.LeafHash(leaf.Raw).String() {
			t.Errorf("%s stands at %d with another hash than its receipt says", keys.ID, leaf.Entry.Index)
		}
	}
	lost := func(id string) {
		if n := found[id]; n != 1 {
			t.Errorf("%s was acknowledged, and is in the ledger %d times as a record", id, n)
		}
	}
	for id := range l.recorded {
		lost(id)
	}
	for id := range l.accepted {
		lost(id)
	}
}
