package drive_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// round fills an extent, seals and removes it.
func round(t *testing.T, d *drive.Drive, class drive.Class, n int) drive.Address {
	t.Helper()
	a := add(t, d, class, record(n, 9000), record(n+1, 9000))[0]
	must(t, d.Seal(t.Context(), class))
	must(t, d.Remove(t.Context(), a.Extent))
	return a
}

func TestARecycledExtentIsZeroedOnceAndItsOldAddressesStayGone(t *testing.T) {
	h, d := fresh(t, small)
	defer func() { must(t, d.Close()) }()
	files, writes := 0, 0
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		switch op.Kind {
		case hosttest.Create:
			files++
		case hosttest.Write:
			writes++
		}
		return nil
	})
	gone := map[drive.Address]drive.Record{}
	for n := range 20 {
		class := []drive.Class{drive.Journal, drive.Small}[n%2]
		a := round(t, d, class, n)
		if _, twice := gone[a]; twice {
			t.Fatalf("round %d: address %s was given before", n, a)
		}
		gone[a] = record(n, 9000)
		for old, r := range gone {
			if err := check(d, old, r); !errors.Is(err, drive.ErrGone) {
				t.Fatalf("round %d: %s: %v", n, old, err)
			}
		}
	}
	// Each round writes two headers, the records and the seal; the first the zeros too.
	if files != 1 || writes > 20*4+2 {
		t.Errorf("%d files, %d writes", files, writes)
	}
}

// TestAReaderOvertakenByRecyclingIsToldSo: between its look-up and its read the
// extent was removed and filled anew.
func TestAReaderOvertakenByRecyclingIsToldSo(t *testing.T) {
	o := small
	rot := 0
	o.Events.Corrupt = func(drive.Address, error) { rot++ }
	h, d := fresh(t, o)
	defer d.Close()
	a := add(t, d, drive.Small, record(1, 9000))[0]
	must(t, d.Seal(t.Context(), drive.Small))
	var once sync.Once
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Read {
			once.Do(func() {
				must(t, d.Remove(t.Context(), a.Extent))
				if b := add(t, d, drive.Small, record(2, 9000))[0]; b.Extent != a.Extent || b.Sector != a.Sector || b.Generation <= a.Generation {
					t.Errorf("not recycled: %s after %s", b, a)
				}
			})
		}
		return nil
	})
	if err := check(d, a, record(1, 9000)); !errors.Is(err, drive.ErrGone) || rot > 0 {
		t.Fatalf("%v, %d reports of rot", err, rot)
	}
}

func TestAScanOvertakenByRecyclingSeesNoRot(t *testing.T) {
	h, d := fresh(t, small)
	defer d.Close()
	a := add(t, d, drive.Small, record(1, 9000))[0]
	must(t, d.Seal(t.Context(), drive.Small))
	var once sync.Once
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Read {
			once.Do(func() {
				must(t, d.Remove(t.Context(), a.Extent))
				add(t, d, drive.Journal, record(2, 9000))
			})
		}
		return nil
	})
	if good, bad := scan(t, d, drive.Small); len(good)+len(bad) > 0 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
}

// TestOldRecordsNeverShowBehindNewOnes: a crash leaves an extent whose end is found
// by a walk, over records of its former life that lie where none were written yet.
func TestOldRecordsNeverShowBehindNewOnes(t *testing.T) {
	for _, class := range []drive.Class{drive.Journal, drive.Small} {
		h, d := fresh(t, small)
		old := add(t, d, class, record(1, 500), record(2, 500), record(3, 500), record(4, 500))
		must(t, d.Seal(t.Context(), class))
		must(t, d.Remove(t.Context(), old[0].Extent))
		a := add(t, d, class, record(5, 500))[0]
		if a.Extent != old[0].Extent {
			t.Fatalf("not recycled: %s after %s", a, old[0])
		}
		add(t, d, class, record(6, 100)) // whose end lies within the old record 3
		for _, next := range []int64{1, 2, 3} {
			again := reopen(t, hosttest.Reboot(h, next), small)
			good, bad := scan(t, again, class)
			if len(good) != 2 || len(bad) != 0 || good[0].Identity != id(5) || good[1].Identity != id(6) {
				t.Errorf("%s: %d good, %d bad", class, len(good), len(bad))
			}
			for i, at := range old {
				if err := check(again, at, record(i+1, 500)); !errors.Is(err, drive.ErrGone) {
					t.Errorf("%s: an old record: %v", class, err)
				}
			}
			must(t, again.Close())
		}
		must(t, d.Close())
	}
}

func TestARottenHeaderOfARecycledExtentGivesBackTheNewestGeneration(t *testing.T) {
	h, d := fresh(t, small)
	old := add(t, d, drive.Small, record(1, 500), record(2, 500), record(3, 500))
	must(t, d.Seal(t.Context(), drive.Small))
	must(t, d.Remove(t.Context(), old[0].Extent))
	a := add(t, d, drive.Small, record(4, 500))[0]
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(firstExtent, 10, 20)
	d = reopen(t, h, small)
	defer d.Close()
	holds(t, d, a, record(4, 500))
	if err := check(d, old[1], record(2, 500)); !errors.Is(err, drive.ErrGone) {
		t.Errorf("an old record: %v", err)
	}
	if good, bad := scan(t, d, drive.Small); len(good) != 1 || len(bad) != 0 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
}

// TestAHeaderWrittenInPartGivesNoRemovedRecordBack: the extent that was to be used
// again is unlinked, or becomes a stub, whatever crashes then.
func TestAHeaderWrittenInPartGivesNoRemovedRecordBack(t *testing.T) {
	for _, later := range []bool{false, true} { // whether another file has the highest number
		h, d := fresh(t, small)
		a := round(t, d, drive.Journal, 1)
		if later {
			add(t, d, drive.Stripe, record(3, 100))
		}
		failed := false
		hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
			if op.Kind != hosttest.Write || failed {
				return nil
			}
			failed = true
			return &hosttest.ShortWrite{Bytes: 7, Err: errFault}
		})
		if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(4, 100)}); !errors.Is(err, drive.ErrWrite) {
			t.Fatal(err)
		}
		hosttest.DiskOf(h).SetFault(nil)
		for seed := range int64(20) {
			again := reopen(t, hosttest.Reboot(h, seed), small)
			if err := check(again, a, record(1, 9000)); !errors.Is(err, drive.ErrGone) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if _, bad := scan(t, again, drive.Journal); len(bad) > 0 {
				t.Fatalf("seed %d: %d bad", seed, len(bad))
			}
			must(t, again.Close())
		}
		must(t, d.Close())
	}
}

// TestSparesAreZeroedAheadOfNeed: a writer that goes on never makes a file itself.
func TestSparesAreZeroedAheadOfNeed(t *testing.T) {
	o := drive.Options{ExtentBytes: 8 << 20, RecycledBytes: 2 << 20, Spares: 2}
	_, d := fresh(t, o)
	for n := range 300 {
		add(t, d, drive.Small, record(n, 60<<10))
	}
	must(t, d.Close())
}

func TestAFullDriveGivesItsFreeExtentsBack(t *testing.T) {
	h, d := fresh(t, small)
	defer d.Close()
	round(t, d, drive.Small, 1)
	hosttest.DiskOf(h).SetCapacity(dir, 70<<10)
	full := false
	for n := range 20 {
		_, err := d.Append(context.Background(), drive.Stripe, []drive.Record{record(n, 9000)})
		if errors.Is(err, drive.ErrFull) && !full {
			full = true
			continue // the free extent's space is there now
		}
		if err == nil && full {
			return
		}
	}
	t.Fatal("a full drive keeps space that it does not need")
}

// TestTrimGivesBackWhatIsKeptForMany, and the drive goes on as before.
func TestTrimGivesBackWhatIsKeptForMany(t *testing.T) {
	o := drive.Options{ExtentBytes: 4 << 20, RecycledBytes: 1 << 20, Spares: 1}
	h, d := fresh(t, o)
	var all []drive.Address
	for n := range 400 { // some ten extents
		all = append(all, add(t, d, drive.Small, record(n, 20<<10))...)
	}
	must(t, d.Seal(t.Context(), drive.Small))
	for _, e := range d.Extents() {
		must(t, d.Remove(t.Context(), e.Number))
	}
	files := func() (n int) {
		names, err := hosttest.DiskOf(h).List(dir + "/extents")
		must(t, err)
		for _, name := range names {
			info, err := hosttest.DiskOf(h).Stat(dir + "/extents/" + name)
			must(t, err)
			if info.Size() >= 1<<20 {
				n++
			}
		}
		return n
	}
	before := files()
	d.Trim()
	if after := files(); before < 3 || after != 1 {
		t.Errorf("%d free extents, then %d", before, after)
	}
	kept := add(t, d, drive.Small, record(1000, 20<<10), record(1001, 20<<10))
	must(t, d.Close())
	d = reopen(t, h, o)
	defer d.Close()
	holds(t, d, kept[0], record(1000, 20<<10))
	for n, a := range all {
		if err := check(d, a, record(n, 20<<10)); !errors.Is(err, drive.ErrGone) {
			t.Fatalf("%s: %v", a, err)
		}
	}
}

// TestADriveWhoseRemovalsFailGoesOnOnceItIsWell: each try counted the extent as gone,
// until the size of the next one was that of fewer than none.
func TestADriveWhoseRemovalsFailGoesOnOnceItIsWell(t *testing.T) {
	o := drive.Options{ExtentBytes: 4 << 20, RecycledBytes: 1 << 20}
	h, d := fresh(t, o)
	defer func() { must(t, d.Close()) }()
	first := add(t, d, drive.Small, record(1, 20<<10))[0]
	must(t, d.Seal(t.Context(), drive.Small))
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if op.Kind.Changes() {
			return syscall.EIO
		}
		return nil
	})
	for range 20 {
		if err := d.Remove(t.Context(), first.Extent); err == nil {
			t.Fatal("removed, though nothing can be")
		}
	}
	hosttest.DiskOf(h).SetFault(nil)
	for n := range 100 {
		add(t, d, drive.Small, record(n, 20<<10))
	}
	must(t, d.Remove(t.Context(), first.Extent))
}

// An extent, new or used again, has a durable header before a record is written behind
// it: a power cut in between never finds records whose extent has no class.
func TestAnExtentIsNamedDurablyBeforeItsFirstRecord(t *testing.T) {
	for _, class := range []drive.Class{drive.Stripe, drive.Small, drive.Journal} {
		for _, again := range []bool{false, true} {
			h, d := fresh(t, small)
			if again {
				round(t, d, class, 1) // its extent has been synced, and is free now where its class is used again
			}
			var unsynced atomic.Bool // a header
			var headers, early atomic.Int32
			hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
				switch {
				case !strings.HasSuffix(op.Path, ".extent"):
				case op.Kind == hosttest.Sync:
					unsynced.Store(false)
				case op.Kind == hosttest.Write && op.Offset == 0:
					headers.Add(1)
					unsynced.Store(true)
				case op.Kind == hosttest.Write && unsynced.Load():
					early.Add(1)
				}
				return nil
			})
			a := add(t, d, class, record(5, 100))[0]
			hosttest.DiskOf(h).SetFault(nil)
			if headers.Load() == 0 || early.Load() > 0 {
				t.Errorf("%v at %s, used again %v: %d headers, %d writes before their sync", class, a, again, headers.Load(), early.Load())
			}
			must(t, d.Close())
		}
	}
}
