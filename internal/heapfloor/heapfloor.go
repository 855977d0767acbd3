// Package heapfloor has the heap grow by a number of bytes at least before it is collected.
//
// Go collects when the heap has doubled. A service's heap is small, for most of what it
// holds is beside it; so whoever makes it print a few large answers has it collected several
// times a second, and each time whoever records waits for milliseconds (ADR 0033).
package heapfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// usual is Go's own percentage: what is live, once more.
const usual = 100

// keeping is what the process keeps to.
var keeping struct {
	sync.Mutex
	users   int
	turn    int   // counts how often it was begun to keep to one
	floor   int64 // in bytes
	percent int   // as it was set last
}

// Keep has the heap grow by as many bytes more than Go would let it, until release is called.
// It is the process's: where another keeps to one already, to that. It does nothing where the
// environment says GOGC or GOMEMLIMIT: then somebody has decided when to collect.
func Keep(floor int64) (release func()) {
	if floor <= 0 || os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	k := &keeping
	k.Lock()
	defer k.Unlock()
	if k.users++; k.users == 1 {
		k.turn++
		k.floor, k.percent = floor, usual
		pace()
		watch(k.turn)
	}
	return sync.OnceFunc(func() {
		k.Lock()
		defer k.Unlock()
		if k.users--; k.users == 0 {
			debug.SetGCPercent(usual)
		}
	})
}

// watch sets the pace anew after each collection, as long as nobody begins another turn.
func watch(turn int) {
	// What nothing points to is found by the next collection. It has a pointer in it, so
	// that it doesn't share its place with something that lives on.
	runtime.AddCleanup(new(*int), func(turn int) {
		keeping.Lock()
		defer keeping.Unlock()
		if keeping.users > 0 && keeping.turn == turn {
			pace()
			watch(turn)
		}
	}, turn)
}

// pace sets the percentage by which the heap grows by what is live and the floor. Go takes it
// of what is live, of the stacks and of the globals (runtime/debug, SetGCPercent). Call it
// with keeping locked.
func pace() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(sample)
	live := int64(sample[0].Value.Uint64())
	of := live
	for _, s := range sample[1:] {
		of += int64(s.Value.Uint64())
	}
	const least = 4 << 20 // before the first collection nothing is known to be live
	percent := int(usual * (live + keeping.floor) / max(of, least))
	if near := keeping.percent / 16; percent < keeping.percent-near || percent > keeping.percent+near {
		keeping.percent = max(percent, usual)
		debug.SetGCPercent(keeping.percent)
	}
}
