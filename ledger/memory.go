package ledger

import (
	"bytes"
	"os"
	"strconv"
)

// Bounds of a cache where nothing is said, in bytes.
const (
	leastCache = 128 << 20
	mostCache  = 8 << 30
)

// CacheOfMemory is an eighth of the memory that the process may use, in bytes, but 128 MiB
// at least and 8 GiB at the most: what a cache may have where nothing is said.
func CacheOfMemory() int64 {
	memory := int64(0)
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		memory = memoryTotal(b)
	}
	// A container's limit, where there is one: "max" is no number.
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil && limit > 0 {
			memory = min(memory, limit)
		}
	}
	return min(max(memory/8, leastCache), mostCache)
}

// memoryTotal reads the machine's memory, in bytes, out of a Linux /proc/meminfo;
// 0 when it isn't there.
func memoryTotal(meminfo []byte) int64 {
	for line := range bytes.Lines(meminfo) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "MemTotal:" && string(fields[2]) == "kB" {
			kB, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err == nil {
				return kB << 10
			}
		}
	}
	return 0
}
