package heapfloor

import (
	"runtime"
	"testing"
	"time"
)

// goal is how far the heap may grow beyond what is live, once the pace was set after a
// collection.
func goal(t *testing.T, holds func(grows, live int64) bool) {
	t.Helper()
	var grows, live int64
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(time.Millisecond) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		live = int64(m.HeapAlloc)
		if grows = int64(m.NextGC) - live; holds(grows, live) {
			return
		}
	}
	t.Fatalf("the heap grows by %d beyond %d that are live", grows, live)
}

// TestKeep: the heap grows by the floor at least, whatever is live, and by hardly more than
// what is live besides; and as usual again once nobody keeps to a floor.
func TestKeep(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	const floor = 64 << 20
	kept := func(grows, live int64) bool {
		most := (floor + live) * 5 / 4
		return grows > floor*3/4 && grows < most+8<<20
	}
	usually := func(grows, live int64) bool { return grows < live+live/2+8<<20 }

	goal(t, usually)
	release, another := Keep(floor), Keep(2*floor)
	goal(t, kept)
	much := make([]byte, 3*floor)
	goal(t, func(grows, live int64) bool { return live > 3*floor && kept(grows, live) })
	runtime.KeepAlive(much)
	much = nil
	goal(t, func(grows, live int64) bool { return live < floor && kept(grows, live) })
	release()
	release()
	goal(t, kept) // the other one keeps to it
	another()
	goal(t, usually)

	again := Keep(floor)
	goal(t, kept)
	again()
	goal(t, usually)
}

// TestDecided: who has set when the heap is collected is not overruled.
func TestDecided(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "200")
		Keep(1 << 30)()
		if keeping.users != 0 {
			t.Errorf("with %s it is kept to a floor", name)
		}
		t.Setenv(name, "")
	}
}
