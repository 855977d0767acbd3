package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/internal/freeport"
	"annals/ledger/chain"
)

func publisher(tb testing.TB, nc *nats.Conn, o ingest.PublisherOptions) *ingest.Publisher {
	tb.Helper()
	p, err := ingest.NewPublisher(nc, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		p.Close(ctx)
	})
	return p
}

// records are those of a message, as the fold would cut it.
func records(m chain.Message) [][]byte {
	if v := m.Header["Content-Type"]; len(v) == 1 && v[0] == chain.NDJSON {
		return bytes.Split(m.Body, []byte{'\n'})
	}
	return [][]byte{m.Body}
}

// TestAcksNameTheRecord: whatever way the records travel, with several publishers
// and single messages between their batches, each acknowledgement names the
// sequence and the place where that record, and no other, stands.
func TestAcksNameTheRecord(t *testing.T) {
	for _, o := range []ingest.PublisherOptions{
		{AsIs: true}, {AsIs: true, Separate: true}, {AsIs: true, MaxLines: 3, MaxBatch: 4}, {AsIs: true, MaxFlights: 1, MaxMessage: 200},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			s := start(t)
			const publishers, callers, each = 3, 4, 60
			var mu sync.Mutex
			want := make(map[string]ingest.Ack)
			var all sync.WaitGroup
			for p := range publishers {
				pub := publisher(t, s.producer, o)
				for c := range callers {
					all.Go(func() {
						rng := rand.New(rand.NewPCG(uint64(p), uint64(c)))
						var waiting []*ingest.Pending
						var names []string
						for i := range each {
							record := fmt.Sprintf(`{"id":"%d-%d-%d"}`, p, c, i)
							if rng.IntN(10) == 0 {
								record = strings.Replace(record, ":", ":\n", 1)
							}
							r, err := pub.PublishAsync(t.Context(), fmt.Sprintf("ws_%d", rng.IntN(5)), chain.OwnType, []byte(record))
							if err != nil {
								t.Error(err)
								return
							}
							waiting, names = append(waiting, r), append(names, record)
							if rng.IntN(20) == 0 {
								r.Wait(t.Context())
							}
						}
						mu.Lock()
						defer mu.Unlock()
						for i, r := range waiting {
							ack, err := r.Wait(t.Context())
							if err != nil {
								t.Error(err)
							}
							want[names[i]] = ack
						}
					})
				}
			}
			all.Go(func() {
				for range 50 {
					s.say(t, "activity.ws_0.between", "a message between the batches")
				}
			})
			all.Wait()
			for _, m := range read(t, reader(t, s.ledger, chain.Position{}), s.last(t)) {
				lines := records(m)
				for place, record := range lines {
					ack, ok := want[string(record)]
					if !ok {
						continue
					}
					delete(want, string(record))
					if ack.Sequence != m.Sequence || int(ack.Place) != place || int(ack.Count) != len(lines) {
						t.Fatalf("%s: acknowledged as %+v, stands at sequence %d, place %d of %d", record, ack, m.Sequence, place, len(lines))
					}
				}
			}
			if len(want) != 0 {
				t.Errorf("%d acknowledged records are not in the stream", len(want))
			}
		})
	}
}

func TestPublishedBytes(t *testing.T) {
	s := start(t)
	p := publisher(t, s.producer, ingest.PublisherOptions{})
	for _, c := range []struct {
		name, typ, record, subject string
	}{
		{"alone", "_", `{"id":"1","type":"a.b"}`, "activity.ws_1._"},
		{"typed", "a.b", `{"id":"1"}`, "activity.ws_1.a.b"},
		{"with a line feed", "_", "{\n\"id\":\"1\"}\n", "activity.ws_1._"},
		{"with a carriage return", "_", "{\"id\":\"1\"}\r", "activity.ws_1._"},
		{"no JSON", "_", "garbage", "activity.ws_1._"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := p.PublishAsync(t.Context(), "ws_1", c.typ, []byte(c.record))
			if err != nil {
				t.Fatal(err)
			}
			ack, err := r.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m, err := ingest.Get(t.Context(), s.ledger, ack.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != c.subject || string(m.Body) != c.record || m.Header["Content-Type"] != nil || ack.Count != 1 || ack.ID != "" {
				t.Errorf("got %+v of %+v", m, ack)
			}
		})
	}
	t.Run("given an id", func(t *testing.T) {
		ack, err := p.PublishTyped(t.Context(), "ws_1", "a", []byte(`{"actor":{"id":"x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		m, err := ingest.Get(t.Context(), s.ledger, ack.Sequence)
		if want := `{"id":"` + ack.ID + `","actor":{"id":"x"}}`; err != nil || string(m.Body) != want || len(ack.ID) != 26 {
			t.Errorf("got %s, %v; want %s", m.Body, err, want)
		}
	})
}

func TestNotAccepted(t *testing.T) {
	s := start(t)
	p := publisher(t, s.producer, ingest.PublisherOptions{})
	for _, c := range []struct {
		name, workspace, typ, record string
		want                         error
	}{
		{"workspace with a dot", "a.b", "_", "{}", ingest.ErrSubject},
		{"workspace as a wildcard", "*", "_", "{}", ingest.ErrSubject},
		{"reserved workspace", "_system", "_", "{}", ingest.ErrSubject},
		{"no workspace", "", "_", "{}", ingest.ErrSubject},
		{"type with a space", "w", "a b", "{}", ingest.ErrSubject},
		{"type as a wildcard", "w", ">", "{}", ingest.ErrSubject},
		{"type with an empty token", "w", "a..b", "{}", ingest.ErrSubject},
		{"type that ends in a dot", "w", "a.", "{}", ingest.ErrSubject},
		{"no type", "w", "", "{}", ingest.ErrSubject},
		{"no record", "w", "_", "", ingest.ErrEmpty},
		{"too large", "w", "_", strings.Repeat("x", 1<<20), ingest.ErrTooLarge},
	} {
		if _, err := p.PublishTyped(t.Context(), c.workspace, c.typ, []byte(c.record)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Publish(t.Context(), "w", []byte("{}")); !errors.Is(err, ingest.ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	if last := s.last(t); last != 0 {
		t.Errorf("%d messages were stored", last)
	}
}

// TestFullStream: producers wait, hear why, and go on once there is room.
func TestFullStream(t *testing.T) {
	s := startIn(t, broker.Options{StoreDir: t.TempDir()}, ingest.StreamOptions{MaxBytes: 8 << 10})
	p := publisher(t, s.producer, ingest.PublisherOptions{MaxPending: 8 << 10})
	var waiting []*ingest.Pending
	var ctx context.Context
	for i, late := 0, time.Now().Add(time.Minute); ; i++ {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
		r, err := p.PublishAsync(ctx, "ws_1", chain.OwnType, sample(i))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ingest.ErrStreamFull) && time.Now().Before(late) {
			continue // the server has not said yet that it is full
		}
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ingest.ErrStreamFull) {
				t.Fatalf("without room: got %v", err)
			}
			break
		}
		waiting = append(waiting, r)
	}
	if _, err := waiting[len(waiting)-1].Wait(ctx); !errors.Is(err, ingest.ErrPending) || !errors.Is(err, ingest.ErrStreamFull) {
		t.Fatalf("waiting: got %v", err)
	}
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	config := st.CachedInfo().Config
	config.MaxBytes = 1 << 20
	if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for _, r := range waiting {
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeniedSubject: a producer that may not publish for one workspace hears so,
// and its other records in the same batch don't suffer.
func TestDeniedSubject(t *testing.T) {
	s := start(t)
	nc, err := nats.Connect(s.ClientURL(), ingest.ConnOptions("door", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	p := publisher(t, nc, ingest.PublisherOptions{Root: ingest.RootVouched, AckWait: 200 * time.Millisecond}) // which producers may not
	if _, err := p.Publish(t.Context(), "ws_1", []byte("{}")); !errors.Is(err, ingest.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	if _, err := p.Publish(t.Context(), "_system", []byte("{}")); !errors.Is(err, ingest.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// TestSuppressedIsNotAccepted: an acknowledgement that calls the message a
// duplicate is one of a message that was dropped.
func TestSuppressedIsNotAccepted(t *testing.T) {
	_, _, err := ingest.ReadAck(&nats.Msg{Data: []byte(`{"stream":"ANNALS","seq":7,"duplicate":true}`)})
	if !errors.Is(err, ingest.ErrSuppressed) {
		t.Errorf("got %v", err)
	}
}

// TestCloseWithoutServer: what can't be sent fails, each record with the truth
// about itself, and Close comes back.
func TestCloseWithoutServer(t *testing.T) {
	s := start(t)
	p := publisher(t, s.producer, ingest.PublisherOptions{MaxFlights: 1})
	s.Close()
	r, err := p.PublishAsync(t.Context(), "ws_1", chain.OwnType, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: got %v", err)
	}
	if _, err := r.Wait(t.Context()); !errors.Is(err, ingest.ErrClosed) && !errors.Is(err, ingest.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// TestNothingAcknowledgedIsLost restarts the server under load, on its folder and
// port: every acknowledged record is there, in the message its Ack names.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	dir := t.TempDir()
	port := freeport.Find(t, 1)[0]
	s := startIn(t, broker.Options{StoreDir: dir, Port: port}, ingest.StreamOptions{})
	p := publisher(t, s.producer, ingest.PublisherOptions{AckWait: 300 * time.Millisecond, MaxMessage: 2 << 10})
	acked := make(map[string]ingest.Ack)
	var mu sync.Mutex
	var callers sync.WaitGroup
	stop := make(chan struct{})
	for c := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", c, i)
				ack, err := p.Publish(t.Context(), fmt.Sprintf("ws_%d", c%3), fmt.Appendf(nil, `{"id":"%s"}`, id))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[id] = ack
				mu.Unlock()
			}
		})
	}
	// more returns once so many more are acknowledged.
	more := func(n int) {
		t.Helper()
		count := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(acked)
		}
		for want, began := count()+n, time.Now(); count() < want; time.Sleep(time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatalf("after a minute %d records are acknowledged, not %d", count(), want)
			}
		}
	}
	for range 3 {
		more(30)
		s.ledger.Close()
		s.Close()
		time.Sleep(50 * time.Millisecond)
		s = startIn(t, broker.Options{StoreDir: dir, Port: port}, ingest.StreamOptions{})
	}
	more(30)
	close(stop)
	callers.Wait()
	for _, m := range read(t, reader(t, s.ledger, chain.Position{}), s.last(t)) {
		for place, record := range records(m) {
			id := strings.TrimSuffix(strings.TrimPrefix(string(record), `{"id":"`), `"}`)
			if ack, ok := acked[id]; ok && ack.Sequence == m.Sequence && int(ack.Place) == place {
				delete(acked, id)
			}
		}
	}
	if len(acked) != 0 {
		t.Errorf("%d acknowledged records are not where their acknowledgement says", len(acked))
	}
}
