package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"annals/internal/problem"
)

// limited is a gate with a clock, and a request of each of two tokens.
func limited(t *testing.T, o Limits) (g *Gate, clock *time.Time, one, two *http.Request) {
	t.Helper()
	b := mustBook(t, &disk{})
	at := now
	request := func(name string) *http.Request {
		_, token := add(t, b, name, "*")
		return &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
	}
	one, two = request("one"), request("two")
	return mustGate(t, Options{Keys: b, Limits: o, Now: func() time.Time { return at }}), &at, one, two
}

// TestRate: a token that asks too often is told when to come again, and takes
// nothing from another.
func TestRate(t *testing.T) {
	g, clock, one, two := limited(t, Limits{PerSecond: 2, Burst: 5})
	enter := func(r *http.Request) (http.Header, error) {
		w := httptest.NewRecorder()
		_, err := g.Enter(w, r)
		return w.Header(), err
	}
	for i := range 5 {
		h, err := enter(one)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := h.Get("RateLimit"), fmt.Sprintf(`"token";r=%d;t=%d`, 4-i, (i+2)/2); got != want {
			t.Errorf("request %d: RateLimit: %s, want %s", i, got, want)
		}
		if got := h.Get("RateLimit-Policy"); got != `"token";q=5;w=3` {
			t.Errorf("RateLimit-Policy: %s", got)
		}
	}
	h, err := enter(one)
	p := problem.As(err)
	if p.Code != problem.RateLimited || p.Status != http.StatusTooManyRequests || p.GetHeaders().Get("Retry-After") != "1" || h.Get("RateLimit") != `"token";r=0;t=3` {
		t.Errorf("%v %v %v", err, p.GetHeaders(), h)
	}
	if _, err := enter(two); err != nil {
		t.Errorf("another token: %v", err)
	}
	*clock = clock.Add(time.Second)
	for range 2 {
		if _, err := enter(one); err != nil {
			t.Error(err)
		}
	}
	if _, err := enter(one); !problem.Is(err, problem.RateLimited) {
		t.Errorf("a third in a second: %v", err)
	}
}

// TestAtOnce: work is counted in and out, for a token and for all.
func TestAtOnce(t *testing.T) {
	g, _, one, two := limited(t, Limits{Queries: 2, Overall: 3, Tails: 1})
	a, err := g.Authenticate(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.Authenticate(two)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(p *Principal, w Work, ok bool) func() {
		t.Helper()
		end, err := g.Begin(p, w)
		if ok != (err == nil) || err != nil && !problem.Is(err, problem.TooManyAtOnce) {
			t.Fatalf("%v", err)
		}
		return end
	}
	first := begin(a, Query, true)
	begin(a, Query, true)
	begin(a, Query, false)
	third := begin(b, Query, true)
	begin(b, Query, false) // of all
	first()
	first() // counted out once
	begin(b, Query, true)
	begin(b, Query, false)
	third()
	begin(a, Query, true)
	tail := begin(a, Tail, true)
	begin(a, Tail, false)
	begin(b, Tail, true)
	tail()
	begin(a, Tail, true)
}

// TestTokensAreForgotten: of tokens that ask for nothing any more nothing is kept.
func TestTokensAreForgotten(t *testing.T) {
	l := newLimiter(Limits{})
	end, err := l.begin("busy", Tail, now)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	at := now
	for i := range 20 * minSweep {
		at = at.Add(time.Second)
		if err := l.spend(http.Header{}, fmt.Sprint(i), at); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.by); n > 2*minSweep || l.by["busy"] == nil {
		t.Errorf("%d are remembered; the busy one: %v", n, l.by["busy"])
	}
}

// TestLimitsAreChecked: a limit that lets nobody in is a mistake.
func TestLimitsAreChecked(t *testing.T) {
	for _, l := range []Limits{{PerSecond: -1}, {Burst: -1}, {Queries: -1}, {Overall: -1}, {Tails: -1}} {
		if l.Check() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
	if err := (&Limits{PerSecond: 0.5, Tails: 1}).Check(); err != nil {
		t.Error(err)
	}
}
