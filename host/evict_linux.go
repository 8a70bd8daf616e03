package host

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// Evict asks the operating system to forget what it holds in memory of a range of
// a file, so that the next read comes from the device. What is not yet written
// stays. Files of a fake have no such memory.
func Evict(f File, off, n int64) {
	if fd := f.Fd(); fd != vfs.InvalidFd {
		_ = unix.Fadvise(int(fd), off, n, unix.FADV_DONTNEED) // advice
	}
}
