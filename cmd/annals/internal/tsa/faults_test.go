package tsa

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"annals/cmd/annals/internal/tsa/tsatest"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/digitorus/timestamp"
)

// stamped is a ledger that grows, and the tokens that it was given.
type stamped struct {
	mu     sync.Mutex
	size   uint64
	grew   chan struct{}
	tokens map[uint64][]byte
}

func (s *stamped) checkpoint() proof.Checkpoint {
	return proof.Checkpoint{Origin: "annals.example/stamped", Size: s.size, Root: chain.Hash{byte(s.size), byte(s.size >> 8)}}
}

func (s *stamped) grow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size++
	close(s.grew)
	s.grew = make(chan struct{})
}

func (s *stamped) next(ctx context.Context, after uint64) (proof.Checkpoint, error) {
	for {
		s.mu.Lock()
		c, grew := s.checkpoint(), s.grew
		s.mu.Unlock()
		if c.Size > after {
			return c, nil
		}
		select {
		case <-grew:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

func (s *stamped) publish(_ context.Context, c proof.Checkpoint, token []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[c.Size] = token
	return nil
}

// TestFaults: 200 times an authority is down, fails, stalls, lies or is well, and the
// process that asks it is started anew now and then. No token is taken that its roots
// don't prove over just this checkpoint, the ledger grows all the time, and when the
// authority is well the newest checkpoint has its token.
func TestFaults(t *testing.T) {
	a := tsatest.New(t, tsatest.Certificate{})
	status := func(code int) tsatest.Way {
		return tsatest.Way{HTTP: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(code)
		}}
	}
	ways := map[string]tsatest.Way{
		"fails":    status(http.StatusInternalServerError),
		"is empty": status(http.StatusOK),
		"is down":  {HTTP: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"stalls": {HTTP: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		"signs another digest": {Before: func(r *timestamp.Request) { r.HashedMessage[0] ^= 1 }},
		"gives another nonce":  {Token: func(t *timestamp.Timestamp) { t.Nonce = nil }},
		"breaks its signature": {Answer: func(b []byte) []byte { b[len(b)-3] ^= 1; return b }},
		"cuts its answer":      {Answer: func(b []byte) []byte { return b[:len(b)/2] }},
		"is well":              {},
	}
	var names []string
	for name := range ways {
		names = append(names, name)
	}
	r := rand.New(rand.NewPCG(1, 12))
	l := &stamped{size: 1, grew: make(chan struct{}), tokens: map[uint64][]byte{}}
	s := Stamper{
		Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler), Next: l.next, Publish: l.publish,
		Authority: Authority{URL: a.URL, Roots: a.Roots, Client: &http.Client{Timeout: 100 * time.Millisecond}},
	}
	start := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		return func() {
			cancel()
			<-done
		}
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for late := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	stop := start()
	defer func() { stop() }()
	counted := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.tokens)
	}
	tried := map[string]int{}
	for range 200 {
		name := names[r.IntN(len(names))]
		tried[name]++
		// A question that is under way is answered as before: two have to come.
		a.Do(ways[name])
		asked := a.Asked.Load()
		for range 2 {
			l.grow()
		}
		if name == "is well" {
			l.mu.Lock()
			newest := l.size
			l.mu.Unlock()
			until("the newest checkpoint has a token", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.tokens[newest] != nil
			})
			continue
		}
		until("it is asked: "+name, func() bool { return a.Asked.Load() > asked+1 })
		before := counted()
		until("and once more", func() bool { return a.Asked.Load() > asked+2 })
		if now := counted(); now != before {
			t.Fatalf("while it %s it gave %d tokens", name, now-before)
		}
		if r.IntN(6) == 0 {
			stop()
			stop = start()
		}
	}
	stop()
	judge := Judge(a.Roots)
	for size, token := range l.tokens {
		c := proof.Checkpoint{Origin: "annals.example/stamped", Size: size, Root: chain.Hash{byte(size), byte(size >> 8)}}
		if _, err := judge([]byte(c.Text()), token); err != nil {
			t.Errorf("the token of %d entries: %v", size, err)
		}
	}
	if len(tried) != len(ways) || len(l.tokens) < tried["is well"] {
		t.Errorf("%s, and %d tokens", fmt.Sprint(tried), len(l.tokens))
	}
}
