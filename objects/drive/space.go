package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/host"
)

// Extents describes all extents, by number.
func (d *Drive) Extents() []ExtentInfo {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]ExtentInfo, 0, len(d.extents))
	for _, e := range d.extents {
		out = append(out, ExtentInfo{Number: e.number, Generation: e.generation, Class: e.class, Bytes: e.used, Sealed: !e.active, Retired: e.retired})
	}
	slices.SortFunc(out, func(a, b ExtentInfo) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// Remove gives back an extent of which nothing is needed any more. Reads of it that
// began before may still succeed; later ones are ErrGone. An extent that is still
// appended to is ErrActive. The removal survives a crash once Remove returned nil.
func (d *Drive) Remove(ctx context.Context, number uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, recycled, err := d.take(number)
	if err != nil {
		return fmt.Errorf("remove extent %d of %s: %w", number, d.dir, err)
	}
	if err := d.giveBack(e, recycled); err != nil {
		d.putBack(e, recycled)
		return fmt.Errorf("remove extent %d of %s: %w", number, d.dir, err)
	}
	return nil
}

// giveBack frees an extent for others of its kind, or its space.
func (d *Drive) giveBack(e *extent, recycled bool) error {
	if recycled {
		err := d.recycle(e)
		if err == nil {
			return nil
		}
		d.mu.Lock()
		e.retired = fmt.Errorf("free extent %d: %w", e.number, err)
		d.mu.Unlock()
	}
	_ = d.files.drop(e.number) // opened for reading only
	if err := d.discard(e.number); err != nil {
		return err
	}
	return syncDir(d.fs, d.extentsDir())
}

// discard unlinks an extent that is not known any more; of the one with the highest
// number its header stays.
func (d *Drive) discard(number uint32) error {
	d.mu.RLock()
	highest := number == d.highest
	d.mu.RUnlock()
	if highest {
		return d.makeStub(number)
	}
	return d.fs.Remove(d.path(number))
}

// take takes an extent out of what readers find.
func (d *Drive) take(number uint32) (e *extent, recycled bool, err error) {
	if err := d.writableForRemoval(); err != nil {
		return nil, false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e = d.extents[number]
	switch {
	case e == nil:
		return nil, false, ErrGone
	case e.active:
		return nil, false, ErrActive
	}
	delete(d.extents, number)
	if recycled = d.recyclable(e); e.fixed && !recycled {
		d.spares.made = max(d.spares.made-1, 0)
	}
	return e, recycled, nil
}

// writableForRemoval: a full or failing drive may still give space back.
func (d *Drive) writableForRemoval() error {
	if err := d.writable(); err != nil && !errors.Is(err, ErrFailed) {
		return err
	}
	return nil
}

func (d *Drive) putBack(e *extent, recycled bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.extents[e.number] = e
	if e.fixed && !recycled {
		d.spares.made++ // it is there still, however often its removal is tried
	}
}

// makeStub leaves of the highest extent only its header, so that its number, and
// with it the addresses in it, never come back.
func (d *Drive) makeStub(number uint32) error {
	f, err := d.fs.OpenReadWrite(d.path(number), host.Category)
	if err != nil {
		return err
	}
	err = truncate(f, firstRecord)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stubs = append(d.stubs, number)
	return nil
}

// Usage of a drive.
type Usage struct {
	TotalBytes  int64 // of the device
	FreeBytes   int64 // that this process may use
	ExtentBytes int64 // used in extents
}

// Usage asks the device.
func (d *Drive) Usage() (Usage, error) {
	u, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		return Usage{}, fmt.Errorf("usage of %s: %w", d.dir, err)
	}
	out := Usage{TotalBytes: int64(u.TotalBytes), FreeBytes: int64(u.AvailBytes)}
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, e := range d.extents {
		out.ExtentBytes += e.used
	}
	return out, nil
}
