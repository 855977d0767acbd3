package query

import (
	"flag"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"annals/internal/access"
	"annals/ledger/chain"
)

var timings = flag.Int("timings", 0, "how often TestTimingOfTwo404s times each of the two kinds of 404; 10000 says something")

// TestTimingOfTwo404s asks for a record of another workspace's, and for one under its
// index that never was. They cost the same allocations, which shows that the same is
// done for both. How long they took is measured where that is asked for, and not judged:
// of a pair drawn at random the one is slower as often as the other where 0.5 is shown.
func TestTimingOfTwo404s(t *testing.T) {
	s, keys := behind(t, Options{})
	for range 50 {
		s.more("ws_a", 100)
	}
	s.settle()
	token := keys.mint(t, access.Read, "ws_b")
	var foreign, never []string
	for index := uint64(10); index < 1010; index++ {
		leaf, _, err := s.api.o.Ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		id := leaf.Entry.ULID
		foreign = append(foreign, "/v1/workspaces/ws_b/records/"+id.String())
		other := chain.MakeULID(int64(id.Time())-1, 0, index)
		never = append(never, "/v1/workspaces/ws_b/records/"+other.String())
	}
	ask := func(path string) {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r)
		if w.Code != 404 && w.Code != 429 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	allocations := func(paths []string) float64 {
		i := 0
		return testing.AllocsPerRun(100, func() { ask(paths[i%len(paths)]); i++ })
	}
	if a, b := allocations(foreign), allocations(never); a-b > 1 || b-a > 1 {
		t.Errorf("another's takes %v allocations, one that never was %v", a, b)
	}
	if *timings == 0 {
		return
	}
	kinds, took := [2][]string{foreign, never}, [2][]time.Duration{}
	for i := range *timings {
		for j := range 2 {
			kind := (i + j) % 2 // which comes first takes turns
			begun := time.Now()
			ask(kinds[kind][i%len(foreign)])
			took[kind] = append(took[kind], time.Since(begun))
			time.Sleep(2500 * time.Microsecond) // within what a token may ask
		}
	}
	slower := 0.0
	slices.Sort(took[0])
	slices.Sort(took[1])
	for _, d := range took[0] {
		below, found := slices.BinarySearch(took[1], d)
		slower += float64(below)
		if found {
			slower += 0.5
		}
	}
	n := float64(*timings)
	t.Logf("%d samples of each: medians %v and %v; another's is the slower in %.4f of the pairs", *timings, took[0][len(took[0])/2], took[1][len(took[1])/2], slower/n/n)
}
