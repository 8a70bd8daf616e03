package hosttest

import (
	"errors"
	"strings"
)

// ErrPowerCut is the error of every operation after the power was cut.
var ErrPowerCut = errors.New("hosttest: the power was cut")

// Kind says what an operation does.
type Kind uint8

// The kinds of operation. Those from Create on change the disk, and are what
// Operations counts and CutAfter cuts at.
const (
	Open Kind = 1 + iota // Open, OpenReadWrite of an existing file, OpenDir
	Stat
	List
	Read
	Usage
	Create // of a file, by whatever call; also of a lock's file
	Mkdir
	Link
	Rename
	Remove
	Write
	Preallocate
	Truncate
	Sync    // of a file's contents: Sync, SyncData
	SyncDir // of a folder's names
)

var kindNames = [...]string{"", "open", "stat", "list", "read", "usage", "create", "mkdir", "link", "rename", "remove", "write", "preallocate", "truncate", "sync", "syncdir"}

func (k Kind) String() string { return kindNames[k] }

// Changes reports whether operations of this kind change the disk.
func (k Kind) Changes() bool { return k >= Create }

// Op is one operation on a Disk, as a fault sees it.
type Op struct {
	Kind   Kind
	Path   string // from the root, without a leading slash
	To     string // Rename and Link: the new name
	Offset int64  // Read, Write, Preallocate
	Length int64  // Read, Write, Preallocate; Truncate: the new size
}

// SetFault has f called before every operation, without locks held. An error of
// f becomes the operation's, which then has no effect, except that a failed Sync
// drops the unsynced data for good. f may wait. nil ends it.
func (d *Disk) SetFault(f func(Op) error) {
	if f == nil {
		d.fault.Store(nil)
		return
	}
	d.fault.Store(&f)
}

// Fail makes every operation at or below dir fail with err, as of a drive that
// was pulled out. nil heals it.
func (d *Disk) Fail(dir string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.failed, clean(dir))
	} else {
		d.failed[clean(dir)] = err
	}
}

// CutAfter cuts the power once n further operations that change the disk were
// done: the next one, and everything after it, fails with ErrPowerCut.
func (d *Disk) CutAfter(n int64) { d.cutAt.Store(d.operations.Load() + n + 1) }

// Cut reports whether an operation met the power cut.
func (d *Disk) Cut() bool { return d.cut.Load() }

// Operations is the number of operations begun that change the disk.
func (d *Disk) Operations() int64 { return d.operations.Load() }

// ShortWrite is an error that a fault may return for a Write: so many bytes are
// written, and the write fails with Err.
type ShortWrite struct {
	Bytes int64
	Err   error
}

func (s *ShortWrite) Error() string { return "short write: " + s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

// begin admits an operation, or says why it fails.
func (d *Disk) begin(op Op) error {
	op.Path, op.To = clean(op.Path), clean(op.To)
	n := d.operations.Load()
	if op.Kind.Changes() {
		n = d.operations.Add(1)
	}
	if at := d.cutAt.Load(); d.cut.Load() || at > 0 && n >= at {
		d.cut.Store(true)
		return ErrPowerCut
	}
	if err := d.failure(op); err != nil {
		return err
	}
	if f := d.fault.Load(); f != nil {
		return (*f)(op)
	}
	return nil
}

func (d *Disk) failure(op Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir, err := range d.failed {
		if within(op.Path, dir) || op.To != "" && within(op.To, dir) {
			return err
		}
	}
	return nil
}

func within(p, dir string) bool {
	return dir == "" || p == dir || strings.HasPrefix(p, dir+"/")
}

// Corrupt flips every bit of n bytes of a file at off, on the platter and for all readers.
func (d *Disk) Corrupt(path string, off, n int64) {
	d.mustFile(path).contents.damage(off, n, func(b []byte) {
		for i := range b {
			b[i] = ^b[i]
		}
	})
}

// Swap exchanges n bytes of two places, as writes that were misdirected to each other's place.
func (d *Disk) Swap(pathA string, offA int64, pathB string, offB, n int64) {
	a, b := d.mustFile(pathA).contents, d.mustFile(pathB).contents
	bytesA, bytesB := make([]byte, n), make([]byte, n)
	_, _ = a.readAt(bytesA, offA)
	_, _ = b.readAt(bytesB, offB)
	a.damage(offA, n, func(p []byte) { bytesB = bytesB[copy(p, bytesB):] })
	b.damage(offB, n, func(p []byte) { bytesA = bytesA[copy(p, bytesA):] })
}

// LoseWrites makes a file acknowledge all further writes and forget them: its
// size grows, and readers find what was there before.
func (d *Disk) LoseWrites(path string) {
	c := d.mustFile(path).contents
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

// Wipe empties a folder at once and for good, as if another drive had been put
// in its place. Files that are open stay readable through their handles.
func (d *Disk) Wipe(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(dir)
	if err != nil || !n.isDir() {
		panic("hosttest: wipe " + dir + ": no such folder")
	}
	d.forget(n)
}

// forget empties a folder and drops pending changes in it and below.
func (d *Disk) forget(n *node) {
	for _, child := range n.names {
		if child.isDir() {
			d.forget(child)
		}
	}
	clear(n.names)
	clear(n.disk)
	rest := d.pending[:0]
	for _, c := range d.pending {
		if c.sets[0].folder != n {
			rest = append(rest, c)
		}
	}
	d.pending = rest
}

func (d *Disk) mustFile(path string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(path)
	if err != nil || n.isDir() {
		panic("hosttest: no such file: " + path)
	}
	return n
}
