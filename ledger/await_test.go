package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// waitFor lets as many wait for a record as are to.
func waitFor(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	for l.Awaited() != n {
		if t.Context().Err() != nil {
			t.Fatalf("%d messages are awaited, not %d", l.Awaited(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAwaitWakes: each of many who wait hears of its own record, in whatever
// portions the messages come, and none is left behind.
func TestAwaitWakes(t *testing.T) {
	for _, portion := range []int{1, 7, 100} {
		t.Run(fmt.Sprintf("portions of %d", portion), func(t *testing.T) {
			s := chaintest.New("await")
			for i := range 50 {
				s.Record("ws_1", fmt.Sprint(i), `1`)
			}
			l := create(t, s, ledger.Options{})
			defer l.Close()
			from := l.Head().State.Sequence
			var all sync.WaitGroup
			for _, m := range s.Messages {
				if m.Sequence <= from {
					continue
				}
				for range 3 {
					all.Go(func() {
						receipt, err := l.Await(t.Context(), m.Sequence, 0)
						if err != nil || receipt.Entry.Sequence != m.Sequence {
							t.Errorf("message %d: %+v, %v", m.Sequence, receipt, err)
						}
					})
				}
			}
			left := s.Messages[from:]
			waitFor(t, l, len(left))
			for len(left) > 0 {
				n := min(portion, len(left))
				if err := l.Append(t.Context(), left[:n]); err != nil {
					t.Fatal(err)
				}
				left = left[n:]
			}
			all.Wait()
			waitFor(t, l, 0)
		})
	}
}

// TestAwaitGivesUp: who waits no longer leaves nothing behind, and does not take
// another's waiting along.
func TestAwaitGivesUp(t *testing.T) {
	s := chaintest.New("give up")
	s.Record("ws_1", "a", `1`)
	l := create(t, s, ledger.Options{})
	defer l.Close()
	next := s.Messages[len(s.Messages)-1].Sequence
	stays := make(chan error, 1)
	go func() {
		_, err := l.Await(t.Context(), next, 0)
		stays <- err
	}()
	waitFor(t, l, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var leaves sync.WaitGroup
	for i := range 20 {
		leaves.Go(func() {
			if _, err := l.Await(ctx, next+uint64(i%5), 0); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	waitFor(t, l, 5)
	cancel()
	leaves.Wait()
	if n := l.Awaited(); n != 1 {
		t.Errorf("%d messages are awaited by nobody", n-1)
	}
	appendAll(t, l, s, anyOrder(1))
	if err := <-stays; err != nil {
		t.Error(err)
	}
}

// TestAwaitEnds: who waits for what will never come hears why.
func TestAwaitEnds(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		l := create(t, chaintest.New("closed"), ledger.Options{})
		got := make(chan error, 1)
		go func() {
			_, err := l.Await(t.Context(), 1000, 0)
			got <- err
		}()
		waitFor(t, l, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("got %v", err)
		}
		<-l.Stopped()
	})
	t.Run("a hole", func(t *testing.T) {
		s := chaintest.New("hole")
		s.Record("ws_1", "a", `1`)
		s.Record("ws_1", "b", `1`)
		l := create(t, s, ledger.Options{})
		defer l.Close()
		got := make(chan error, 1)
		last := s.Messages[len(s.Messages)-1:]
		go func() {
			_, err := l.Await(t.Context(), last[0].Sequence, 0)
			got <- err
		}()
		waitFor(t, l, 1)
		_ = l.Append(t.Context(), last)
		var hole *chain.SequenceError
		if err := <-got; !errors.As(err, &hole) {
			t.Errorf("got %v", err)
		}
		<-l.Stopped()
	})
}
