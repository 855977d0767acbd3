package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/nats-io/nats.go"
)

// TestDue holds the schedule to docs/format/control.md.
func TestDue(t *testing.T) {
	start := time.UnixMilli(1_800_000_000_000)
	// A seed at the start, a mark right after it, and nothing since.
	idle := chain.State{
		Size: 3, Sequence: 3, SeedSequence: 2, SeedMillis: start.UnixMilli(), MarkSize: 3, Wall: start.UnixMilli(),
	}
	grown := idle
	grown.Size, grown.Sequence = 10, 10
	busy := grown
	busy.Sequence = idle.SeedSequence + 65536
	marked := busy // a mark covers everything
	marked.MarkSize = marked.Size
	for _, c := range []struct {
		name  string
		state chain.State
		after time.Duration
		want  chain.ControlType
	}{
		{"nothing yet", grown, 54 * time.Second, 0},
		{"a mark within the minute", grown, 56 * time.Second, chain.ControlMark},
		{"idle for a minute", idle, 2 * time.Minute, 0},
		{"idle for hours", idle, 6*time.Hour - time.Second, 0},
		{"idle for six hours", idle, 6 * time.Hour, chain.ControlMark},
		{"a seed each hour", grown, time.Hour, chain.ControlSeed},
		{"a seed each 65,536 messages", busy, time.Second, chain.ControlSeed},
		{"counted over marks too", marked, time.Second, chain.ControlSeed},
		{"the clock stepped back", grown, -time.Hour, 0},
	} {
		if got := due(&c.state, start.Add(c.after)); got != c.want {
			t.Errorf("%s: %d is due, want %d", c.name, got, c.want)
		}
	}
}

// site is a ledger on a stream, carried along by the test.
type site struct {
	t      *testing.T
	nc     *nats.Conn
	ledger *ledger.Ledger
	signer chain.Signer
	now    time.Time
}

func newSite(t *testing.T) *site {
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	ctx := t.Context()
	if err := ingest.EnsureStream(ctx, nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	begun := chaintest.NewKeyed("keeper")
	if _, _, err := ingest.PublishGenesis(ctx, nc, begun.Messages[0].Body, begun.Messages[1].Body); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, nc: nc, signer: begun.Keeper, now: time.Now()}
	r, err := ingest.OpenReader(ctx, nc, ingest.ReaderOptions{MaxMessages: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	var first []chain.Message
	for len(first) < 2 {
		more, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, more...)
	}
	s.ledger, err = ledger.Create("ledger", first[0], first[1], ledger.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		for {
			msgs, err := r.Next(ctx)
			if err != nil || s.ledger.Append(ctx, msgs) != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := s.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) signs(*chain.State) (chain.Signer, error) { return s.signer, nil }

func (s *site) keeper() *Keeper {
	return New(Options{
		Ledger: s.ledger, Conn: s.nc, Signer: s.signs, Every: time.Millisecond,
		Check: func(context.Context) error { return nil },
		Now:   func() time.Time { return s.now },
	})
}

// kinds lists what the ledger holds from an index on.
func (s *site) kinds(from uint64) (out []string) {
	for leaf, err := range s.ledger.Leaves(s.t.Context(), from, s.ledger.Head().Size) {
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %d", leaf.Entry.Kind, leaf.Entry.Code))
	}
	return out
}

// TestMarkIsAccepted: what the keeper signs, the fold lets in.
func TestMarkIsAccepted(t *testing.T) {
	s := newSite(t)
	if err := s.keeper().Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait(3)
	if got := fmt.Sprint(s.kinds(2)); got != "[control 3]" {
		t.Errorf("the ledger holds %s after its beginning, want a mark", got)
	}
	head := s.ledger.Head()
	if head.State.Wall != s.now.UnixMilli() {
		t.Errorf("the mark's wall time is %d, want %d", head.State.Wall, s.now.UnixMilli())
	}
}

// TestSteps lets hours pass: an hour and a record bring a seed and a mark, and
// then there is nothing to do.
func TestSteps(t *testing.T) {
	s := newSite(t)
	k := s.keeper()
	if err := k.Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := s.nc.Request("activity.ws_7.app.renamed", []byte(`{"actor":{"type":"system"}}`), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.folded(t.Context(), 4); err != nil {
		t.Fatal(err, string(m.Data))
	}
	s.now = s.now.Add(time.Hour)
	for range 4 {
		if err := k.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(s.kinds(3)); got != "[record 0 control 2 control 3]" {
		t.Errorf("the ledger holds %s, want the record, a seed and a mark", got)
	}
}

// TestRace: two keepers that find the same due publish it once.
func TestRace(t *testing.T) {
	s := newSite(t)
	s.now = s.now.Add(7 * time.Hour)
	results := make(chan error, 4)
	for range cap(results) {
		go func() { results <- s.keeper().step(t.Context()) }()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for _, kind := range s.kinds(2) {
		if kind != "control 2" && kind != "control 3" {
			t.Errorf("the ledger holds a %s: a race was not settled by the server", kind)
		}
	}
	if n := len(s.kinds(2)); n == 0 || n > cap(results) {
		t.Errorf("%d control messages", n)
	}
}

// TestChecksBeforeSigning: a stream that is not the ledger's gets no signature.
func TestChecksBeforeSigning(t *testing.T) {
	s := newSite(t)
	k := s.keeper()
	stranger := errors.New("rewound")
	k.o.Check = func(context.Context) error { return stranger }
	if err := k.Mark(t.Context()); !errors.Is(err, stranger) {
		t.Errorf("signed for a stranger: %v", err)
	}
	last, err := ingest.LastControl(t.Context(), s.nc)
	if err != nil || last != 2 {
		t.Errorf("the last control message is at %d (%v), want 2", last, err)
	}
}
