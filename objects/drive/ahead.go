package drive

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tarnlake/tarn/host"
)

// zeroBlock is what extents are zeroed with.
var zeroBlock [256 << 10]byte

// roomFor gives the active extent of a class with room for need bytes more,
// sealing a full one and making the next.
func (w *writer) roomFor(class Class, need int64) (*extent, error) {
	e := w.active[class]
	if e != nil && e.used+need <= w.drive.options.ExtentBytes-SectorBytes {
		return e, nil
	}
	w.seal(class)
	e = &extent{class: class, generation: 1, base: w.next[class], before: w.acked[class], previous: w.latest[class], used: firstRecord, active: true}
	if err := w.drive.createExtent(e); err != nil {
		return nil, err
	}
	w.active[class], w.latest[class] = e, e.number
	return e, nil
}

// createExtent makes an extent whose header and name are durable before any record
// is written to it: a readable record therefore always has them, or they rotted.
func (d *Drive) createExtent(e *extent) error {
	d.mu.RLock()
	e.number = d.highest + 1
	d.mu.RUnlock()
	f, err := d.fs.Create(d.path(e.number), host.Category)
	if err != nil {
		return fmt.Errorf("create extent %d: %w", e.number, err)
	}
	e.file = f
	if err := d.establish(e); err != nil {
		_ = f.Close()
		_ = d.fs.Remove(d.path(e.number)) // it holds nothing; a later Open finds that too
		return fmt.Errorf("create extent %d: %w", e.number, err)
	}
	d.mu.Lock()
	d.highest = e.number
	d.extents[e.number] = e
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

// prepare makes the extent's file ready up to end, in steps: an overwrite of
// zeros needs no metadata when it is synced, and ran 2.5 times as fast as an
// extending append. Stripes are large and only get their blocks reserved.
func (d *Drive) prepare(e *extent, end int64) error {
	if end <= e.prepared {
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
	var err error
	if e.class == Stripe {
		err = e.file.Preallocate(e.prepared, end-e.prepared)
		if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
			err = nil // the file system allocates when it writes
		}
	} else if err = zero(e.file, e.prepared, end); isNoSpace(err) {
		err = errors.Join(err, truncate(e.file, e.prepared)) // leave the rest to others
	}
	if err == nil {
		e.prepared = end
	}
	return err
}

func zero(f host.File, from, to int64) error {
	for from < to {
		n, err := f.WriteAt(zeroBlock[:min(int64(len(zeroBlock)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// truncate sets a file's size. vfs.File does not ask for the method, but the
// operating system's files and the fake's have it; on others the zeros ahead stay.
func truncate(f host.File, size int64) error {
	if t, ok := f.(interface{ Truncate(size int64) error }); ok {
		return t.Truncate(size)
	}
	return nil
}
