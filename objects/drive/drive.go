package drive

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/tarnlake/tarn/host"
)

// Options of Open. The zero value works.
type Options struct {
	ExtentBytes   int64 // of one extent's file; default 256 MiB, at least 16 KiB
	AheadBytes    int64 // of a stripe extent, preallocated ahead of need in one step; default 16 MiB
	RecycledBytes int64 // of an extent of the journal or of small records; default 8 MiB, at most ExtentBytes. A drive's first ones are smaller
	Spares        int   // extents kept zeroed ahead of need; default 1; -1: none
	FilesOpen     int   // files kept open for readers; default 128
	ReadOnly      bool  // take no lock and write nothing at all
	Events        Events
}

// Events are told what happens to the drive. Any of them may be nil. They are
// called without locks held, and must return soon.
type Events struct {
	Retired   func(extent uint32, err error)              // a failed write or sync ended the extent
	Truncated func(extent uint32, from, to int64)         // Open cut a tail that was never acknowledged
	Corrupt   func(a Address, err error)                  // a read or scan met rot
	Committed func(class Class, records int, bytes int64) // one group was synced
	Zeroed    func(bytes int64)                           // of an extent of fixed size, once in its life
}

// Limits of Options.ExtentBytes.
const (
	ExtentBytesMin = 16 << 10
	ExtentBytesMax = 64 << 30
)

func (o Options) withDefaults() (Options, error) {
	if o.ExtentBytes == 0 {
		o.ExtentBytes = 256 << 20
	}
	if o.AheadBytes == 0 {
		o.AheadBytes = 16 << 20
	}
	if o.RecycledBytes == 0 {
		o.RecycledBytes = 8 << 20
	}
	o.RecycledBytes = min(o.RecycledBytes, o.ExtentBytes)
	if o.Spares == 0 {
		o.Spares = 1
	}
	if o.FilesOpen == 0 {
		o.FilesOpen = 128
	}
	if o.ExtentBytes < ExtentBytesMin || o.ExtentBytes > ExtentBytesMax || o.ExtentBytes%SectorBytes != 0 {
		return o, fmt.Errorf("drive: ExtentBytes is %d: a multiple of %d from %d to %d is wanted", o.ExtentBytes, SectorBytes, ExtentBytesMin, int64(ExtentBytesMax))
	}
	if o.AheadBytes < 0 || o.FilesOpen < 0 {
		return o, errors.New("drive: AheadBytes and FilesOpen must not be negative")
	}
	if o.RecycledBytes < ExtentBytesMin || o.RecycledBytes%SectorBytes != 0 {
		return o, fmt.Errorf("drive: RecycledBytes is %d: a multiple of %d from %d on is wanted", o.RecycledBytes, SectorBytes, ExtentBytesMin)
	}
	return o, nil
}

// Drive is an open drive.
type Drive struct {
	fs      host.FS
	dir     string
	log     *slog.Logger
	header  Header
	options Options
	lock    io.Closer // nil when read-only
	files   *files
	warm    warmth
	queues  [classes]*queue
	writing sync.WaitGroup // the writers; Close waits
	closing sync.Once
	spares  spares

	root struct { // held while the root file is replaced
		sync.Mutex
		Root
		err error
	}

	mu       sync.RWMutex // guards all below; never held across I/O
	extents  map[uint32]*extent
	rotten   []uint32 // extents that told nothing of themselves at Open
	highest  uint32   // number ever used; its file stays, as a stub at least, so that no number returns
	stubs    []uint32 // extents without records, to be unlinked once a higher one exists
	failures int      // groups, since the last that went well
	failure  error    // ErrFailed: the write side gave up
	full     error    // ErrFull: the last append found no room
	closed   bool
}

// Open opens the drive in a folder. Tails that a crash left are cut, and every
// record that is found is synced, so that what a Scan shows stays.
func Open(h *host.Host, dir string, o Options) (*Drive, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	hd, err := Identify(h, dir)
	if err != nil {
		return nil, err
	}
	d := &Drive{fs: h.FS, dir: dir, log: h.Log, header: hd, options: o, extents: map[uint32]*extent{}}
	for class := range d.queues {
		d.queues[class] = newQueue()
	}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("open drive %s: %w", dir, err)
	}
	return d, nil
}

func (d *Drive) open() (err error) {
	if !d.options.ReadOnly {
		if d.lock, err = lockDrive(d.fs, d.dir); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, d.lock.Close())
			}
		}()
	}
	d.root.Root, d.root.err = readRoot(d.fs, d.dir, d.header.Drive)
	if errors.Is(d.root.err, ErrFormatVersion) {
		return d.root.err
	}
	d.files = newFiles(d.options.FilesOpen, func(number uint32) (host.File, error) {
		return d.fs.Open(d.path(number))
	})
	session, err := d.recoverExtents()
	if err != nil {
		return err
	}
	if !d.options.ReadOnly {
		d.startWriters(session)
	}
	return nil
}

func lockDrive(fs host.FS, dir string) (io.Closer, error) {
	l, err := fs.Lock(fs.PathJoin(dir, lockName))
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "lock held by current process") {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return nil, fmt.Errorf("lock: %w", err)
}

func (d *Drive) extentsDir() string { return d.fs.PathJoin(d.dir, extentsName) }

func (d *Drive) path(number uint32) string {
	return d.fs.PathJoin(d.extentsDir(), extentName(number))
}

// Header says who the drive is.
func (d *Drive) Header() Header { return d.header }

// Number is the drive's place in the store's layout.
func (d *Drive) Number() uint16 { return d.header.Number }

// Err is nil while the drive accepts writes; ErrFull from an append that found no
// room until one succeeds; ErrFailed for good; ErrClosed, ErrReadOnly.
func (d *Drive) Err() error {
	if err := d.writable(); err != nil {
		return err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.full
}

func (d *Drive) writable() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case d.closed:
		return ErrClosed
	case d.options.ReadOnly:
		return ErrReadOnly
	}
	return d.failure
}

// Close waits for what is queued, seals the active extents, and lets the drive go.
// What was acknowledged is safe without it.
func (d *Drive) Close() error {
	err := ErrClosed
	d.closing.Do(func() { err = d.close() })
	return err
}

func (d *Drive) close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	for _, q := range d.queues {
		q.close()
	}
	d.writing.Wait()
	d.spares.close()
	err := d.files.close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}
