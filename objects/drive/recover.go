package drive

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/tarnlake/tarn/host"
)

// recoverExtents reads what extents there are and returns the number of the new session.
func (d *Drive) recoverExtents() (session uint64, err error) {
	numbers, err := d.listExtents()
	if err != nil {
		return 0, err
	}
	var empty []uint32
	var later [classes]*extent // the next higher extent of each class
	for _, number := range slices.Backward(numbers) {
		e, err := d.load(number, &later)
		if err != nil {
			return 0, err
		}
		session = max(session, e.base>>sessionShift)
		if e.used == firstRecord && e.unread == nil {
			empty = append(empty, number)
			continue
		}
		d.extents[number] = e
		later[e.class] = e
	}
	if len(numbers) > 0 {
		d.highest = numbers[len(numbers)-1]
	}
	d.keepOne(empty)
	if session++; session >= 1<<(64-sessionShift) {
		return 0, fmt.Errorf("drive was opened %d times, the limit", session)
	}
	return session, nil
}

// keepOne unlinks extents without records, except the highest, which keeps its number taken.
func (d *Drive) keepOne(empty []uint32) {
	if i := slices.Index(empty, d.highest); i >= 0 {
		d.stubs = []uint32{d.highest}
		empty = slices.Delete(empty, i, i+1)
	}
	if !d.options.ReadOnly {
		d.unlink(empty)
	}
}

func (d *Drive) listExtents() ([]uint32, error) {
	names, err := d.fs.List(d.extentsDir())
	if errors.Is(err, os.ErrNotExist) && !d.options.ReadOnly {
		if err = d.fs.MkdirAll(d.extentsDir(), 0o755); err == nil {
			err = syncDir(d.fs, d.dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list extents: %w", err)
	}
	var numbers []uint32
	for _, name := range names {
		if n, ok := extentNumber(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// load reads one extent's header and finds its end. An extent that cannot be read
// stays known with its error; only another format fails the drive.
func (d *Drive) load(number uint32, later *[classes]*extent) (*extent, error) {
	f, err := d.fs.Open(d.path(number))
	if err != nil {
		return d.unreadable(number, err), nil
	}
	defer f.Close()
	size, e, err := d.loadHeader(f, number)
	if errors.Is(err, ErrFormatVersion) {
		return nil, err
	}
	if err != nil {
		return d.unreadable(number, err), nil
	}
	if int(e.class) >= classes || size <= firstRecord {
		e.class, e.used = e.class%Class(classes), firstRecord
		return e, nil
	}
	if d.sealed(f, e, size) {
		return e, nil
	}
	var floor uint64
	if next := later[e.class]; next != nil && next.previous == e.number {
		floor = next.before
	}
	d.recoverTail(f, e, size, floor)
	return e, nil
}

func (d *Drive) unreadable(number uint32, err error) *extent {
	err = fmt.Errorf("open extent %d: %w", number, err)
	d.log.Warn("extent unreadable", "drive", d.dir, "extent", number, "error", err)
	return &extent{number: number, used: firstRecord, unread: err, retired: err}
}

func (d *Drive) loadHeader(f host.File, number uint32) (size int64, e *extent, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	size = info.Size()
	b := make([]byte, SectorBytes)
	n, err := f.ReadAt(b, 0)
	if n < len(b) && size >= SectorBytes {
		return size, nil, fmt.Errorf("read header: %w", err)
	}
	e, err = decodeExtent(b[:n], d.header.Drive, number)
	if err == nil || errors.Is(err, ErrFormatVersion) {
		return size, e, err
	}
	found, zeros := firstGeneration(f, d.header.Drive, number, size)
	switch {
	case found != nil:
		return size, found, nil
	case zeros: // a crash came before its header
		return 0, &extent{number: number}, nil
	}
	return size, nil, err
}

// sealed reports whether the extent ends with its seal, and takes the end from it.
func (d *Drive) sealed(f host.File, e *extent, size int64) bool {
	end := size - SectorBytes
	if end <= firstRecord || end%SectorBytes != 0 {
		return false
	}
	b := make([]byte, SectorBytes)
	if _, err := f.ReadAt(b, end); err != nil {
		return false
	}
	s, ok := decodeSeal(b, e, d.header.Drive, end)
	if ok {
		e.used, e.proven, e.records = end, s.proven, s.records
	}
	return ok
}

// tail is what a walk over the end of an unsealed extent found.
type tail struct {
	end       int64  // of the last whole record
	last      uint64 // its sequence
	proven    uint64 // highest sequence that a record says was acknowledged
	provenEnd int64  // of the last whole record to that sequence
	open      []step // whole records above it
}

// recoverTail finds the end of an extent that was not sealed, cuts what is behind
// it, and makes durable what is before. floor is acknowledged by other evidence.
func (d *Drive) recoverTail(f host.File, e *extent, size int64, floor uint64) {
	t := d.findTail(f, e, size)
	t.prove(floor)
	e.used, e.proven = t.end, t.proven
	if t.proven > t.last { // the last acknowledged records rotted: keep the place where they were
		e.used = size / SectorBytes * SectorBytes
	}
	if d.options.ReadOnly {
		return
	}
	if err := d.cutTail(e, size); err != nil {
		// Whether records above proven survive the next crash is not known: they do not count.
		e.used = max(t.provenEnd, firstRecord)
		e.retired = fmt.Errorf("seal extent %d after a crash: %w", e.number, err)
		d.log.Warn("extent retired", "drive", d.dir, "extent", e.number, "error", err)
	}
}

// findTail walks the end of the extent: from where zeros ahead of need must have
// begun at the latest, or from further back if there is no record.
func (d *Drive) findTail(f host.File, e *extent, size int64) tail {
	for span := d.options.AheadBytes + 2*groupBytes; ; span *= 4 {
		from := max(firstRecord, (size-span)/SectorBytes*SectorBytes)
		t := tail{end: firstRecord, provenEnd: firstRecord}
		w := &walker{file: f, drive: d.header.Drive, extent: e, off: from, end: size}
		for s, ok := w.next(); ok; s, ok = w.next() {
			if s.err == nil {
				t.add(s)
			}
		}
		if t.last > 0 || from == firstRecord {
			return t
		}
	}
}

func (t *tail) add(s step) {
	t.end, t.last = s.off+s.head.bytes(), s.head.sequence
	t.open = append(t.open, step{off: t.end, head: head{sequence: t.last}})
	t.prove(s.head.acknowledged)
}

func (t *tail) prove(sequence uint64) {
	t.proven = max(t.proven, sequence)
	for len(t.open) > 0 && t.open[0].head.sequence <= t.proven {
		t.provenEnd = t.open[0].off
		t.open = t.open[1:]
	}
}

func (d *Drive) cutTail(e *extent, size int64) error {
	f, err := d.fs.OpenReadWrite(d.path(e.number), host.Category)
	if err != nil {
		return err
	}
	e.file = f
	defer func() { e.file = nil }()
	if err := d.sealFile(e, seal{proven: e.proven}); err != nil {
		_ = f.Close()
		return err
	}
	if event := d.options.Events.Truncated; event != nil && size > e.used {
		event(e.number, size, e.used)
	}
	return nil
}
