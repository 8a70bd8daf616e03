package survival

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
)

// What the store does with itself, and what befalls it. None of it changes what
// a reader sees.

// between makes something happen to the store, and demands that nobody notices.
func (w *world) between(name string, act func() error) {
	w.log = append(w.log, name)
	now := w.seen(w.model)
	w.allow(now, now)
	if err := act(); err != nil {
		w.fatal("%s: %v", name, err)
	}
	if w.r.IntN(2) == 0 {
		if got := w.seen(w.store); got != now {
			w.fatal("after %s the store shows\n%s\nmodel\n%s", name, got, now)
		}
	}
}

// mend repairs until nothing is missing; then no drive counts as damaged but those
// that take no writes, without which stripes may be written.
func (w *world) mend() error {
	if len(w.failing) > 0 {
		return nil
	}
	if err := w.revive(); err != nil {
		return err
	}
	if err := mended(w.store); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.mu.damaged)
	for _, d := range w.store.Drives() {
		if d.State != objects.DriveWell && slices.Contains(w.layout.folders, d.Path) {
			w.mu.damaged[d.Path] = true
		}
	}
	return nil
}

// revive has drives written to again that gave up, by a restart: otherwise that takes
// them half a minute, and until then no other drive takes their shards.
func (w *world) revive() error {
	gaveUp := slices.ContainsFunc(w.store.Drives(), func(d objects.DriveStatus) bool { return d.State == objects.DriveFailed })
	if !gaveUp {
		return nil
	}
	if err := w.store.Close(); err != nil && !strings.Contains(err.Error(), "input/output error") {
		return fmt.Errorf("close: %w", err)
	}
	w.start()
	return nil
}

// mended is nil once everything is whole and a repair that reads every byte says so.
func mended(s *objects.Store) error {
	ctx := context.Background()
	if _, err := s.Repair(ctx, objects.RepairOptions{Verify: true}); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	again, err := s.Repair(ctx, objects.RepairOptions{Verify: true})
	if err != nil || again.Damaged > 0 || again.Unrepairable > 0 {
		return fmt.Errorf("after a repair another one finds %+v, %v\n%s", again, err, drivesOf(s))
	}
	left, err := s.Redundancy(ctx)
	if err != nil {
		return err
	}
	for spare, n := range left.Spare {
		if spare < parity && n > 0 || left.Lost > 0 {
			return fmt.Errorf("after a repair redundancy is %+v\n%s", left, drivesOf(s))
		}
	}
	return nil
}

// drivesOf tells of the drives that are not well.
func drivesOf(s *objects.Store) string {
	var b strings.Builder
	for _, d := range s.Drives() {
		if d.State != objects.DriveWell {
			fmt.Fprintf(&b, "drive %d at %s is %s: %s\n", d.Number, d.Path, d.State, d.Reason)
		}
	}
	return b.String()
}

func (w *world) sweep() error {
	w.host.Clock.(*clock).forward(2 * stageKept)
	_, err := w.store.Sweep(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.damaged) > 0 {
		return nil // a drive that is broken or emptied gives nothing back
	}
	return err
}

// pack gathers small blobs into stripes, takes the living out of sparse extents,
// and gives the dead ones back.
func (w *world) pack() error {
	ctx := context.Background()
	packed, err := w.store.Pack(ctx)
	w.packed += packed.Stripes
	if err == nil {
		_, err = w.store.Reclaim(ctx)
	}
	if err == nil {
		err = w.sweep()
	}
	w.mu.Lock()
	w.mu.shared = w.store.Tidiness().SharedBytes > 0 || packed.Stripes > 0
	w.mu.Unlock()
	if w.harmed() > 0 { // a stripe of small blobs is not written without all of its shards, each read back
		return nil
	}
	return err
}

// reopen closes the store, or kills its process, or cuts the power, and opens it again.
func (w *world) reopen() error {
	w.heal()
	switch w.r.IntN(3) {
	case 0:
		if err := w.store.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	case 1:
		w.leave(w.disk.Kill())
	default:
		disk := w.disk.CrashClone(w.seed ^ w.forks.Load())
		_ = w.disk.Kill()
		w.leave(disk)
	}
	w.start()
	return nil
}

// leave goes on with another disk. The dead store may keep what it holds open for
// ever, where the index's view could not be closed.
func (w *world) leave(disk *hosttest.Disk) {
	w.disk.SetFault(nil)
	_ = w.store.Close()
	w.disk = disk
}

// spareDrive is one that may come to harm: m at most are damaged at a time.
func (w *world) spareDrive() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.layout.folders[w.r.IntN(len(w.layout.folders))]
	if !w.mu.damaged[d] && len(w.mu.damaged) >= parity {
		return "", false
	}
	w.mu.damaged[d] = true
	return d, true
}

// lose empties a drive's folder while the store runs, or not.
func (w *world) lose() error {
	d, ok := w.spareDrive()
	if !ok {
		return w.mend()
	}
	w.heal()
	w.layout.past = nil // of a drive that is no more
	if w.r.IntN(2) == 0 {
		if err := w.store.Close(); err != nil {
			return err
		}
		w.disk.Wipe(d)
		w.start()
	} else {
		w.disk.Wipe(d)
	}
	return nil
}

// pull makes a drive fail until heal.
func (w *world) pull() error {
	d, ok := w.spareDrive()
	if !ok {
		w.heal()
		return w.mend()
	}
	w.failing[d] = true
	w.disk.Fail(d, syscall.EIO)
	return nil
}

// lock makes a drive's file system read-only until heal.
func (w *world) lock() error {
	d, ok := w.spareDrive()
	if !ok {
		w.heal()
		return w.mend()
	}
	w.failing[d] = true
	d += "/"
	w.locked.Store(&d)
	return nil
}

// heal brings back the drives that failed. Extents that they retired stay so.
func (w *world) heal() {
	w.release()
	w.locked.Store(nil)
	for d := range w.failing {
		w.disk.Fail(d, nil)
		delete(w.failing, d)
	}
}

// rot damages sectors of a drive's extents.
func (w *world) rot() error {
	d, ok := w.spareDrive()
	if !ok {
		return w.mend()
	}
	w.release() // of a drive that hangs nothing can be seen
	for range 1 + w.r.IntN(20) {
		rotten(w.disk, d, w.r)
	}
	return nil
}

// rotten flips bits somewhere in the extents of a drive.
func rotten(disk *hosttest.Disk, d string, r *rand.Rand) {
	names, err := disk.List(d + "/extents")
	if err != nil || len(names) == 0 {
		return
	}
	name := d + "/extents/" + names[r.IntN(len(names))]
	info, err := disk.Stat(name)
	if err != nil || info.Size() == 0 {
		return
	}
	disk.Corrupt(name, r.Int64N(info.Size()), 1+r.Int64N(600))
}

// live makes one request, or lets something happen.
func (w *world) live() {
	switch n := w.r.IntN(72); {
	case n < 44:
		w.do(w.request())
	case n < 47:
		w.between("sweep", w.sweep)
	case n < 49:
		w.between("repair", w.mend)
	case n < 51:
		w.between("pack", w.pack)
	case n < 54:
		w.between("reopen", w.reopen)
	case n < 56:
		w.between("a drive is lost", w.lose)
	case n < 58:
		w.between("a drive fails", w.pull)
	case n < 59:
		w.between("a drive is read-only", w.lock)
	case n < 60:
		w.between("the drives are well", func() error { w.heal(); return w.mend() })
	case n < 61:
		w.between("a drive rots", w.rot)
	case n < 65:
		w.between("the layout changes", w.arrange)
	case n < 67:
		w.between("a drive is rolled back", w.rollBack)
	case n < 69:
		w.between("a drive hangs", w.hangs)
	default:
		w.between("pack", w.pack)
	}
}

func (w *world) end() {
	w.heal()
	w.disk.SetFault(nil)
	if err := w.store.Close(); err != nil && !strings.Contains(err.Error(), "input/output error") {
		w.fatal("close: %v", err)
	}
}
