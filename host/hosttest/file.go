package hosttest

import (
	"errors"
	"io"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or folder.
type file struct {
	disk     *Disk
	node     *node
	path     string // at the time of opening
	writable bool

	mu     sync.Mutex // guards all below
	pos    int64
	closed bool
}

var _ vfs.File = (*file)(nil)

func (f *file) check(op Op, writes bool) error {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	switch {
	case closed:
		return os.ErrClosed
	case f.node.isDir():
		return syscall.EISDIR
	case writes && !f.writable:
		return syscall.EBADF
	}
	return f.disk.begin(op)
}

// Close closes the handle. What was written stays unsynced.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return failed(Op{Kind: Open, Path: f.path}, os.ErrClosed)
	}
	f.closed = true
	return nil
}

// Read reads on from where the last Read or Write ended.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset())
	f.advance(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt reads what programs see at off.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	op := Op{Kind: Read, Path: f.path, Offset: off, Length: int64(len(p))}
	if err := f.check(op, false); err != nil {
		return 0, failed(op, err)
	}
	n, err := f.node.contents.readAt(p, off)
	if err != nil && err != io.EOF {
		return n, failed(op, err)
	}
	return n, err
}

// Write writes on from where the last Read or Write ended.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.offset())
	f.advance(n)
	return n, err
}

func (f *file) offset() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pos
}

func (f *file) advance(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pos += int64(n)
}

// WriteAt writes to the page cache.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: Write, Path: f.path, Offset: off, Length: int64(len(p))}
	err := f.check(op, true)
	var short *ShortWrite
	if f.lie(p, off, err) {
		return len(p), nil
	}
	if err != nil && !errors.As(err, &short) {
		return 0, failed(op, err)
	}
	f.disk.freeze.RLock()
	defer f.disk.freeze.RUnlock()
	end, full := f.disk.room(f, off+int64(len(p)))
	n := int(max(end-off, 0))
	if err == nil {
		err = full
	} else {
		n = int(min(int64(n), short.Bytes))
	}
	if n > 0 {
		f.node.contents.writeAt(p[:n], off)
	}
	return n, failed(op, err)
}

// Preallocate reserves space without changing the size.
func (f *file) Preallocate(offset, length int64) error {
	op := Op{Kind: Preallocate, Path: f.path, Offset: offset, Length: length}
	if err := f.check(op, true); err != nil {
		return failed(op, err)
	}
	f.disk.freeze.RLock()
	defer f.disk.freeze.RUnlock()
	if _, err := f.disk.room(f, offset+length); err != nil {
		return failed(op, err)
	}
	c := f.node.contents
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allocated = max(c.allocated, offset+length)
	return nil
}

// Truncate sets the size. vfs.File does not ask for it; files of the operating
// system have it too.
func (f *file) Truncate(size int64) error {
	op := Op{Kind: Truncate, Path: f.path, Length: size}
	if err := f.check(op, true); err != nil {
		return failed(op, err)
	}
	f.disk.freeze.RLock()
	defer f.disk.freeze.RUnlock()
	f.node.contents.truncate(size)
	return nil
}

// Stat describes the file.
func (f *file) Stat() (vfs.FileInfo, error) {
	op := Op{Kind: Stat, Path: f.path}
	if err := f.disk.begin(op); err != nil {
		return nil, failed(op, err)
	}
	return infoOf(f.path, f.node), nil
}

// Sync makes the contents of a file, or the names of a folder, durable.
func (f *file) Sync() error {
	if f.node.isDir() {
		return f.disk.change(Op{Kind: SyncDir, Path: f.path}, func() error {
			f.disk.syncFolder(f.node)
			return nil
		})
	}
	op := Op{Kind: Sync, Path: f.path}
	err := f.check(op, false)
	f.disk.freeze.RLock()
	defer f.disk.freeze.RUnlock()
	switch {
	case err == nil:
		f.node.contents.sync()
	case !f.disk.Cut():
		f.node.contents.failSync()
	}
	return failed(op, err)
}

// SyncData makes the contents durable, and the size, without which they could not be read.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo promises nothing.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, nil }

// Prefetch does nothing.
func (f *file) Prefetch(int64, int64) error { return nil }

// Fd is none.
func (f *file) Fd() uintptr { return vfs.InvalidFd }

type info struct {
	name string
	size int64
	dir  bool
}

func infoOf(p string, n *node) info {
	if n.isDir() {
		return info{name: path.Base(p), dir: true}
	}
	n.contents.mu.RLock()
	defer n.contents.mu.RUnlock()
	return info{name: path.Base(p), size: n.contents.size}
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return Epoch }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o755
	}
	return 0o644
}
