package drive_test

import (
	"bytes"
	"errors"
	"slices"
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

func TestRotIsFoundAndTheScanGoesOn(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	var a []drive.Address
	for i := range 6 {
		a = append(a, add(t, d, drive.Journal, record(i, 1000))...)
	}
	at := func(i int) int64 { return int64(a[i].Sector) * drive.SectorBytes }
	file := dir + "/extents/00000001.extent"
	disk.Corrupt(file, at(1)+5, 1)   // a header
	disk.Corrupt(file, at(3)+900, 1) // a payload
	disk.Corrupt(file, at(5)+20, 1)  // the last one's header
	for _, d := range []*drive.Drive{d, nil} {
		if d == nil {
			d = reopen(t, h, small)
		}
		good, bad := scan(t, d, drive.Journal)
		if len(good) != 3 || len(bad) != 3 {
			t.Fatalf("%d good, %d bad", len(good), len(bad))
		}
		for i, n := range []int{1, 3, 5} {
			if bad[i].Address != a[n] || !errors.Is(bad[i].Err, drive.ErrCorrupt) {
				t.Errorf("rot %d: %+v", i, bad[i])
			}
			if err := check(d, a[n], record(n, 1000)); !errors.Is(err, drive.ErrCorrupt) {
				t.Errorf("read of rotten record %d: %v", n, err)
			}
		}
		if bad[1].Identity != id(3) {
			t.Errorf("the header still tells who it was: %+v", bad[1])
		}
		for _, n := range []int{0, 2, 4} {
			holds(t, d, a[n], record(n, 1000))
		}
		must(t, d.Close())
	}
}

func TestRangeReadsVerifyOnlyWhatTheyTouch(t *testing.T) {
	h, d := fresh(t, drive.Options{ExtentBytes: 8 << 20, AheadBytes: 1 << 20})
	defer d.Close()
	r := record(1, 300_000)
	a := add(t, d, drive.Stripe, r)[0]
	hosttest.DiskOf(h).Corrupt(dir+"/extents/00000001.extent", int64(a.Sector)*512+512+70_000, 1)
	for _, c := range []struct {
		off, n int
		bad    bool
	}{{0, 65536, false}, {65536, 10, true}, {131071, 1, true}, {131072, 168_928, false}, {0, 300_000, true}} {
		p := make([]byte, c.n)
		err := d.Read(t.Context(), a, r.Identity, p, int64(c.off))
		if errors.Is(err, drive.ErrCorrupt) != c.bad {
			t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
		}
		if !c.bad && !bytes.Equal(p, r.Payload[c.off:c.off+c.n]) {
			t.Errorf("%d bytes at %d differ", c.n, c.off)
		}
	}
}

func TestMisdirectedAndLostWritesAreFound(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	file := dir + "/extents/00000001.extent"
	a := append(add(t, d, drive.Small, record(1, 400)), add(t, d, drive.Small, record(1, 400))...)
	disk.Swap(file, int64(a[0].Sector)*512, file, int64(a[1].Sector)*512, 512)
	for _, at := range a {
		if err := check(d, at, record(1, 400)); !errors.Is(err, drive.ErrCorrupt) {
			t.Errorf("a misdirected write at %s: %v", at, err)
		}
	}
	disk.LoseWrites(file)
	lost := add(t, d, drive.Small, record(2, 400))[0]
	if err := check(d, lost, record(2, 400)); !errors.Is(err, drive.ErrCorrupt) {
		t.Errorf("a lost write: %v", err)
	}
	if _, bad := scan(t, d, drive.Small); len(bad) == 0 {
		t.Error("the scan saw nothing")
	}
	must(t, d.Close())
}

func TestExtentOfAnotherDriveDoesNotVerify(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400))[0]
	must(t, d.Close())
	other := header()
	other.Drive = drive.ID{9}
	must(t, drive.Format(h, "drive-2", other))
	must(t, h.FS.Link(dir+"/extents/00000001.extent", "drive-2/extents/00000001.extent"))
	e, err := drive.Open(h, "drive-2", small)
	must(t, err)
	defer e.Close()
	if err := check(e, a, record(1, 400)); err == nil {
		t.Error("another drive's record was read as ours")
	}
}

func TestRottenExtentHeaderLeavesItsRecordsReadable(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400), record(2, 400))
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(dir+"/extents/00000001.extent", 10, 20)
	d = reopen(t, h, small)
	defer d.Close()
	holds(t, d, a[0], record(1, 400))
	if good, bad := scan(t, d, drive.Small); len(good) != 2 || len(bad) != 0 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
	if b := add(t, d, drive.Small, record(3, 1)); b[0].Extent == 1 {
		t.Error("its number was given again")
	}
}

// An extent that tells nothing of itself is named by the extents of later sessions: what it held is older than they are.
func TestAnUnreadableExtentIsKnownToBeOlderThanLaterSessions(t *testing.T) {
	h, d := fresh(t, small)
	for n, want := range [][]uint64{nil, {0}, {1}, {1}} { // the second session knows of no first one
		if n > 0 {
			d = reopen(t, h, small)
		}
		_, bad := scan(t, d, drive.Journal)
		var got []uint64
		for _, f := range bad {
			got = append(got, f.Session)
		}
		if !slices.Equal(got, want) {
			t.Errorf("session %d: unreadable since %v, want %v", n+1, got, want)
		}
		add(t, d, drive.Journal, record(n, 600))
		must(t, d.Close())
		if n == 0 {
			info, err := h.FS.Stat(firstExtent)
			must(t, err)
			hosttest.DiskOf(h).Corrupt(firstExtent, 0, info.Size())
		}
	}
}
