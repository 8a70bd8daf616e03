package index

import (
	"bytes"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
)

// patientFS is a file system of which no call below a folder of views takes longer
// than its patience. A call that is late may take effect afterwards: nothing is
// asked of the view again that it belonged to.
type patientFS struct {
	host.FS
	all patiences
}

func (f patientFS) do(what, path string, call func() error) error {
	_, err := asked(f.all, what, path, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (f patientFS) file(what, path string, open func() (vfs.File, error)) (vfs.File, error) {
	opened, err := asked(f.all, what, path, open)
	p := f.all.of(path)
	if err != nil || p == nil {
		return opened, err
	}
	return &patientFile{opened, p, path}, nil
}

func (f patientFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f patientFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.Open(name, o...) })
}

func (f patientFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f patientFS) OpenDir(name string) (vfs.File, error) {
	return f.file("open folder", name, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f patientFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("reuse", name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f patientFS) Link(old, name string) error {
	return f.do("link", name, func() error { return f.FS.Link(old, name) })
}

func (f patientFS) Remove(name string) error {
	return f.do("remove", name, func() error { return f.FS.Remove(name) })
}

func (f patientFS) RemoveAll(name string) error {
	return f.do("remove", name, func() error { return f.FS.RemoveAll(name) })
}

func (f patientFS) Rename(old, name string) error {
	return f.do("rename", name, func() error { return f.FS.Rename(old, name) })
}

func (f patientFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.do("make folder", dir, func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f patientFS) Lock(name string) (io.Closer, error) {
	return asked(f.all, "lock", name, func() (io.Closer, error) { return f.FS.Lock(name) })
}

func (f patientFS) List(dir string) ([]string, error) {
	return asked(f.all, "list", dir, func() ([]string, error) { return f.FS.List(dir) })
}

func (f patientFS) Stat(name string) (vfs.FileInfo, error) {
	return asked(f.all, "stat", name, func() (vfs.FileInfo, error) { return f.FS.Stat(name) })
}

func (f patientFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	return asked(f.all, "measure", path, func() (vfs.DiskUsage, error) { return f.FS.GetDiskUsage(path) })
}

func (f patientFS) Unwrap() vfs.FS { return f.FS }

// patientFile is a file below a folder of views.
type patientFile struct {
	vfs.File
	p    *patience
	name string
}

func (f *patientFile) do(what string, call func() error) error { return f.p.call(what, f.name, call) }

// read fills p from memory of its own, which a late call may go on writing to.
func (f *patientFile) read(p []byte, read func(own []byte) (int, error)) (int, error) {
	own, n := make([]byte, len(p)), make(chan int, 1)
	err := f.do("read", func() error {
		k, err := read(own)
		n <- k
		return err
	})
	select {
	case k := <-n:
		return copy(p, own[:k]), err
	default:
		return 0, err
	}
}

func (f *patientFile) Read(p []byte) (int, error) { return f.read(p, f.File.Read) }

func (f *patientFile) ReadAt(p []byte, off int64) (int, error) {
	return f.read(p, func(own []byte) (int, error) { return f.File.ReadAt(own, off) })
}

// write gives memory of its own to a call that may be late.
func (f *patientFile) write(p []byte, write func(own []byte) (int, error)) (int, error) {
	own := bytes.Clone(p)
	if err := f.do("write", func() error { _, err := write(own); return err }); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *patientFile) Write(p []byte) (int, error) { return f.write(p, f.File.Write) }

func (f *patientFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, func(own []byte) (int, error) { return f.File.WriteAt(own, off) })
}

func (f *patientFile) Close() error { return f.do("close", f.File.Close) }

func (f *patientFile) Sync() error { return f.do("sync", f.File.Sync) }

func (f *patientFile) SyncData() error { return f.do("sync", f.File.SyncData) }

func (f *patientFile) SyncTo(n int64) (whole bool, err error) {
	answer := make(chan bool, 1)
	err = f.do("sync", func() error {
		all, err := f.File.SyncTo(n)
		answer <- all
		return err
	})
	return err == nil && <-answer, err
}

func (f *patientFile) Preallocate(off, n int64) error {
	return f.do("preallocate", func() error { return f.File.Preallocate(off, n) })
}

func (f *patientFile) Prefetch(off, n int64) error {
	return f.do("prefetch", func() error { return f.File.Prefetch(off, n) })
}

func (f *patientFile) Stat() (vfs.FileInfo, error) {
	return asked(patiences{f.p}, "stat", f.p.dir, f.File.Stat)
}
