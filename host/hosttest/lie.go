package hosttest

import (
	"errors"
	"syscall"
)

// ErrLost is what a fault returns for a Write that a drive acknowledges and forgets:
// readers find what was there before, or zeros.
var ErrLost = errors.New("hosttest: the write is lost")

// Misdirect is an error that a fault may return for a Write: it is acknowledged, and
// done at another offset of the file.
type Misdirect struct{ Offset int64 }

func (m *Misdirect) Error() string { return "hosttest: the write goes elsewhere" }

// lie does what a lying drive does with a write, and reports whether err says so.
func (f *file) lie(p []byte, off int64, err error) bool {
	var elsewhere *Misdirect
	switch {
	case errors.Is(err, ErrLost):
		f.node.contents.grow(off + int64(len(p)))
	case errors.As(err, &elsewhere):
		f.node.contents.grow(off + int64(len(p)))
		f.node.contents.writeAt(p, elsewhere.Offset)
	default:
		return false
	}
	return true
}

// grow makes the file at least so long, as a write to its end would.
func (c *contents) grow(end int64) {
	c.mu.RLock()
	size := c.size
	c.mu.RUnlock()
	if end > size {
		c.writeAt(make([]byte, end-size), size)
	}
}

// Within makes a fault that returns err for the operations of some kinds at or below
// dir, all where none is named.
func Within(dir string, err error, kinds ...Kind) func(Op) error {
	return func(op Op) error {
		if !within(op.Path, clean(dir)) {
			return nil
		}
		for _, k := range kinds {
			if op.Kind == k {
				return err
			}
		}
		if len(kinds) == 0 {
			return err
		}
		return nil
	}
}

// ReadOnly is the fault of a file system that was remounted read-only.
func ReadOnly(dir string) func(Op) error {
	return func(op Op) error {
		if op.Kind.Changes() && op.Kind != Sync && op.Kind != SyncDir && within(op.Path, clean(dir)) {
			return syscall.EROFS
		}
		return nil
	}
}

// Hang is the fault of a drive that does not answer until release is called.
func Hang(dir string) (fault func(Op) error, release func()) {
	until := make(chan struct{})
	return func(op Op) error {
		if within(op.Path, clean(dir)) {
			<-until
		}
		return nil
	}, func() { close(until) }
}

// Image is a copy of a folder at some moment.
type Image struct{ folder *node }

// Image copies a folder as programs see it, to be put back by Rollback.
func (d *Disk) Image(dir string) *Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(dir)
	if err != nil || !n.isDir() {
		panic("hosttest: image of " + dir + ": no such folder")
	}
	return &Image{n.copy()}
}

// Rollback puts a folder back as it was at an Image, at once and for good, as a
// drive that was away for a while. Files that are open go on with what they had.
func (d *Disk) Rollback(dir string, i *Image) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(dir)
	if err != nil || !n.isDir() {
		panic("hosttest: roll back " + dir + ": no such folder")
	}
	d.forget(n)
	for name, child := range i.folder.copy().names {
		n.names[name], n.disk[name] = child, child
	}
}

// copy is a node with all below it, synced.
func (n *node) copy() *node {
	if !n.isDir() {
		out := newFile()
		p := make([]byte, n.contents.length())
		_, _ = n.contents.readAt(p, 0)
		out.contents.writeAt(p, 0)
		out.contents.sync()
		return out
	}
	out := newFolder()
	for name, child := range n.names {
		c := child.copy()
		out.names[name], out.disk[name] = c, c
	}
	return out
}

func (c *contents) length() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.size
}
