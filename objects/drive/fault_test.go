package drive_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

func failing(kind hosttest.Kind, err error) func(hosttest.Op) error {
	return func(op hosttest.Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	}
}

func TestFailedSyncRetiresTheExtentAndIsNotRetried(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	a := add(t, d, drive.Journal, record(1, 100))[0]
	syncs := 0
	disk.SetFault(func(op hosttest.Op) error {
		if op.Kind != hosttest.Sync {
			return nil
		}
		if syncs++; syncs == 1 {
			return syscall.EIO
		}
		return nil
	})
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(2, 100)}); !errors.Is(err, drive.ErrWrite) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("append: %v", err)
	}
	if syncs != 1 {
		t.Fatalf("%d syncs of a failing extent", syncs)
	}
	if e := d.Extents()[0]; e.Retired == nil || !e.Sealed {
		t.Fatalf("not retired: %+v", e)
	}
	b := add(t, d, drive.Journal, record(3, 100))[0]
	if b.Extent == a.Extent {
		t.Fatal("the retired extent was appended to")
	}
	for _, h := range []*host.Host{h, hosttest.Reboot(h, 1), hosttest.Reboot(h, 2)} {
		if h.FS == disk {
			must(t, d.Close())
		}
		d := reopen(t, h, small)
		holds(t, d, a, record(1, 100))
		holds(t, d, b, record(3, 100))
		must(t, d.Close())
	}
}

func TestThreeFailuresEndTheWriteSide(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 100))[0]
	hosttest.DiskOf(h).SetFault(failing(hosttest.Write, syscall.EIO))
	for i, want := range []error{drive.ErrWrite, drive.ErrWrite, drive.ErrFailed, drive.ErrFailed} {
		if _, err := d.Append(t.Context(), drive.Small, []drive.Record{record(2, 100)}); !errors.Is(err, want) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	if !errors.Is(d.Err(), drive.ErrFailed) {
		t.Errorf("drive's state: %v", d.Err())
	}
	holds(t, d, a, record(1, 100))
	hosttest.DiskOf(h).SetFault(nil)
	must(t, d.Close())
	d = reopen(t, h, small)
	add(t, d, drive.Small, record(3, 100))
	must(t, d.Close())
}

func TestFullDriveRefusesAndRecovers(t *testing.T) {
	for _, class := range []drive.Class{drive.Journal, drive.Stripe} {
		h, d := fresh(t, small)
		disk := hosttest.DiskOf(h)
		disk.SetCapacity(dir, 150<<10)
		kept := map[drive.Address]drive.Record{}
		var full error
		for i := 0; full == nil; i++ {
			r := record(i, 3000)
			a, err := d.Append(t.Context(), class, []drive.Record{r})
			if full = err; err == nil {
				kept[a[0]] = r
			}
		}
		if !errors.Is(full, drive.ErrFull) || !errors.Is(d.Err(), drive.ErrFull) {
			t.Fatalf("%s: full: %v; %v", class, full, d.Err())
		}
		if len(kept) < 25 {
			t.Errorf("%s: full after %d records", class, len(kept))
		}
		for range 10 {
			if _, err := d.Append(t.Context(), class, []drive.Record{record(1, 3000)}); !errors.Is(err, drive.ErrFull) {
				t.Fatalf("%s: still full: %v", class, err)
			}
		}
		for a, r := range kept {
			holds(t, d, a, r)
		}
		first := d.Extents()[0]
		must(t, d.Remove(t.Context(), first.Number))
		r := record(7777, 3000)
		kept[add(t, d, class, r)[0]] = r
		if d.Err() != nil {
			t.Errorf("%s: after recovery: %v", class, d.Err())
		}
		must(t, d.Close())
		d = reopen(t, h, small)
		for a, r := range kept {
			if a.Extent != first.Number {
				holds(t, d, a, r)
			}
		}
		must(t, d.Close())
	}
}

func TestUnreadableExtentDoesNotHideTheRest(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400))[0]
	must(t, d.Seal(t.Context(), drive.Small))
	b := add(t, d, drive.Small, record(2, 400))[0]
	must(t, d.Close())
	hosttest.DiskOf(h).Fail(dir+"/extents/00000001.extent", syscall.EIO)
	d = reopen(t, h, small)
	defer d.Close()
	if err := check(d, a, record(1, 400)); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: %v", err)
	}
	holds(t, d, b, record(2, 400))
	if good, bad := scan(t, d, drive.Small); len(good) != 1 || len(bad) != 1 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
}
