package drive

import (
	"errors"
	"fmt"
)

// failuresMax failed groups one after another end the write side.
const failuresMax = 3

// report counts failures and turns them into what the callers branch on.
func (w *writer) report(err error) error {
	d := w.drive
	if isNoSpace(err) {
		d.dropSpares(0)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.full = fmt.Errorf("%w: %w", ErrFull, err)
		return d.full
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failures++; d.failures < failuresMax {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	d.failure = fmt.Errorf("%w %d times, at last: %w", ErrFailed, d.failures, err)
	return d.failure
}

func (d *Drive) failed() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.failure
}

// end handles a failure before any record was written: without space the extent stays as it is.
func (w *writer) end(e *extent, err error, attempted string) error {
	err = fmt.Errorf("%s extent %d: %w", attempted, e.number, err)
	if isNoSpace(err) {
		return err
	}
	return w.retire(e, err)
}

// abandon handles a failed write. Without space, and before any sync, the extent can
// be sealed at its last acknowledged end; otherwise it is retired.
func (w *writer) abandon(e *extent, err error) error {
	if isNoSpace(err) {
		w.sealExtent(e) // a stub if it is empty: remains of the write must not show behind later records
		return err
	}
	return w.retire(e, err)
}

// retire ends an extent of which nothing that was not acknowledged can be trusted.
// It is never written or synced again.
func (w *writer) retire(e *extent, err error) error {
	w.active = nil
	d := w.drive
	d.mu.Lock()
	e.active, e.retired = false, err
	d.mu.Unlock()
	_ = e.file.Close() // nothing unsynced of it counts
	e.file = nil
	d.log.Warn("extent retired", "drive", d.dir, "extent", e.number, "error", err)
	if d.options.Events.Retired != nil {
		d.options.Events.Retired(e.number, err)
	}
	return err
}

// seal ends the active extent where it has records.
func (w *writer) seal() {
	if e := w.active; e != nil && (e.used > firstRecord || w.drive.isClosed()) {
		w.sealExtent(e)
	}
}

func (w *writer) sealExtent(e *extent) {
	d := w.drive
	if err := d.sealFile(e, seal{proven: e.proven, records: e.records}); err != nil {
		_ = w.retire(e, fmt.Errorf("seal extent %d: %w", e.number, err))
		return
	}
	w.active = nil
	d.mu.Lock()
	defer d.mu.Unlock()
	e.active, e.file = false, nil
	if e.fixed && e.used == firstRecord {
		d.setFree(e)
	}
}

func (d *Drive) isClosed() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.closed
}

// sealFile ends an extent with its seal and cuts what was preallocated ahead. One
// without records becomes a stub: its header alone, which keeps its number taken.
// One of fixed size has its seal in the last sector, and without records none.
func (d *Drive) sealFile(e *extent, s seal) error {
	if e.fixed {
		return d.sealFixed(e, s)
	}
	end := e.used
	if e.used > firstRecord {
		if _, err := e.file.WriteAt(encodeSeal(s, e, d.header.Drive, e.used), e.used); err != nil {
			return err
		}
		end += SectorBytes
	}
	if err := truncate(e.file, end); err != nil {
		return err
	}
	return errors.Join(e.file.SyncData(), e.file.Close())
}

func (d *Drive) sealFixed(e *extent, s seal) error {
	if e.used == firstRecord {
		return e.file.Close()
	}
	s.end = e.used
	if _, err := e.file.WriteAt(encodeSeal(s, e, d.header.Drive, e.limit()), e.limit()); err != nil {
		return err
	}
	return errors.Join(e.file.SyncData(), e.file.Close())
}
