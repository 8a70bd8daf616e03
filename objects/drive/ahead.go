package drive

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tarnlake/tarn/host"
)

// limit is the end of the room for records.
func (d *Drive) limit(e *extent) int64 {
	if e.fixed {
		return e.limit()
	}
	return d.options.ExtentBytes - SectorBytes
}

// roomFor gives the active extent with room for need bytes more, sealing a full
// one and beginning the next.
func (w *writer) roomFor(need int64) (*extent, error) {
	if e := w.active; e != nil && e.used+need <= w.drive.limit(e) {
		return e, nil
	}
	w.seal()
	e, err := w.nextExtent(need)
	if err != nil {
		return nil, err
	}
	w.active, w.latest = e, e.number
	return e, nil
}

func (w *writer) nextExtent(need int64) (*extent, error) {
	if w.class != Stripe {
		return w.nextFixed(need)
	}
	e := &extent{class: w.class, generation: 1}
	w.begin(e)
	if err := w.drive.createExtent(e); err != nil {
		return nil, err
	}
	w.drive.enter(e)
	return e, nil
}

// begin says where an extent stands in its class.
func (w *writer) begin(e *extent) {
	e.class, e.base, e.order, e.before, e.previous = w.class, w.next, w.next, w.acked, w.latest
	e.used, e.proven, e.records, e.active = firstRecord, 0, 0, true
	e.rotten = w.drive.rotten
}

// enter lets readers find an extent.
func (d *Drive) enter(e *extent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.extents[e.number] = e
}

// createExtent makes an extent whose header and name are durable before any record
// is written to it: a readable record therefore always has them, or they rotted.
func (d *Drive) createExtent(e *extent) error {
	d.spares.numbering.Lock()
	defer d.spares.numbering.Unlock()
	d.mu.RLock()
	e.number = d.highest + 1
	d.mu.RUnlock()
	f, err := d.fs.Create(d.path(e.number), host.Category)
	if err != nil {
		return fmt.Errorf("create extent %d: %w", e.number, err)
	}
	e.file = host.Direct(f)
	if err := d.establish(e); err != nil {
		_ = e.file.Close()
		_ = d.fs.Remove(d.path(e.number)) // it holds nothing; a later Open finds that too
		return fmt.Errorf("create extent %d: %w", e.number, err)
	}
	d.mu.Lock()
	d.highest = e.number
	stubs := d.stubs
	d.stubs = nil
	d.mu.Unlock()
	d.unlink(stubs)
	return nil
}

func (d *Drive) establish(e *extent) error {
	if _, err := e.file.WriteAt(encodeExtent(e, d.header.Drive), 0); err != nil {
		return err
	}
	e.prepared = firstRecord
	if err := d.prepare(e, firstRecord+SectorBytes); err != nil {
		return err
	}
	if err := e.file.Sync(); err != nil {
		return err
	}
	return syncDir(d.fs, d.extentsDir())
}

// unlink removes extents that hold no records. One that stays is found again by the next Open.
func (d *Drive) unlink(numbers []uint32) {
	for _, n := range numbers {
		if err := d.fs.Remove(d.path(n)); err != nil {
			d.log.Warn("empty extent stays", "drive", d.dir, "extent", n, "error", err)
		}
	}
}

// prepare reserves blocks for a growing extent up to end, in steps.
func (d *Drive) prepare(e *extent, end int64) error {
	if e.fixed || end <= e.prepared {
		return nil
	}
	want := min(max(end, e.prepared+d.options.AheadBytes), d.options.ExtentBytes)
	err := d.prepareTo(e, want)
	if isNoSpace(err) && end < want {
		err = d.prepareTo(e, end)
	}
	return err
}

func (d *Drive) prepareTo(e *extent, end int64) error {
	err := e.file.Preallocate(e.prepared, end-e.prepared)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		err = nil // the file system allocates when it writes
	}
	if err == nil {
		e.prepared = end
	}
	return err
}

// truncate sets a file's size. vfs.File does not ask for the method, but the
// operating system's files and the fake's have it; on others the zeros ahead stay.
func truncate(f host.File, size int64) error {
	if t, ok := f.(interface{ Truncate(size int64) error }); ok {
		return t.Truncate(size)
	}
	return nil
}

// openForWriting opens an extent that is there. Its writes, as all writes to extents, go past
// the operating system's memory where they can.
func (d *Drive) openForWriting(number uint32) (host.File, error) {
	f, err := d.fs.OpenReadWrite(d.path(number), host.Category)
	if err != nil {
		return nil, err
	}
	return host.Direct(f), nil
}
