package ledger

import "testing"

func TestMemoryTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       24689764 kB\nMemFree:        1 kB\n": 24689764 << 10,
		"MemFree: 7 kB\nMemTotal: 8 kB\n":                     8 << 10,
		"MemTotal: 8 MB\n":                                    0,
		"MemTotal: -x kB\n":                                   0,
		"MemTotal:":                                           0,
		"":                                                    0,
	} {
		if got := memoryTotal([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if cache := CacheOfMemory(); cache < leastCache || cache > mostCache {
		t.Errorf("a cache of %d bytes", cache)
	}
}
