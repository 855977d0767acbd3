package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"annals/internal/access/oidc/oidctest"
)

// knocker asks a door, in this process, with a token.
type knocker struct {
	door http.Handler
}

func (k knocker) knock(token string) (status int) {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	k.door.ServeHTTP(w, r)
	return w.Code
}

// TestRefusedCheaply: no hostile token makes the server allocate more than a few times
// its size, however it is put together: what it costs is bounded before it is looked at.
// How long each takes is a benchmark's to say.
func TestRefusedCheaply(t *testing.T) {
	p := oidctest.New(t)
	k := knocker{door(t, verifier(t, p, Options{})).Config.Handler}
	if got := k.knock(p.Token(nil)); got != http.StatusOK {
		t.Fatalf("a good token: %d", got)
	}
	tokens := oidctest.Hostile(t, p)
	k.knock(tokens["kid of nobody"]) // the one fetch in ten seconds
	const most = 256 << 10           // of a token that has 16 KiB at the most
	var before, after runtime.MemStats
	for name, token := range tokens {
		runtime.ReadMemStats(&before)
		if got := k.knock(token); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most+4*uint64(len(token)) {
			t.Errorf("%s: %d bytes were allocated for a token of %d", name, n, len(token))
		}
	}
}

// BenchmarkHostile says how long a door takes for each of the hostile tokens, in turn,
// and the longest of the medians of each: worst-ms is what docs/benchmarks.md tells.
func BenchmarkHostile(b *testing.B) {
	p := oidctest.New(b)
	k := knocker{door(b, verifier(b, p, Options{})).Config.Handler}
	tokens := oidctest.Hostile(b, p)
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, token := range tokens {
			began := time.Now()
			if got := k.knock(token); got != http.StatusUnauthorized {
				b.Fatalf("%s: %d", name, got)
			}
			took[name] = append(took[name], time.Since(began))
		}
	}
	var worst, longest time.Duration
	for _, all := range took {
		slices.Sort(all)
		worst, longest = max(worst, all[len(all)/2]), max(longest, all[len(all)-1])
	}
	b.ReportMetric(float64(len(tokens)), "tokens")
	b.ReportMetric(worst.Seconds()*1e3, "worst-ms")
	b.ReportMetric(longest.Seconds()*1e3, "longest-ms")
}
