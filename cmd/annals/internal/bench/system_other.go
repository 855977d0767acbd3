//go:build !linux

package bench

import (
	"os/exec"
	"time"
)

// startLowly starts a program; how it is scheduled is as usual here, for only on Linux is
// that one thread's.
func startLowly(cmd *exec.Cmd) error { return cmd.Start() }

// sleepUntil waits, and may be late by what a timer is.
func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
