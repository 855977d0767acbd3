package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"annals/internal/problem"
)

// TestToldSlowly: however many connections somebody asks over who is beyond a limit, and
// asks again at once, no more than ten a second are told so, of a token as of an address;
// others are told as if there were none of these.
func TestToldSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBook(t, &disk{})
		_, greedy := add(t, b, "greedy", "*")
		_, other := add(t, b, "other", "*")
		g := mustGate(t, Options{Keys: b, Limits: Limits{PerSecond: 0.001, Burst: 1, Refusals: 0.001}, Hold: time.Second, Now: time.Now})
		ask := func(token, from string) (code problem.Code, took time.Duration) {
			began := time.Now()
			_, err := g.Enter(httptest.NewRecorder(), (&http.Request{RemoteAddr: from, Header: http.Header{"Authorization": {"Bearer " + token}}}).WithContext(t.Context()))
			if err != nil {
				code = problem.As(err).Code
			}
			return code, time.Since(began)
		}
		const lasts = 60 * time.Second
		for _, c := range []struct{ token, other, from, to string }{
			{greedy, other, "192.0.2.1:1", "192.0.2.1:1"},
			{"ann_x", "ann_y", "192.0.2.2:1", "192.0.2.3:1"},
		} {
			ask(c.token, c.from) // what it has saved up
			ask(c.other, c.to)
			until := time.Now().Add(lasts)
			var mu sync.Mutex
			told, latest := 0, time.Duration(0)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					for time.Now().Before(until) {
						code, took := ask(c.token, c.from)
						if code != problem.RateLimited || took < time.Second {
							t.Errorf("%s after %s", code, took)
						}
						mu.Lock()
						told, latest = told+1, max(latest, took)
						mu.Unlock()
					}
				})
			}
			time.Sleep(lasts / 2)
			if code, took := ask(c.other, c.to); code != problem.RateLimited || !aboutASecond(took) {
				t.Errorf("another beside it: %s after %s", code, took)
			}
			wg.Wait()
			if most := toldPerSecond * int((lasts+toldAfter)/time.Second); told > most || told < most/2 {
				t.Errorf("%d were told in %s, want %d at the most", told, lasts, most)
			}
			if latest > toldAfter+time.Second/2 {
				t.Errorf("one was told after %s", latest)
			}
		}
	})
}

// aboutASecond reports whether somebody was told after what these tests hold them for, and
// what chance adds.
func aboutASecond(took time.Duration) bool { return took >= time.Second && took <= 3*time.Second/2 }

// TestToldApart: who came together is not told together.
func TestToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGate(t, Options{Keys: mustBook(t, &disk{}), Hold: time.Second, Now: time.Now})
		var mu sync.Mutex
		told := map[time.Duration]int{}
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				began := time.Now()
				g.hold(t.Context(), fmt.Sprint(i%100)) // no more of each than may be told at once
				mu.Lock()
				defer mu.Unlock()
				told[time.Since(began).Truncate(50*time.Millisecond)]++
			})
		}
		wg.Wait()
		for after, n := range told {
			if !aboutASecond(after) || n > 150 { // a tenth of 500 on average
				t.Errorf("%d of 500 were told after %s", n, after)
			}
		}
	})
}

// TestLateness: whoever comes no more often than is usual doesn't wait, and whoever comes
// however often waits no longer than is said, nor for what was not waited for.
func TestLateness(t *testing.T) {
	l, at := NewLateness(10, 3*time.Second), now
	for range 10 {
		if d := l.Of("one", at); d != 0 {
			t.Fatalf("as much as a second's at once: %s", d)
		}
	}
	for i := 1; i < 1000; i++ {
		if d, want := l.Of("one", at), min(time.Duration(i)*time.Second/10, 3*time.Second); d != want {
			t.Fatalf("%d more: %s, want %s", i, d, want)
		}
	}
	if d := l.Of("two", at); d != 0 {
		t.Errorf("somebody else: %s", d)
	}
	at = at.Add(3*time.Second + time.Second/10)
	if d := l.Of("one", at); d != 0 {
		t.Errorf("once all have waited: %s", d)
	}
}
