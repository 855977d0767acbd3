package access

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
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
		end, err := g.Begin(t.Context(), p, w)
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

// TestStrangers: an address that shows nothing but tokens which are not good is told so
// often and no more, and is answered late then. A good token from there gets in, and
// other addresses are none of its business.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBook(t, &disk{})
		_, token := add(t, b, "one", "*")
		g := mustGate(t, Options{Keys: b, Limits: Limits{Refusals: 0.5}, Hold: time.Second, Now: func() time.Time { return now }})
		ask := func(token, from string) (*problem.Problem, time.Duration) {
			began := time.Now()
			_, err := g.Enter(httptest.NewRecorder(), &http.Request{RemoteAddr: from, Header: http.Header{"Authorization": {"Bearer " + token}}})
			return problem.As(err), time.Since(began)
		}
		for from, others := range map[string][]string{
			"192.0.2.1:1":        {"192.0.2.2:1"},
			"[2001:db8::1]:7":    {"[2001:db8:0:1::1]:7"},
			"[::ffff:9.9.9.9]:7": {"8.8.8.8:7", "[2001:db8:0:2::1]:7"},
		} {
			for range 5 {
				if p, took := ask("ann_x", from); p.Status != http.StatusUnauthorized || took != 0 {
					t.Fatalf("%s: %v after %v", from, p, took)
				}
			}
			if p, took := ask("ann_x", from); p.Code != problem.RateLimited || p.GetHeaders().Get("Retry-After") != "2" || !aboutASecond(took) {
				t.Errorf("%s: %v %v after %v", from, p, p.GetHeaders(), took)
			}
			w := httptest.NewRecorder()
			if _, err := g.Enter(w, &http.Request{RemoteAddr: from, Header: http.Header{"Authorization": {"Bearer " + token}}}); err != nil || !strings.HasPrefix(w.Header().Get("RateLimit"), `"token"`) {
				t.Errorf("a good token from %s: %v %v", from, err, w.Header())
			}
			for _, other := range others {
				if p, _ := ask("ann_x", other); p.Status != http.StatusUnauthorized {
					t.Errorf("from %s: %v", other, p)
				}
			}
		}
		// All addresses of an IPv6 network are one.
		for i := range 5 {
			ask("ann_x", fmt.Sprintf("[2001:db8:0:9::%d]:7", i))
		}
		if p, _ := ask("ann_x", "[2001:db8:0:9:1:2:3:4]:7"); p.Code != problem.RateLimited {
			t.Errorf("%v", p)
		}
	})
}

// TestRefusedLate: whoever is beyond a limit of their own is answered late, and not at
// all where they have gone.
func TestRefusedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBook(t, &disk{})
		_, token := add(t, b, "one", "*")
		g := mustGate(t, Options{Keys: b, Limits: Limits{PerSecond: 1, Burst: 1, Queries: 1}, Hold: time.Second, Now: func() time.Time { return now }})
		enter := func(ctx context.Context) (*Principal, time.Duration, error) {
			began := time.Now()
			r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
			p, err := g.Enter(httptest.NewRecorder(), r.WithContext(ctx))
			return p, time.Since(began), err
		}
		p, took, err := enter(t.Context())
		if err != nil || took != 0 {
			t.Fatal(err, took)
		}
		if _, took, err = enter(t.Context()); !problem.Is(err, problem.RateLimited) || !aboutASecond(took) {
			t.Errorf("%v after %v", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, took, err = enter(ctx); !problem.Is(err, problem.RateLimited) || took != time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		end, err := g.Begin(t.Context(), p, Query)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		began := time.Now()
		if _, err := g.Begin(t.Context(), p, Query); !problem.Is(err, problem.TooManyAtOnce) || !aboutASecond(time.Since(began)) {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
