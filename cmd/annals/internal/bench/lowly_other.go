//go:build !linux

package bench

import "os/exec"

// startLowly starts a program; how it is scheduled is as usual here, for only on Linux is
// that one thread's.
func startLowly(cmd *exec.Cmd) error { return cmd.Start() }
