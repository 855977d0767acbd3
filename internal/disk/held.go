package disk

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
)

// sharingViolation is ERROR_SHARING_VIOLATION of Windows.
const sharingViolation = syscall.Errno(32)

// Held reports whether a lock could not be taken because somebody has it: another
// process or, as Pebble says without a name for it, this one. Whatever else kept it
// from being taken, a read-only disk or a full one, says nothing about others.
func Held(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EWOULDBLOCK):
		return true
	case runtime.GOOS == "windows" && errors.Is(err, sharingViolation):
		return true
	}
	return strings.Contains(err.Error(), "lock held by")
}
