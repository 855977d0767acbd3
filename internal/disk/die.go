package disk

import (
	"fmt"
	"os"
)

// Die ends the process, with the status of a panic, after a failure of the disk from which
// Pebble can't go on.
//
// It doesn't panic. Pebble may, for the same disk and at the same moment, where it can't
// begin its next log, and a mutex that a deferred call then unlocks in vain makes that a
// fatal error: Go's runtime prints one holding the lock on printing and waiting for the one
// on panics, and a panic the other way round, so that now and then neither ends the process.
func Die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
