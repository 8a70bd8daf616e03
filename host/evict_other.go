//go:build !linux

package host

// Evict does nothing where the operating system takes no such advice.
func Evict(File, int64, int64) {}
