//go:build unix

package bench

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// processor is the processor time that this process has used.
func processor() time.Duration { return time.Duration(usage().Utime.Nano() + usage().Stime.Nano()) }

// peak is the most memory that this process has held, in bytes.
func peak() int64 {
	if runtime.GOOS == "darwin" {
		return int64(usage().Maxrss)
	}
	return int64(usage().Maxrss) << 10
}

func usage() *syscall.Rusage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for another argument
	return &u
}

// resident is the memory that this process holds now, in bytes; 0 where the system
// doesn't say. proc(5): the second number of statm, in pages.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
