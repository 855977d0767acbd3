//go:build !linux

package bench

import "os/exec"

// startLowly starts a program; its priority is the usual one here, for only on Linux is a
// priority one thread's.
func startLowly(cmd *exec.Cmd) error { return cmd.Start() }
