package ingest_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/internal/freeport"
	"annals/ledger/chain"
)

// stopsWith reads until the reader's verdict, which must be final and of type E.
func stopsWith[E error](t *testing.T, r *ingest.Reader) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, err := r.Next(ctx)
		if err == nil {
			continue
		}
		var verdict E
		if !errors.As(err, &verdict) {
			t.Fatalf("got %v (trouble: %v), want a %T", err, r.Trouble(), verdict)
		}
		if _, again := r.Next(ctx); !errors.Is(again, err) {
			t.Errorf("the verdict is not final: then %v", again)
		}
		return verdict
	}
}

// opensWith opens a reader and expects a verdict of type E.
func opensWith[E error](t *testing.T, s *bench, o ingest.ReaderOptions) E {
	t.Helper()
	r, err := ingest.OpenReader(t.Context(), s.ledger, o)
	if err == nil {
		r.Close()
	}
	var verdict E
	if !errors.As(err, &verdict) {
		t.Fatalf("got %v, want a %T", err, verdict)
	}
	return verdict
}

// fill publishes n messages and returns the position after the last.
func fill(t *testing.T, s *bench, n int) chain.Position {
	t.Helper()
	for range n {
		s.say(t, "activity.ws_1.a", `{"id":"1"}`)
	}
	r := reader(t, s.ledger, chain.Position{})
	read(t, r, s.last(t))
	return r.Position()
}

func TestReaderResumes(t *testing.T) {
	s := start(t)
	at := fill(t, s, 5)
	if at.Sequence != 5 || at.Digest == (chain.Hash{}) {
		t.Fatalf("got position %+v", at)
	}
	r := reader(t, s.ledger, at)
	go func() {
		time.Sleep(50 * time.Millisecond)
		s.js.Publish(context.Background(), "activity.ws_1.b", []byte("later"))
	}()
	if got := read(t, r, 6); len(got) != 1 || string(got[0].Body) != "later" || got[0].Subject != "activity.ws_1.b" {
		t.Fatalf("got %+v", got)
	}
	if r.Identity().Created.IsZero() || r.Identity().Name != ingest.Stream {
		t.Errorf("got identity %+v", r.Identity())
	}
}

func TestReaderBounds(t *testing.T) {
	s := start(t)
	fill(t, s, 20)
	for _, c := range []struct {
		name            string
		messages, bytes int
		most            int
	}{{"count", 3, 0, 3}, {"bytes", 0, 25, 3}, {"one at least", 0, 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			r, err := ingest.OpenReader(t.Context(), s.ledger, ingest.ReaderOptions{MaxMessages: c.messages, MaxBytes: c.bytes})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for n := 0; n < 20; {
				batch, err := r.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(batch) == 0 || len(batch) > c.most {
					t.Fatalf("got %d messages, want 1 to %d", len(batch), c.most)
				}
				n += len(batch)
			}
		})
	}
}

func TestReaderContext(t *testing.T) {
	s := start(t)
	r := reader(t, s.ledger, chain.Position{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	s.say(t, "activity.ws_1.a", "x")
	read(t, r, 1) // the context's error is not final
}

func TestHole(t *testing.T) {
	s := start(t)
	fill(t, s, 9)
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{4, 5} {
		if err := st.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	r := reader(t, s.ledger, chain.Position{})
	read(t, r, 3)
	if v := stopsWith[*ingest.HoleError](t, r); v.Missing != 4 || v.Next != 6 {
		t.Errorf("got %+v", v)
	}
	if at := r.Position(); at.Sequence != 3 {
		t.Errorf("the reader went on to %d", at.Sequence)
	}
}

func TestRetention(t *testing.T) {
	s := start(t)
	at := fill(t, s, 9)
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(t.Context(), jetstream.WithPurgeSequence(7)); err != nil {
		t.Fatal(err)
	}
	v := opensWith[*ingest.RetentionError](t, s, ingest.ReaderOptions{Position: chain.Position{Sequence: 3}})
	if v.First != 7 || v.Folded != 3 {
		t.Errorf("got %+v", v)
	}
	// What is folded may be trimmed: up to the last one, and that one too.
	reader(t, s.ledger, chain.Position{Sequence: 6})
	if err := st.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := reader(t, s.ledger, at)
	s.say(t, "activity.ws_1.a", "next")
	read(t, r, 10)

	// And past a reader that is reading.
	r = reader(t, s.ledger, at)
	s.say(t, "activity.ws_1.a", "trimmed before it is read")
	s.say(t, "activity.ws_1.a", "last")
	if err := st.Purge(t.Context(), jetstream.WithPurgeSequence(12)); err != nil {
		t.Fatal(err)
	}
	if v := stopsWith[*ingest.RetentionError](t, r); v.First != 12 || v.Folded != 9 {
		t.Errorf("got %+v", v)
	}
}

func TestRecreated(t *testing.T) {
	s := start(t)
	at := fill(t, s, 3)
	r := reader(t, s.ledger, at)
	was := r.Identity()
	first := read(t, reader(t, s.ledger, chain.Position{}), 1)[0]
	if err := s.js.DeleteStream(t.Context(), ingest.Stream); err != nil {
		t.Fatal(err)
	}
	opensWith[error](t, s, ingest.ReaderOptions{Position: at})
	if _, err := ingest.OpenReader(t.Context(), s.ledger, ingest.ReaderOptions{Position: at}); !errors.Is(err, ingest.ErrNoStream) {
		t.Errorf("without a stream: got %v", err)
	}
	afterDeleting(t, func() error { return ingest.EnsureStream(t.Context(), s.ledger, ingest.StreamOptions{}) })
	for range 5 {
		s.say(t, "activity.ws_1.a", `{"id":"1"}`)
	}
	if v := opensWith[*ingest.RecreatedError](t, s, ingest.ReaderOptions{Position: at, Identity: was}); v.Field != "created" {
		t.Errorf("got %+v", v)
	}
	genesis := ingest.Identity{First: 1, Digest: first.Digest()}
	if v := opensWith[*ingest.RecreatedError](t, s, ingest.ReaderOptions{Identity: genesis}); v.Field != "first message" || v.Want != first.Digest().String() {
		t.Errorf("got %+v", v)
	}
	// The reader that was open all the while finds out too: either that there was
	// no stream, or that it is another one.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := r.Next(ctx)
	var v *ingest.RecreatedError
	if !errors.As(err, &v) && !errors.Is(err, ingest.ErrNoStream) {
		t.Errorf("the open reader: got %v", err)
	}
}

// TestRestoredFolder puts an older copy of the server's folder back, as a restored
// backup does: the stream is rewound, and once it is published to again, forked.
func TestRestoredFolder(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	run := func(dir string) *bench {
		return startIn(t, broker.Options{StoreDir: dir}, ingest.StreamOptions{})
	}
	s := run(dir)
	fill(t, s, 4)
	s.ledger.Close()
	s.Close()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = run(dir)
	for range 3 {
		s.say(t, "activity.ws_1.a", "folded")
	}
	r := reader(t, s.ledger, chain.Position{})
	read(t, r, 7)
	at, was := r.Position(), r.Identity()
	s.Close()

	s = run(copied)
	if v := opensWith[*ingest.RewoundError](t, s, ingest.ReaderOptions{Position: at, Identity: was}); v.Last != 4 || v.Folded != 7 {
		t.Errorf("got %+v", v)
	}
	for range 5 {
		s.say(t, "activity.ws_1.a", "written anew")
	}
	if v := opensWith[*ingest.ForkedError](t, s, ingest.ReaderOptions{Position: at, Identity: was}); v.Sequence != 7 || v.Want != at.Digest || v.Got == v.Want {
		t.Errorf("got %+v", v)
	}
}

// TestReaderSurvivesRestart: the server goes and comes back on its port; the
// reader goes on where it was. When it comes back with an older folder, the reader
// stops instead.
func TestReaderSurvivesRestart(t *testing.T) {
	const config = "jetstream: { sync_interval: always }"
	dir, older := t.TempDir(), t.TempDir()
	port := freeport.Find(t, 1)[0]
	srv := plainIn(t, dir, port, config)
	nc, err := nats.Connect(srv.ClientURL(), ingest.ConnOptions("reader", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, nc, ingest.PublisherOptions{})
	say := func() {
		t.Helper()
		if _, err := p.Publish(t.Context(), "ws_1", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	say()
	r := reader(t, nc, chain.Position{})
	read(t, r, 1)
	stop()
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := r.Next(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("while the server is away: got %v", err)
		}
		if r.Trouble() != nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal("while the server is away the reader knows of no trouble")
		}
	}
	srv = plainIn(t, dir, port, config)
	for range 3 {
		say()
	}
	read(t, r, 4)
	if err := r.Check(t.Context()); err != nil || r.Trouble() != nil {
		t.Errorf("got %v, trouble %v", err, r.Trouble())
	}
	stop()
	srv = plainIn(t, older, port, config)
	if v := stopsWith[*ingest.RewoundError](t, r); v.Last != 1 || v.Folded != 4 {
		t.Errorf("got %+v", v)
	}
}
