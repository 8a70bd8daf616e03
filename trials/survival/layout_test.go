package survival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
)

const drivesMost = 8

// layout is what the operator has done to a world's drives.
type layout struct {
	folders []string       // that the store is opened with
	named   int            // folders so far: none is used twice
	past    *hosttest.Disk // all drives as they once were; nil: not kept, or not theirs any more
	done    map[string]int // successes, by kind
}

func newLayout() layout {
	return layout{folders: slices.Clone(folders), named: len(folders), done: map[string]int{}}
}

// members are the drives of the store, whatever their state.
func (w *world) members() []objects.DriveStatus {
	return slices.DeleteFunc(w.store.Drives(), func(d objects.DriveStatus) bool { return !slices.Contains(w.layout.folders, d.Path) || d.Number == 0 })
}

// arranged is an answer to a change of the layout: one may be refused while a drive is
// harmed, and none while all are well.
func (w *world) arranged(kind string, err error) error {
	if err == nil {
		w.layout.done[kind]++
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.damaged) > 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", kind, err)
}

// arrange takes the next step of a drive's coming, or of another one's going.
func (w *world) arrange() error {
	w.heal()
	all := w.members()
	if i := slices.IndexFunc(all, func(d objects.DriveStatus) bool { return d.Draining }); i >= 0 {
		return w.drainOn(all[i])
	}
	if len(all) <= drivesAll || len(all) < drivesMost && w.r.IntN(3) == 0 {
		return w.addDrive()
	}
	if w.r.IntN(3) == 0 {
		return w.spread(all[len(all)-1].Number)
	}
	d := all[w.r.IntN(len(all))]
	_, err := w.store.DrainDrive(context.Background(), d.Number)
	return w.arranged("drains", err)
}

func (w *world) addDrive() error {
	w.layout.named++
	d := fmt.Sprintf("d%d", w.layout.named)
	w.openedWith(append(slices.Clone(w.layout.folders), d))
	_, err := w.store.AddDrive(context.Background(), d, objects.Labels{})
	if err != nil {
		w.openedWith(slices.DeleteFunc(slices.Clone(w.layout.folders), func(f string) bool { return f == d }))
	}
	return w.arranged("adds", err)
}

// openedWith changes the folders that are given when the store is opened.
func (w *world) openedWith(folders []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.layout.folders = folders
}

// drainOn goes on with a drain: it moves what lies there, removes the drive, or calls the drain off.
func (w *world) drainOn(d objects.DriveStatus) error {
	ctx := context.Background()
	if w.r.IntN(6) == 0 {
		_, err := w.store.KeepDrive(ctx, d.Number)
		return w.arranged("kept", err)
	}
	_, err := w.store.Relocate(ctx, objects.Relocation{Want: func(st *objects.Stripe) (which []int) {
		for i, sh := range st.Shards {
			if sh.Drive == d.Number && !sh.Address.IsZero() {
				which = append(which, i)
			}
		}
		return which
	}})
	if err != nil {
		return w.arranged("moves", err)
	}
	err = w.store.RemoveDrive(ctx, d.Number, false)
	if errors.Is(err, objects.ErrDriveNeeded) {
		return nil // something is left there that found no other place yet
	}
	if err == nil {
		w.openedWith(slices.DeleteFunc(slices.Clone(w.layout.folders), func(f string) bool { return f == d.Path }))
		w.mu.Lock()
		delete(w.mu.damaged, d.Path)
		w.mu.Unlock()
	}
	return w.arranged("removals", err)
}

// spread moves shards to a drive that has few, as a balance does.
func (w *world) spread(to uint16) error {
	_, err := w.store.Relocate(context.Background(), objects.Relocation{
		Avoid: func(drive uint16) bool { return drive != to },
		Want: func(st *objects.Stripe) []int {
			i := int(st.ID[0]) % len(st.Shards)
			if st.Shards[i].Address.IsZero() || slices.ContainsFunc(st.Shards, func(sh objects.Shard) bool { return sh.Drive == to }) {
				return nil
			}
			return []int{i}
		},
	})
	return w.arranged("balances", err)
}

// rollBack keeps the drives as they are, or gives one of them back its contents of
// then, journal and all, as a disk that was restored from an image.
func (w *world) rollBack() error {
	if w.layout.past == nil {
		w.layout.past = w.disk.CrashClone(w.seed ^ w.forks.Load())
		return nil
	}
	d, ok := w.spareDrive()
	if !ok {
		w.heal()
		return w.mend()
	}
	w.heal()
	past := w.layout.past
	if err := w.store.Close(); err != nil {
		return err
	}
	w.disk.SetFault(nil)
	if _, err := past.Stat(d); err == nil {
		w.disk.Wipe(d)
		if err := restore(w.disk, past, d); err != nil {
			return fmt.Errorf("roll %s back: %w", d, err)
		}
		w.layout.done["rolled back"]++
	}
	w.layout.past = nil
	w.start()
	return nil
}

// restore copies what lies at a name from one disk to another, and syncs it.
func restore(to, from *hosttest.Disk, name string) error {
	info, err := from.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return restoreFile(to, from, name)
	}
	if err := to.MkdirAll(name, 0o755); err != nil {
		return err
	}
	names, err := from.List(name)
	for _, n := range names {
		if err == nil {
			err = restore(to, from, name+"/"+n)
		}
	}
	if err != nil {
		return err
	}
	dir, err := to.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func restoreFile(to, from *hosttest.Disk, name string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{in})
	return errors.Join(err, out.Sync(), out.Close())
}

// Drives come, drain, go and are rolled back, while others fail, and nobody notices.
func TestALongLifeOfTheDrivesIsNeverNoticed(t *testing.T) {
	seed, done := seedOf(t), map[string]int{}
	for i := range size(6, 3000) {
		w := newWorld(t, seed<<8+i, nil)
		for range 250 {
			w.live()
		}
		w.end()
		for kind, n := range w.layout.done {
			done[kind] += n
		}
	}
	t.Logf("%v", done)
	for _, kind := range []string{"adds", "drains", "removals", "balances", "rolled back", "hangs"} {
		if done[kind] == 0 {
			t.Errorf("no %s in all the worlds", kind)
		}
	}
}
