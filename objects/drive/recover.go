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
	var all []extentFile
	floors := map[link]uint64{}
	for _, number := range numbers {
		f, err := d.find(number)
		if err != nil {
			return 0, err
		}
		all = append(all, f)
		session = max(session, f.base>>sessionShift)
		if f.previous > 0 {
			at := link{f.class, f.previous}
			floors[at] = max(floors[at], f.before)
		}
	}
	d.noteRotten(all)
	if len(numbers) > 0 {
		d.highest = numbers[len(numbers)-1]
	}
	d.settleAll(all, floors)
	if session++; session >= 1<<(64-sessionShift) {
		return 0, fmt.Errorf("drive was opened %d times, the limit", session)
	}
	return session, nil
}

// noteRotten lists the extents that tell nothing of themselves, for the headers of those that will be made, and takes from such
// headers since when they do so.
func (d *Drive) noteRotten(all []extentFile) {
	since := map[uint32]uint64{}
	for _, f := range all {
		for _, n := range f.rotten {
			if s := f.base >> sessionShift; since[n] == 0 || s < since[n] {
				since[n] = s
			}
		}
	}
	for _, f := range all {
		if f.unread != nil && errors.Is(f.unread, ErrCorrupt) {
			d.rotten = append(d.rotten, f.number)
			f.until = since[f.number]
		}
	}
}

// link names an extent of a class by what a later one says of it. A number may have
// been used by another class since; by the same class only for higher sequences.
type link struct {
	class  Class
	number uint32
}

// extentFile is an extent's file with its header.
type extentFile struct {
	*extent
	bytes int64 // of the file
}

// settleAll finds the end of each extent, and what is free.
func (d *Drive) settleAll(all []extentFile, floors map[link]uint64) {
	var empty []uint32
	for _, f := range all {
		if f.unread == nil && f.class > 0 && f.bytes > firstRecord {
			d.settle(f, floors[link{f.class, f.number}])
		}
		if f.fixed {
			d.spares.made++
		}
		switch {
		case f.used > firstRecord || f.unread != nil:
			d.extents[f.number] = f.extent
		case f.fixed && f.retired == nil && f.bytes >= ExtentBytesMin:
			d.foundFree(f.extent)
		default:
			empty = append(empty, f.number)
		}
	}
	d.keepOne(empty)
	for len(d.spares.free) > freeMax {
		empty, d.spares.free = []uint32{d.spares.free[0].number}, d.spares.free[1:]
		d.keepOne(empty)
	}
}

// foundFree keeps an extent without records. One that was in use when a crash came
// may hold remains of its generation, which then must not return.
func (d *Drive) foundFree(e *extent) {
	if e.class > 0 {
		d.setFree(e)
		return
	}
	d.spares.free = append(d.spares.free, e)
}

// keepOne unlinks extents without records, except the highest, which keeps its number taken.
func (d *Drive) keepOne(empty []uint32) {
	if i := slices.Index(empty, d.highest); i >= 0 {
		d.stubs = append(d.stubs, d.highest)
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

// find reads one extent's header. An extent that cannot be read stays known with
// its error; only another format fails the drive.
func (d *Drive) find(number uint32) (extentFile, error) {
	f, err := d.fs.Open(d.path(number))
	if err != nil {
		return extentFile{extent: d.unreadable(number, err)}, nil
	}
	defer f.Close()
	size, e, err := d.loadHeader(f, number)
	if errors.Is(err, ErrFormatVersion) {
		return extentFile{}, err
	}
	if err != nil {
		e = d.unreadable(number, err)
	}
	if int(e.class) >= classes {
		e.class = 0
	}
	e.used = firstRecord
	if e.fixed {
		e.size = size
	}
	return extentFile{e, size}, nil
}

// settle finds an extent's end. floor is acknowledged by other evidence.
func (d *Drive) settle(x extentFile, floor uint64) {
	f, err := d.fs.Open(d.path(x.number))
	if err != nil {
		*x.extent = *d.unreadable(x.number, err)
		return
	}
	defer f.Close()
	if !d.sealed(f, x.extent, x.bytes) {
		d.recoverTail(f, x.extent, x.bytes, floor)
	}
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
	if size <= firstRecord { // a stub whose header rotted: it holds nothing
		return 0, &extent{number: number}, nil
	}
	rest, zeros := newestGeneration(f, d.header.Drive, number, size)
	switch {
	case rest != nil:
		return size, rest, nil
	case zeros: // a crash came before its header
		return 0, &extent{number: number}, nil
	}
	return size, nil, err
}

// sealed reports whether the extent has its seal, and takes the end from it. Where
// its header is rotten the seal tells which format it has.
func (d *Drive) sealed(f host.File, e *extent, size int64) bool {
	at := size/SectorBytes*SectorBytes - SectorBytes
	if at <= firstRecord {
		return false
	}
	b := make([]byte, SectorBytes)
	if _, err := f.ReadAt(b, at); err != nil {
		return false
	}
	s, ok := decodeSeal(b, e, d.header.Drive, at)
	if !ok && e.base == 0 {
		e.fixed, e.size = true, size
		if s, ok = decodeSeal(b, e, d.header.Drive, at); !ok {
			e.fixed = false
		}
	}
	if ok && (e.fixed || size%SectorBytes == 0) {
		e.used, e.proven, e.records = s.end, s.proven, s.records
		return true
	}
	return false
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
		if e.fixed {
			e.used = e.limit()
		}
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

// findTail walks the end of the extent: from where what was preallocated ahead must
// have begun at the latest, or from further back if there is no record. One of fixed
// size is walked whole.
func (d *Drive) findTail(f host.File, e *extent, size int64) tail {
	span := d.options.AheadBytes + 2*groupBytes
	if e.fixed {
		span, size = size, e.limit()
	}
	for ; ; span *= 4 {
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
	f, err := d.openForWriting(e.number)
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
