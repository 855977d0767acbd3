//go:build linux

package bench

import (
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// startLowly starts a program that runs where nobody else wants to: by SCHED_IDLE
// (sched(7)), which is below the lowest nice value, and is left at once when anybody else
// wakes. A process has the policy of the thread that starts it, and its threads have that
// of the process: so it is a thread that ends here.
func startLowly(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		idle := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
		if err := unix.SchedSetAttr(0, &idle, 0); err != nil {
			started <- fmt.Errorf("sched_setattr: %w", err)
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}

// sleepUntil waits more exactly than Go's timers do where nothing else runs, which may be
// late by a millisecond.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		wait := unix.NsecToTimespec(int64(d))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &wait, nil) // interrupted: it waits for the rest
	}
}
