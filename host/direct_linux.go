package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// descriptor is a second one of a file, for I/O past memory. Nothing uses its number once it is
// closed, when it may be that of another file.
type descriptor struct {
	mu sync.RWMutex
	fd int // below 0: closed
}

// use calls f with the number, which stays open meanwhile.
func (d *descriptor) use(f func(fd int) (int, error)) (n int, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return 0, os.ErrClosed
	}
	for {
		if n, err = f(d.fd); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func (d *descriptor) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	fd := d.fd
	d.fd = -1
	return unix.Close(fd)
}

// openAgain opens a file a second time; nil where there is no way past memory.
func openAgain(f File, how int) *descriptor {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return nil
	}
	second, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), how|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return &descriptor{fd: second}
}

// directFile writes past the operating system's memory (O_DIRECT, open(2)) what
// fills whole sectors, and everything else as the file does.
type directFile struct {
	File
	second *descriptor
	off    atomic.Bool // the file system refused: sectors are larger, or there is no such thing
}

// Direct gives a file whose writes of whole sectors go to the device without a copy
// in the operating system's memory: a page there that was not in use for some time can cost more
// than the device takes for it, and what is written is seldom what is read
// next. A write is durable when SyncData returns, as ever. Where the file system
// cannot, and for files of a fake, it is f itself. All writes to a file must go this way:
// the operating system keeps the two ways apart only where the pages of
// one are clean.
func Direct(f File) File {
	if second := openAgain(f, unix.O_WRONLY); second != nil {
		return &directFile{File: f, second: second}
	}
	return f
}

func (f *directFile) WriteAt(p []byte, off int64) (int, error) { return f.WriteAllAt(off, p) }

// WriteAllAt writes the pieces one behind the other, as one write where it can.
func (f *directFile) WriteAllAt(off int64, pieces ...[]byte) (n int, err error) {
	if f.off.Load() || off%directSector != 0 || lengthOf(pieces)%directSector != 0 {
		return writeEach(f.File, off, pieces)
	}
	if aligned(pieces) {
		n, err = f.gathered(off, pieces)
	} else {
		n, err = f.copied(off, pieces)
	}
	if n == 0 && errors.Is(err, unix.EINVAL) {
		f.off.Store(true)
		return writeEach(f.File, off, pieces)
	}
	return n, err
}

// gathered writes pieces from where they lie.
func (f *directFile) gathered(off int64, pieces [][]byte) (n int, err error) {
	want := lengthOf(pieces)
	for n < want {
		left, at := behind(pieces, n), off+int64(n)
		wrote, err := f.second.use(func(fd int) (int, error) { return unix.Pwritev(fd, left, at) })
		if err == nil && wrote <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, fmt.Errorf("write past memory: %w", err)
		}
		n += wrote
	}
	return n, nil
}

// behind is what is left of pieces after their first n bytes.
func behind(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n == 0 || len(pieces) == 0 {
		return pieces
	}
	return append([][]byte{pieces[0][n:]}, pieces[1:]...)
}

// bounceBytes is what a copy of unaligned pieces takes at once.
const bounceBytes = 256 << 10

// Memory of this size lies on a page of its own.
var bounces = sync.Pool{New: func() any { b := make([]byte, bounceBytes); return &b }}

// copied writes pieces by way of memory that is aligned.
func (f *directFile) copied(off int64, pieces [][]byte) (n int, err error) {
	room := bounces.Get().(*[]byte)
	defer bounces.Put(room)
	for want := lengthOf(pieces); n < want; {
		filled := 0
		for _, p := range behind(pieces, n) {
			filled += copy((*room)[filled:], p)
		}
		wrote, err := f.gathered(off+int64(n), [][]byte{(*room)[:filled]})
		n += wrote
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func aligned(pieces [][]byte) bool {
	for _, p := range pieces {
		if len(p)%directSector != 0 || uintptr(unsafe.Pointer(unsafe.SliceData(p)))%directSector != 0 {
			return false
		}
	}
	return true
}

// directReader reads whole sectors past the operating system's memory.
type directReader struct {
	*descriptor
	file File
	off  atomic.Bool // the file system refused
}

// ReaderAtCloser reads and is closed.
type ReaderAtCloser interface {
	io.ReaderAt
	io.Closer
}

// DirectReader gives a way to read a file that takes everything from the device and leaves
// no copy in the operating system's memory; nil where there is none. It is closed before the file is.
func DirectReader(f File) ReaderAtCloser {
	if second := openAgain(f, unix.O_RDONLY); second != nil {
		return &directReader{descriptor: second, file: f}
	}
	return nil
}

func (r *directReader) ReadAt(p []byte, off int64) (n int, err error) {
	if r.off.Load() {
		return r.file.ReadAt(p, off)
	}
	if whole := p[:len(p)/directSector*directSector]; off%directSector == 0 && aligned([][]byte{whole}) {
		n, err = r.sectors(whole, off)
		if err == nil && n == len(whole) && n < len(p) {
			var rest int
			rest, err = r.copied(p[n:], off+int64(n))
			n += rest
		}
	} else {
		n, err = r.copied(p, off)
	}
	if n == 0 && errors.Is(err, unix.EINVAL) {
		r.off.Store(true)
		return r.file.ReadAt(p, off)
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// sectors fills p, which is aligned and whole sectors, but for what is behind the file's end.
func (r *directReader) sectors(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		got, err := r.use(func(fd int) (int, error) { return unix.Pread(fd, p[n:], off+int64(n)) })
		if err != nil {
			return n, fmt.Errorf("read past memory: %w", err)
		}
		n += got
		if got == 0 || got%directSector != 0 { // the file's end
			return n, nil
		}
	}
	return n, nil
}

// copied reads any range by way of memory that is aligned.
func (r *directReader) copied(p []byte, off int64) (n int, err error) {
	room := bounces.Get().(*[]byte)
	defer bounces.Put(room)
	for n < len(p) {
		at := off + int64(n)
		lead := int(at % directSector)
		want := min((lead+len(p)-n+directSector-1)/directSector*directSector, bounceBytes)
		got, err := r.sectors((*room)[:want], at-int64(lead))
		if err != nil || got <= lead {
			return n, err
		}
		n += copy(p[n:], (*room)[lead:got])
		if got < want {
			return n, nil
		}
	}
	return n, nil
}

// InMemory reports whether the operating system holds most of a range of a file in
// memory; false where it does not tell (cachestat(2), Linux 6.5).
func InMemory(f File, off, n int64) bool {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false
	}
	span := [2]uint64{uint64(off), uint64(n)}
	var stat struct{ cached, dirty, writeback, evicted, recentlyEvicted uint64 }
	_, _, errno := unix.Syscall6(unix.SYS_CACHESTAT, fd, uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	return errno == 0 && int64(stat.cached)*int64(unix.Getpagesize()) >= n*3/4
}

// Truncate as the operating system's files have it.
func (f *directFile) Truncate(size int64) error {
	if t, ok := f.File.(interface{ Truncate(size int64) error }); ok {
		return t.Truncate(size)
	}
	return nil
}

func (f *directFile) Close() error {
	return errors.Join(f.second.Close(), f.File.Close())
}
