package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tarnlake/tarn/host"
)

// Audited is one step of an Audit: a record, or a stretch where none verifies.
type Audited struct {
	Found
	Next    int64 // offset in the extent behind it, from where an audit can go on
	Trimmed bool  // Err is set, and nothing acknowledged was here: remains of a torn write
}

// Audit reads an extent from an offset on, 0 for its beginning, and yields every
// record in it, verified, from the device and not from memory where the machine
// allows it. Rot comes as a step with an error, the extent's own header and seal
// among it; an error of the second kind ends the audit. ErrGone: there is no such
// extent any more.
func (d *Drive) Audit(ctx context.Context, number uint32, from int64) iter.Seq2[Audited, error] {
	return func(yield func(Audited, error) bool) {
		e, sealed, err := d.auditable(number)
		if err != nil {
			yield(Audited{}, fmt.Errorf("audit extent %d of %s: %w", number, d.dir, err))
			return
		}
		if e.unread != nil {
			yield(Audited{Found: Found{Address: e.address(0), Err: e.unread}, Next: firstRecord}, nil)
			return
		}
		h, err := d.files.acquire(number)
		if err != nil {
			d.unopened(e, err, func(f Found, err error) bool { return yield(Audited{Found: f, Next: e.used}, err) })
			return
		}
		defer d.files.release(h)
		a := &auditing{d: d, e: e, sealed: sealed, file: fromDevice{h}, last: max(e.base, 1) - 1}
		a.run(ctx, from, yield)
	}
}

// auditable copies what an audit needs of an extent.
func (d *Drive) auditable(number uint32) (*extent, bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	e := d.extents[number]
	switch {
	case d.closed:
		return nil, false, ErrClosed
	case e == nil:
		return nil, false, ErrGone
	}
	copied := &extent{
		number: number, generation: e.generation, class: e.class, base: e.base, fixed: e.fixed, size: e.size,
		used: e.used, proven: e.proven, unread: e.unread,
	}
	return copied, !e.active && !d.options.ReadOnly && e.retired == nil && e.used > firstRecord, nil
}

// recycled reports whether the extent was given back since the audit of it began.
func (a *auditing) recycled() bool {
	a.d.mu.RLock()
	defer a.d.mu.RUnlock()
	e := a.d.extents[a.e.number]
	return e == nil || e.generation != a.e.generation
}

// auditing is one Audit under way.
type auditing struct {
	d      *Drive
	e      *extent
	sealed bool
	file   io.ReaderAt
	last   uint64
}

func (a *auditing) run(ctx context.Context, from int64, yield func(Audited, error) bool) {
	if from < firstRecord {
		if from = firstRecord; !a.frame(yield) {
			return
		}
	}
	w := &walker{file: a.file, drive: a.d.header.Drive, extent: a.e, off: from, end: a.e.used}
	for s, ok := w.next(); ok; s, ok = w.next() {
		if err := ctx.Err(); err != nil {
			yield(Audited{}, err)
			return
		}
		if s.err != nil && a.recycled() {
			yield(Audited{}, fmt.Errorf("audit extent %d of %s: %w", a.e.number, a.d.dir, ErrGone))
			return
		}
		f, counts := a.d.found(a.e, s, &a.last)
		if !yield(Audited{Found: f, Next: w.off, Trimmed: !counts}, nil) {
			return
		}
	}
}

// frame checks the extent's header, and its seal where it should have one.
func (a *auditing) frame(yield func(Audited, error) bool) bool {
	err := a.checkFrame()
	if err == nil || a.recycled() {
		return true
	}
	err = fmt.Errorf("audit extent %d of %s: %w", a.e.number, a.d.dir, err)
	return yield(Audited{Found: Found{Address: a.e.address(0), Err: err}, Next: firstRecord}, nil)
}

func (a *auditing) checkFrame() error {
	b := make([]byte, SectorBytes)
	if _, err := a.file.ReadAt(b, 0); err != nil {
		return err
	}
	if _, err := decodeExtent(b, a.d.header.Drive, a.e.number); err != nil || !a.sealed {
		return err
	}
	at := a.e.used
	if a.e.fixed {
		at = a.e.limit()
	}
	if _, err := a.file.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if s, ok := decodeSeal(b, a.e, a.d.header.Drive, at); !ok || s.end != a.e.used {
		return fmt.Errorf("the seal: %w", ErrCorrupt)
	}
	return nil
}

// fromDevice reads an extent from the device, even where the operating system has it in memory.
type fromDevice struct{ *handle }

func (f fromDevice) ReadAt(p []byte, off int64) (int, error) {
	past := f.pastMemory()
	if past == io.ReaderAt(f.file) {
		host.Evict(f.file, off, int64(len(p)))
	}
	return past.ReadAt(p, off)
}

// CheckFiles reads the drive's own files from the device: both copies of the header,
// and the root record. nil: all are well.
func (d *Drive) CheckFiles() error {
	return errors.Join(d.checkHeader(), d.checkRoot())
}

func (d *Drive) checkHeader() error {
	b, err := readFile(d.fs, d.fs.PathJoin(d.dir, headerName), headerAllBytes)
	if err != nil {
		return fmt.Errorf("read the header of %s: %w", d.dir, err)
	}
	if len(b) < headerAllBytes {
		return fmt.Errorf("the header of %s has %d bytes: %w", d.dir, len(b), ErrCorruptHeader)
	}
	for _, at := range []int{0, headerCopyAt} {
		if _, err := decodeHeader(b[at:]); err != nil {
			return fmt.Errorf("the header of %s, the copy at %d: %w", d.dir, at, err)
		}
	}
	return nil
}

func (d *Drive) checkRoot() error {
	d.root.Lock()
	defer d.root.Unlock()
	if d.root.err != nil {
		return d.root.err
	}
	r, err := readRoot(d.fs, d.dir, d.header.Drive)
	if err == nil && r.Version != d.root.Version {
		err = fmt.Errorf("the root record of %s has version %d and should have %d: %w", d.dir, r.Version, d.root.Version, ErrCorrupt)
	}
	return err
}

// HealHeader writes the header anew where a copy of it is rotten.
func (d *Drive) HealHeader() error {
	if err := d.writable(); err != nil {
		return fmt.Errorf("heal the header of %s: %w", d.dir, err)
	}
	if err := d.checkHeader(); err == nil {
		return nil
	}
	b := make([]byte, headerAllBytes)
	copy(b, encodeHeader(d.header))
	copy(b[headerCopyAt:], encodeHeader(d.header))
	if err := replaceFile(d.fs, d.dir, headerName, b); err != nil {
		return fmt.Errorf("heal the header of %s: %w", d.dir, err)
	}
	return d.checkHeader()
}
