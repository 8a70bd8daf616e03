//go:build !linux

package host

import "io"

// Direct is f itself where there is no way past the operating system's memory.
func Direct(f File) File { return f }

// ReaderAtCloser reads and is closed.
type ReaderAtCloser interface {
	io.ReaderAt
	io.Closer
}

// DirectReader is nil where there is no way past the operating system's memory.
func DirectReader(File) ReaderAtCloser { return nil }

// InMemory is false where the operating system does not tell.
func InMemory(File, int64, int64) bool { return false }
