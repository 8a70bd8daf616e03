package hosttest

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a file system in memory that can crash, fill up, fail and lie. Each
// top-level folder is a drive of its own.
type Disk struct {
	freeze     sync.RWMutex // held for reading by every change, for writing by CrashClone; before mu
	operations atomic.Int64
	cutAt      atomic.Int64
	cut        atomic.Bool
	fault      atomic.Pointer[func(Op) error]

	mu       sync.Mutex // guards all below, and the maps of folders
	root     *node
	pending  []change
	locked   map[string]bool
	failed   map[string]error
	capacity map[string]int64
}

var _ vfs.FS = (*Disk)(nil)

// NewDisk is an empty disk.
func NewDisk() *Disk {
	return &Disk{root: newFolder(), locked: map[string]bool{}, failed: map[string]error{}, capacity: map[string]int64{}}
}

// CrashClone is the disk as it is found after a power cut at this moment. The
// same seed over the same state gives the same clone. Faults do not carry over.
func (d *Disk) CrashClone(seed int64) *Disk {
	d.freeze.Lock()
	defer d.freeze.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	r := rand.New(rand.NewPCG(uint64(seed), 0x7461726e))
	over := map[set]*node{}
	for _, c := range surviving(r, d.pending) {
		for _, s := range c.sets {
			over[set{folder: s.folder, name: s.name}] = s.node
		}
	}
	out := NewDisk()
	out.root = crashed(r, d.root, over, map[*node]*node{})
	out.capacity = maps.Clone(d.capacity)
	return out
}

// Kill is the disk as the next process finds it after the present one was killed:
// all as it was, unsynced writes among it, but for locks and faults. On the old Disk
// everything fails from now on.
func (d *Disk) Kill() *Disk {
	d.cut.Store(true)
	d.freeze.Lock()
	defer d.freeze.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := NewDisk()
	out.root, out.pending, out.capacity = d.root, d.pending, maps.Clone(d.capacity)
	d.root, d.pending = newFolder(), nil
	return out
}

// change runs f, which alters names, under the locks.
func (d *Disk) change(op Op, f func() error) error {
	if err := d.begin(op); err != nil {
		return failed(op, err)
	}
	d.freeze.RLock()
	defer d.freeze.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return failed(op, f())
}

func failed(op Op, err error) error {
	if err == nil {
		return nil
	}
	return &wrapped{&os.PathError{Op: op.Kind.String(), Path: op.Path, Err: err}}
}

// wrapped hides the error as Pebble's real file system does: errors.Is sees
// through, os.IsNotExist does not.
type wrapped struct{ cause error }

func (w *wrapped) Error() string { return w.cause.Error() }
func (w *wrapped) Unwrap() error { return w.cause }

// Create makes a new, empty file; a former one of that name is unlinked.
func (d *Disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	n := newFile()
	err := d.change(Op{Kind: Create, Path: name}, func() error {
		in, last, err := d.folder(name)
		if err != nil {
			return err
		}
		if old := in.names[last]; old != nil && old.isDir() {
			return syscall.EISDIR
		}
		d.record(name, set{in, last, n})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &file{disk: d, node: n, path: clean(name), writable: true}, nil
}

// Link gives a file a second name.
func (d *Disk) Link(oldname, newname string) error {
	return d.change(Op{Kind: Link, Path: oldname, To: newname}, func() error {
		n, err := d.find(oldname)
		if err != nil {
			return err
		}
		in, last, err := d.folder(newname)
		if err != nil {
			return err
		}
		if in.names[last] != nil {
			return os.ErrExist
		}
		d.record(newname, set{in, last, n})
		return nil
	})
}

func (d *Disk) open(name string, writable bool) (*file, error) {
	op := Op{Kind: Open, Path: name}
	if err := d.begin(op); err != nil {
		return nil, failed(op, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name)
	if err == nil && writable && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, failed(op, err)
	}
	return &file{disk: d, node: n, path: clean(name), writable: writable}, nil
}

// Open opens a file for reading.
func (d *Disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.open(name, false)
	if err != nil {
		return nil, err
	}
	return applied(f, opts), nil
}

// OpenReadWrite opens a file for reading and writing, and creates it where it is absent.
func (d *Disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.open(name, true)
	if err == nil {
		return applied(f, opts), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return d.Create(name, category)
}

func applied(f *file, opts []vfs.OpenOption) vfs.File {
	for _, o := range opts {
		o.Apply(f)
	}
	return f
}

// OpenDir opens a folder, to be synced.
func (d *Disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.open(name, false)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Remove removes a file or an empty folder.
func (d *Disk) Remove(name string) error {
	return d.change(Op{Kind: Remove, Path: name}, func() error {
		in, last, err := d.folder(name)
		if err != nil {
			return err
		}
		n := in.names[last]
		switch {
		case n == nil:
			return os.ErrNotExist
		case n.isDir() && len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		d.record(name, set{in, last, nil})
		return nil
	})
}

// RemoveAll removes a file or a folder with all that is in it.
func (d *Disk) RemoveAll(name string) error {
	err := d.change(Op{Kind: Remove, Path: name}, func() error {
		in, last, err := d.folder(name)
		if err != nil {
			return err
		}
		if n := in.names[last]; n != nil {
			d.removeAll(name, set{in, last, n})
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (d *Disk) removeAll(name string, at set) {
	if at.node.isDir() {
		for _, child := range slices.Sorted(maps.Keys(at.node.names)) {
			d.removeAll(name, set{at.node, child, at.node.names[child]})
		}
	}
	d.record(name, set{at.folder, at.name, nil})
}

// Rename gives a file or folder another name, atomically.
func (d *Disk) Rename(oldname, newname string) error {
	return d.change(Op{Kind: Rename, Path: oldname, To: newname}, func() error {
		return d.rename(oldname, newname)
	})
}

func (d *Disk) rename(oldname, newname string) error {
	from, oldLast, err := d.folder(oldname)
	if err != nil {
		return err
	}
	to, newLast, err := d.folder(newname)
	if err != nil {
		return err
	}
	n, old := from.names[oldLast], to.names[newLast]
	switch {
	case n == nil:
		return os.ErrNotExist
	case n == old:
		return nil
	case old != nil && old.isDir() && len(old.names) > 0:
		return syscall.ENOTEMPTY
	}
	d.record(newname, set{from, oldLast, nil}, set{to, newLast, n})
	return nil
}

// ReuseForWrite renames a file and opens it for writing.
func (d *Disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, category)
}

// MkdirAll makes a folder and those above it.
func (d *Disk) MkdirAll(dir string, _ os.FileMode) error {
	d.mu.Lock()
	n, err := d.find(dir)
	d.mu.Unlock()
	if err == nil && n.isDir() {
		return nil
	}
	return d.change(Op{Kind: Mkdir, Path: dir}, func() error { return d.mkdirAll(dir) })
}

func (d *Disk) mkdirAll(dir string) error {
	at := d.root
	for _, part := range strings.Split(clean(dir), "/") {
		if !at.isDir() {
			return syscall.ENOTDIR
		}
		if at.names[part] == nil {
			d.record(dir, set{at, part, newFolder()})
		}
		at = at.names[part]
	}
	if !at.isDir() {
		return syscall.ENOTDIR
	}
	return nil
}

// Lock creates and locks a file.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	held := d.locked[clean(name)]
	d.locked[clean(name)] = true
	d.mu.Unlock()
	if held {
		return nil, failed(Op{Kind: Create, Path: name}, syscall.EAGAIN)
	}
	if _, err := d.Create(name, vfs.WriteCategoryUnspecified); err != nil {
		d.unlock(name)
		return nil, err
	}
	return &lock{release: sync.OnceFunc(func() { d.unlock(name) })}, nil
}

func (d *Disk) unlock(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.locked, clean(name))
}

type lock struct{ release func() }

func (l *lock) Close() error { l.release(); return nil }

// List gives the names in a folder, sorted.
func (d *Disk) List(dir string) ([]string, error) {
	op := Op{Kind: List, Path: dir}
	if err := d.begin(op); err != nil {
		return nil, failed(op, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(dir)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, failed(op, err)
	}
	return slices.Sorted(maps.Keys(n.names)), nil
}

// Stat describes a file or folder.
func (d *Disk) Stat(name string) (vfs.FileInfo, error) {
	op := Op{Kind: Stat, Path: name}
	if err := d.begin(op); err != nil {
		return nil, failed(op, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return nil, failed(op, err)
	}
	return infoOf(name, n), nil
}

// PathBase is the last element of a path.
func (*Disk) PathBase(p string) string { return path.Base(p) }

// PathJoin joins elements with slashes.
func (*Disk) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir is a path without its last element.
func (*Disk) PathDir(p string) string { return path.Dir(p) }

// Unwrap is nil: there is nothing below.
func (*Disk) Unwrap() vfs.FS { return nil }
