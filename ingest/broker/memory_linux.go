package broker

import "syscall"

const (
	sharedMemory = "/dev/shm"
	tmpfsMagic   = 0x01021994 // TMPFS_MAGIC of linux/magic.h
	// minMemory is what has to be free there, in bytes. A publisher of ours stages a
	// mebibyte or so at a time; others may stage batches of a thousand messages.
	minMemory = 256 << 20
)

// Memory returns a folder whose files are in memory and that has room to stage
// batches in; "": this system has none.
func Memory() string {
	var fs syscall.Statfs_t
	if syscall.Statfs(sharedMemory, &fs) != nil || int64(fs.Type) != tmpfsMagic || fs.Bavail*uint64(fs.Bsize) < minMemory {
		return ""
	}
	return sharedMemory
}
