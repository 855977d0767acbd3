package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// victim is a server that counts what comes, may refuse all of it, and cuts whom it has
// read from, or waited for, so long.
func victim(t *testing.T, patience time.Duration, answer http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.Config.ReadTimeout = patience
	s.Config.MaxHeaderBytes = 64 << 10
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func orders(kind Kind, address string) Orders {
	return Orders{Kind: kind, Address: address, Workspace: "ws_7", Readers: []string{"r1", "r2"}, Recorder: "w1", Many: 4}
}

// TestAttacks: each kind comes in the way that it says, is on once it says so, begins
// anew when it was refused or cut, and ends.
func TestAttacks(t *testing.T) {
	for kind, c := range map[Kind]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   func(*Tally) bool
	}{
		Stalled: {func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.String(), "/tail?after=0") || r.Header.Get("Authorization") == "" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}, func(t *Tally) bool { return t.Answered[429] > 8 }},
		Slowloris: {nil, func(t *Tally) bool { return t.Cut+t.Answered[408]+t.Answered[400] > 4 }},
		Queries: {func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("limit") != "1000" || len(q["type!"]) != 16 {
				t.Errorf("%s", r.URL)
			}
		}, func(t *Tally) bool { return t.Answered[200] > 8 && t.Opened == 4 }},
		Headers: {nil, func(t *Tally) bool { return t.Answered[431]+t.Cut > 8 }},
		Tokens: {func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
				t.Errorf("%v", r.Header)
			}
			w.WriteHeader(http.StatusUnauthorized)
		}, func(t *Tally) bool { return t.Answered[401] > 100 }},
	} {
		t.Run(string(kind), func(t *testing.T) {
			answer := c.answer
			if answer == nil {
				answer = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
			}
			patience := time.Minute
			if kind == Slowloris {
				patience = 200 * time.Millisecond
			}
			address := victim(t, patience, answer)
			ctx, cancel := context.WithCancel(t.Context())
			a := &attacker{Orders: orders(kind, address), tally: Tally{Answered: map[int]int{}}}
			begun, ended := make(chan struct{}), make(chan error, 1)
			go func() { ended <- a.run(ctx, sync.OnceFunc(func() { close(begun) })) }()
			<-begun
			for late := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				a.mu.Lock()
				done, came := c.want(&a.tally), fmt.Sprintf("%+v", a.tally)
				a.mu.Unlock()
				if done {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("after a minute: %s", came)
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNobodyThere: what is refused by the system is tried again, and ends too.
func TestNobodyThere(t *testing.T) {
	const address = "127.0.0.1:1"
	ctx, cancel := context.WithCancel(t.Context())
	tally, err := Run(ctx, orders(Tokens, address), cancel)
	if err != nil || tally.Opened != 0 {
		t.Errorf("%+v %v", tally, err)
	}
	for _, bad := range []Orders{{}, orders("storm", address), {Kind: Tokens, Many: 1}} {
		if _, err := Run(t.Context(), bad, func() {}); err == nil {
			t.Errorf("%+v are taken", bad)
		}
	}
}

// TestTurnedAway counts refusals and cuts, and no answers.
func TestTurnedAway(t *testing.T) {
	if got := (&Tally{Answered: map[int]int{200: 5, 304: 1, 401: 2, 429: 3}, Cut: 4}).TurnedAway(); got != 9 {
		t.Errorf("%d", got)
	}
}

// TestBadTokens: none is the same as another, and each goes into a header.
func TestBadTokens(t *testing.T) {
	seen := map[string]bool{}
	for n := range 300 {
		token := bad(n)
		if seen[token] || strings.ContainsAny(token, " \r\n") {
			t.Errorf("%s", token)
		}
		seen[token] = true
	}
	r := bufio.NewReader(strings.NewReader((&attacker{Orders: orders(Tokens, "x")}).get("/x", bad(1))))
	if _, err := http.ReadRequest(r); err != nil {
		t.Error(err)
	}
}
