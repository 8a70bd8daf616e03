package drive

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/host"
)

const (
	zeroStepBytes = 1 << 20 // zeroed and synced at once
	firstBytes    = 1 << 20 // of a drive's first recycled extent; each later one is twice as large, to RecycledBytes
	freeMax       = 64      // free extents kept for many records to come, until Trim; more are unlinked
)

// spares are extents of fixed size that are free, and the goroutine that zeroes
// new ones ahead of need: an overwrite of zeros needs no metadata when it is
// synced, and ran 2.5 times as fast as an extending append. It never works within
// a commit. For each byte that is written it may zero two, so that it keeps ahead
// and spreads its work; only a writer that finds none finishes one by itself.
//
// An extent becomes free when it is removed: its header then names the next
// generation and no class, and its old records verify no more. When it is taken,
// its header names the class. Either is synced before anything depends on it.
type spares struct {
	numbering sync.Mutex // held while a file gets the next number; after making, before Drive.mu

	making sync.Mutex // held across I/O; before numbering and Drive.mu
	half   *extent    // being zeroed, guarded by making

	free  []*extent // guarded by Drive.mu
	made  int       // extents of fixed size there are, guarded by Drive.mu
	owed  atomic.Int64
	wake  chan struct{}
	tasks sync.WaitGroup
}

func (s *spares) start(d *Drive) {
	s.wake = make(chan struct{}, 1)
	if d.options.Spares > 0 {
		s.tasks.Go(func() {
			for range s.wake {
				d.zeroSome()
			}
		})
	}
}

func (s *spares) close() {
	if s.wake == nil {
		return
	}
	close(s.wake)
	s.tasks.Wait()
	s.making.Lock()
	defer s.making.Unlock()
	for _, e := range append(s.free, s.half) {
		if e != nil && e.file != nil {
			_ = e.file.Close() // what it holds is synced, or not needed
			e.file = nil
		}
	}
}

// consumed allows zeroing in proportion to what was written.
func (s *spares) consumed(bytes int64) {
	if s.owed.Add(2*bytes) < zeroStepBytes {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// zeroSome does what zeroing is owed.
func (d *Drive) zeroSome() {
	s := &d.spares
	s.making.Lock()
	defer s.making.Unlock()
	for s.owed.Load() >= zeroStepBytes {
		if d.spareEnough() {
			s.owed.Store(0)
			return
		}
		s.owed.Add(-zeroStepBytes)
		if err := d.zeroStep(0); err != nil {
			d.log.Warn("extent not zeroed ahead", "drive", d.dir, "error", err)
			return
		}
	}
}

func (d *Drive) spareEnough() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.spares.free) >= d.options.Spares || d.full != nil || d.failure != nil
}

// zeroStep begins the extent being zeroed, for need bytes at least, or zeroes on.
// A whole one is free. The caller holds making.
func (d *Drive) zeroStep(need int64) error {
	s := &d.spares
	if s.half == nil {
		e := &extent{fixed: true, generation: 1, size: d.fixedBytes(need)}
		if err := d.createExtent(e); err != nil {
			return err
		}
		s.half, e.prepared = e, firstRecord
	}
	e := s.half
	end := min((e.prepared/zeroStepBytes+1)*zeroStepBytes, e.size)
	err := zero(e.file, e.prepared, end)
	if err == nil {
		err = e.file.Sync() // the size too
	}
	if err != nil {
		s.half = nil
		_ = e.file.Close()
		_ = d.discard(e.number)
		return fmt.Errorf("zero extent %d: %w", e.number, err)
	}
	if d.options.Events.Zeroed != nil {
		d.options.Events.Zeroed(end - e.prepared)
	}
	if e.prepared = end; end == e.size {
		s.half = nil
		d.mu.Lock()
		s.free, s.made = append(s.free, e), s.made+1
		d.mu.Unlock()
	}
	return nil
}

// fixedBytes is the size of the next extent of fixed size.
func (d *Drive) fixedBytes(need int64) int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	size := d.options.RecycledBytes
	if d.spares.made < 10 {
		size = min(size, firstBytes<<d.spares.made)
	}
	return max(size, firstRecord+need+SectorBytes)
}

// zeroBlock lies on a page of its own, as memory of this size does.
var zeroBlock = make([]byte, 256<<10)

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

// nextFixed takes a free extent with room for need bytes, or makes one.
func (w *writer) nextFixed(need int64) (*extent, error) {
	d := w.drive
	e := d.takeFree(need)
	for e == nil {
		d.spares.making.Lock()
		err := error(nil)
		if e = d.takeFree(need); e == nil {
			if h := d.spares.half; h != nil && h.size < firstRecord+need+SectorBytes {
				d.spares.half = nil // too small for this record; the next Open finds it
				_ = h.file.Close()
			}
			err = d.zeroStep(need)
		}
		d.spares.making.Unlock()
		if err != nil {
			return nil, err
		}
	}
	if err := d.activate(w, e); err != nil {
		return nil, err
	}
	d.enter(e)
	return e, nil
}

func (d *Drive) takeFree(need int64) *extent {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.spares
	for i, e := range s.free {
		if firstRecord+need <= e.limit() {
			s.free = append(s.free[:i:i], s.free[i+1:]...)
			return e
		}
	}
	return nil
}

// activate gives a free extent its class. Its generation was raised before.
func (d *Drive) activate(w *writer, e *extent) (err error) {
	w.begin(e)
	if e.file == nil {
		e.file, err = d.openForWriting(e.number)
	}
	if err == nil {
		if _, err = e.file.WriteAt(encodeExtent(e, d.header.Drive), 0); err == nil {
			err = e.file.SyncData()
		}
	}
	if err != nil { // it holds nothing, and is never used again
		if e.file != nil {
			_ = e.file.Close()
		}
		// A header written in part would give removed records back: the file must be gone for good.
		_ = errors.Join(d.discard(e.number), syncDir(d.fs, d.extentsDir()))
		return fmt.Errorf("begin extent %d: %w", e.number, err)
	}
	return nil
}

// setFree makes an extent without records free. The caller holds mu.
func (d *Drive) setFree(e *extent) {
	delete(d.extents, e.number)
	d.spares.free = append(d.spares.free, &extent{number: e.number, generation: e.generation + 1, fixed: true, size: e.size, base: e.base})
}

// recyclable: worth keeping when it is removed. The caller holds mu.
func (d *Drive) recyclable(e *extent) bool {
	return e.fixed && e.base > 0 && e.retired == nil && e.unread == nil && e.generation < 1<<32-2 &&
		e.size >= d.options.RecycledBytes/2 && len(d.spares.free) < freeMax
}

// recycle makes the removal of an extent's records durable and the extent free.
func (d *Drive) recycle(e *extent) error {
	next := &extent{number: e.number, generation: e.generation + 1, fixed: true, size: e.size, base: e.base}
	f, err := d.openForWriting(e.number)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(encodeExtent(next, d.header.Drive), 0); err == nil {
		err = f.SyncData()
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	next.file = f
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spares.free = append(d.spares.free, next)
	return nil
}

// Trim gives the space of free extents back, but for those that are kept zeroed ahead
// of need: nothing was written for a while.
func (d *Drive) Trim() { d.dropSpares(max(d.options.Spares, 0)) }

// dropSpares gives the space of free extents back, but for so many.
func (d *Drive) dropSpares(keep int) {
	d.mu.Lock()
	free := d.spares.free[min(keep, len(d.spares.free)):]
	d.spares.free = slices.Clone(d.spares.free[:len(d.spares.free)-len(free)])
	d.spares.made = max(d.spares.made-len(free), 0)
	d.mu.Unlock()
	for _, e := range free {
		if e.file != nil {
			_ = e.file.Close()
		}
		if err := d.discard(e.number); err != nil {
			d.log.Warn("free extent stays", "drive", d.dir, "extent", e.number, "error", err)
		}
	}
}
