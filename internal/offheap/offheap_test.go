package offheap_test

import (
	"runtime"
	"testing"

	"annals/internal/offheap"
)

// TestAlloc: the memory is there, all of it, and zero; Go's heap knows nothing of it; and
// it is given back once.
func TestAlloc(t *testing.T) {
	const n = 64<<20 + 5
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := offheap.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys - before.HeapSys); onUnix && grown > n/2 {
		t.Errorf("Go's heap grew by %d bytes", grown)
	}
	if len(b) != n || b[0] != 0 || b[n-1] != 0 {
		t.Errorf("%d bytes, which begin with %d and end with %d", len(b), b[0], b[n-1])
	}
	b[0], b[n-1] = 1, 2
	other, err := offheap.Alloc(1)
	if err != nil {
		t.Fatal(err)
	}
	if other[0] = 3; b[0] != 1 || b[n-1] != 2 {
		t.Error("two have the same memory")
	}
	offheap.Free(other)
	offheap.Free(b)
	if !onUnix {
		return
	}
	defer func() {
		if recover() == nil {
			t.Error("it can be given back twice")
		}
	}()
	offheap.Free(b)
}

const onUnix = runtime.GOOS != "windows" && runtime.GOOS != "plan9" && runtime.GOOS != "js" && runtime.GOOS != "wasip1"
