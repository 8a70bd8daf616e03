package drive_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

const firstExtent = dir + "/extents/00000001.extent"

// crashed appends records one by one and cuts the power without a Close.
func crashed(t *testing.T, records int) (*host.Host, []drive.Address) {
	t.Helper()
	h, d := fresh(t, small)
	var a []drive.Address
	for i := range records {
		a = append(a, add(t, d, drive.Journal, record(i, 600))...)
	}
	next := hosttest.Reboot(h, 1)
	must(t, d.Close())
	return next, a
}

func offset(a drive.Address) int64 { return int64(a.Sector) * drive.SectorBytes }

func TestBadRecordBeforeAProofOfItsAcknowledgementIsRot(t *testing.T) {
	for _, inPayload := range []int64{3, 300} {
		h, a := crashed(t, 4)
		hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[1])+inPayload, 1)
		d := reopen(t, h, small)
		good, bad := scan(t, d, drive.Journal)
		if len(good) != 3 || len(bad) != 1 || bad[0].Address != a[1] {
			t.Errorf("%d good, %d bad", len(good), len(bad))
		}
		must(t, d.Close())
	}
}

func TestBadRecordThatNothingProvesIsATornTail(t *testing.T) {
	h, a := crashed(t, 4)
	hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[3])+3, 1)
	cut := int64(0)
	o := small
	o.Events.Truncated = func(_ uint32, _, to int64) { cut = to }
	d := reopen(t, h, o)
	defer d.Close()
	if good, bad := scan(t, d, drive.Journal); len(good) != 3 || len(bad) != 0 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
	if cut != offset(a[3]) {
		t.Errorf("cut at %d, want %d", cut, offset(a[3]))
	}
	if err := check(d, a[3], record(3, 600)); !errors.Is(err, drive.ErrCorrupt) {
		t.Errorf("whoever knows that it was acknowledged learns that it is to be repaired: %v", err)
	}
}

// TestNextExtentProvesTheLastRecordsOfARetiredOne: no record follows them in their own.
func TestNextExtentProvesTheLastRecordsOfARetiredOne(t *testing.T) {
	h, d := fresh(t, small)
	a := append(add(t, d, drive.Journal, record(0, 600)), add(t, d, drive.Journal, record(1, 600))...)
	hosttest.DiskOf(h).SetFault(failing(hosttest.Sync, syscall.EIO))
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(2, 600)}); !errors.Is(err, drive.ErrWrite) {
		t.Fatal(err)
	}
	hosttest.DiskOf(h).SetFault(nil)
	b := add(t, d, drive.Journal, record(3, 600))[0]
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[1])+3, 1)
	hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[1])+1024+3, 1) // remains of what failed
	for range 2 {
		d = reopen(t, h, small)
		good, bad := scan(t, d, drive.Journal)
		if len(good) != 2 || len(bad) != 1 || bad[0].Address != a[1] || good[1].Address != b {
			t.Errorf("%d good, bad: %+v", len(good), bad)
		}
		must(t, d.Close())
	}
}

// TestExtentProvesNothingBeyondTheOneBeforeIt: the sequences between belong to an
// extent that was removed.
func TestExtentProvesNothingBeyondTheOneBeforeIt(t *testing.T) {
	h, d := fresh(t, small)
	add(t, d, drive.Journal, record(0, 600))
	hosttest.DiskOf(h).SetFault(failing(hosttest.Write, syscall.EIO))
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(1, 600)}); !errors.Is(err, drive.ErrWrite) {
		t.Fatal(err)
	}
	hosttest.DiskOf(h).SetFault(nil)
	middle := add(t, d, drive.Journal, record(2, 600))[0]
	must(t, d.Seal(t.Context(), drive.Journal))
	add(t, d, drive.Journal, record(3, 600))
	must(t, d.Remove(t.Context(), middle.Extent))
	must(t, d.Close())
	d = reopen(t, h, small)
	defer d.Close()
	if good, bad := scan(t, d, drive.Journal); len(good) != 2 || len(bad) != 0 {
		t.Errorf("%d good, bad: %+v", len(good), bad)
	}
}

func TestRemainsOfAWriteWithoutSpaceNeverShowBehindLaterRecords(t *testing.T) {
	h, d := fresh(t, small)
	add(t, d, drive.Journal, record(0, 100))
	writes := 0
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if writes++; op.Kind == hosttest.Write && op.Offset > 0 && writes == 1 {
			return &hosttest.ShortWrite{Bytes: 1536, Err: syscall.ENOSPC}
		}
		return nil
	})
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(1, 100), record(2, 100), record(3, 100), record(4, 100)}); !errors.Is(err, drive.ErrFull) {
		t.Fatalf("append: %v", err)
	}
	add(t, d, drive.Journal, record(5, 100))
	h = hosttest.Restart(h, 1)
	_ = d.Close() // of a dead process
	d = reopen(t, h, small)
	defer d.Close()
	good, bad := scan(t, d, drive.Journal)
	for i, f := range good {
		if i > 0 && f.Sequence <= good[i-1].Sequence {
			t.Errorf("record %d: sequence %d after %d", i, f.Sequence, good[i-1].Sequence)
		}
	}
	if len(good) < 2 || len(bad) > 0 || good[len(good)-1].Identity != id(5) {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
}

func TestRemovedExtentStaysGoneAfterACrash(t *testing.T) {
	h, d := fresh(t, small)
	defer d.Close()
	a := add(t, d, drive.Journal, record(0, 100))[0]
	must(t, d.Seal(t.Context(), drive.Journal))
	b := add(t, d, drive.Journal, record(1, 100))[0]
	must(t, d.Remove(t.Context(), a.Extent))
	for seed := range int64(30) {
		after := reopen(t, hosttest.Reboot(h, seed), small)
		if err := check(after, a, record(0, 100)); !errors.Is(err, drive.ErrGone) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		holds(t, after, b, record(1, 100))
		must(t, after.Close())
	}
}

func TestTailThatCannotBeSyncedDoesNotCount(t *testing.T) {
	h, d := fresh(t, small)
	a := append(add(t, d, drive.Journal, record(0, 100)), add(t, d, drive.Journal, record(1, 100))...)
	hosttest.DiskOf(h).CutAfter(1) // the write is done, the sync is not
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(2, 100)}); err == nil {
		t.Fatal("acknowledged without power")
	}
	h = hosttest.Restart(h, 1)
	_ = d.Close() // of a dead process
	hosttest.DiskOf(h).SetFault(failing(hosttest.Sync, syscall.EIO))
	d = reopen(t, h, small)
	defer d.Close()
	if e := d.Extents()[0]; e.Retired == nil {
		t.Error("not retired")
	}
	if good, bad := scan(t, d, drive.Journal); len(good) != 2 || len(bad) != 0 {
		t.Errorf("%d good, %d bad: the third was never synced", len(good), len(bad))
	}
	holds(t, d, a[0], record(0, 100))
}
