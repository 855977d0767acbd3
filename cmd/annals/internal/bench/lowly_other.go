//go:build !unix

package bench

import "os/exec"

// startLowly starts a program; its priority is the usual one here.
func startLowly(cmd *exec.Cmd) error { return cmd.Start() }
