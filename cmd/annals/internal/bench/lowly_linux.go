//go:build linux

package bench

import (
	"os/exec"
	"runtime"
	"syscall"
)

// lowest is the lowest priority that a process can have (setpriority(2)).
const lowest = 19

// startLowly starts a program at the lowest priority. A process has that of the thread
// that starts it, and a thread can't raise its own again: so it is one that ends here.
// Elsewhere setpriority(2) is of the whole process, which would stay lowly itself.
func startLowly(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowest); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}
