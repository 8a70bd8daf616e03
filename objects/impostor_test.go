package objects

import (
	"context"
	"errors"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// driveState is how the store sees the drive with a number.
func driveState(t testing.TB, s *Store, number uint16) DriveState {
	t.Helper()
	for _, d := range s.Drives() {
		if d.Number == number {
			return d.State
		}
	}
	t.Fatalf("there is no drive %d", number)
	return 0
}

func rename(t testing.TB, disk *hosttest.Disk, from, to string) {
	t.Helper()
	if err := disk.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// otherStore makes a store in folders x-1 to x-6 of the same disk.
func otherStore(t testing.TB, disk *hosttest.Disk) {
	t.Helper()
	h := hosttest.New(77)
	h.FS = disk
	o := durableOptions(h)
	o.Drives = []string{"x-1", "x-2", "x-3", "x-4", "x-5", "x-6"}
	s := openDurable(t, o)
	keepSome(t, s)
	mustClose(t, s)
}

func TestADriveOfAnotherStoreIsNeverTakenIn(t *testing.T) {
	h := hosttest.New(1)
	disk := hosttest.DiskOf(h)
	o := durableOptions(h)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	otherStore(t, disk)
	rename(t, disk, "drive-5", "away")
	rename(t, disk, "x-5", "drive-5")
	s := openDurable(t, o)
	defer mustClose(t, s)
	if got := driveState(t, s, 5); got != DriveForeign && got != DriveMissing {
		t.Errorf("drive 5, in whose folder another store's lies, is %s", got)
	}
	if _, err := s.AdoptDrive(context.Background(), "drive-5"); !errors.Is(err, drive.ErrForeign) {
		t.Errorf("adoption of another store's drive: %v", err)
	}
	allReadBack(t, s, keepSome(t, s))
}

func TestFoldersOfTwoStoresInEqualPartsAreRefused(t *testing.T) {
	h := hosttest.New(1)
	mustClose(t, openDurable(t, durableOptions(h)))
	otherStore(t, hosttest.DiskOf(h))
	o := durableOptions(h)
	o.Drives = []string{"drive-1", "drive-2", "drive-3", "x-4", "x-5", "x-6"}
	if s, err := Open(context.Background(), o); err == nil {
		mustClose(t, s)
		t.Error("three drives each of two stores were opened as one")
	}
}

// impostor puts a drive of the same store and number, with another id, into a folder.
func impostor(t testing.TB, h *hosttest.Disk, s *Store, number uint16, folder string) {
	t.Helper()
	hd := drive.Header{Store: s.id, Number: number, Created: s.host.Clock.Now()}
	hd.Drive[0] = 0xee
	if err := drive.Format(s.host, folder, hd); err != nil {
		t.Fatal(err)
	}
}

func TestAnImpostorOfADriveIsNotTakenForIt(t *testing.T) {
	h := hosttest.New(1)
	disk := hosttest.DiskOf(h)
	o := durableOptions(h)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	keys := keepSome(t, s)

	// While the store runs, another drive's folder stands in the place of drive 5.
	rename(t, disk, "drive-5", "away")
	impostor(t, disk, s, 5, "drive-5")
	s.probe(context.Background())
	if got := driveState(t, s, 5); got < DriveMissing {
		t.Errorf("a drive whose folder holds an impostor is %s", got)
	}
	before := hosttest.DiskOf(h).Operations()
	if err := s.roots.save(context.Background(), func(*rootRecord) {}); err != nil || disk.Operations() == before {
		t.Fatal(err)
	}
	if names, _ := disk.List("drive-5"); len(names) > 2 { // header and extents
		t.Errorf("the impostor was written to: %v", names)
	}
	mustClose(t, s)

	// Nor is it at the next start, nor when it appears later, nor when it is to be adopted.
	s = openDurable(t, o)
	defer mustClose(t, s)
	if got := driveState(t, s, 5); got == DriveWell {
		t.Error("an impostor was opened as drive 5")
	}
	s.probe(context.Background())
	if got := driveState(t, s, 5); got == DriveWell {
		t.Error("an impostor was attached as drive 5")
	}
	if _, err := s.AdoptDrive(context.Background(), "drive-5"); err == nil {
		t.Error("an impostor was adopted as drive 5")
	}
	disk.Wipe("drive-5")
	_ = disk.Remove("drive-5")
	rename(t, disk, "away", "drive-5")
	s.probe(context.Background())
	if got := driveState(t, s, 5); got != DriveWell {
		t.Errorf("drive 5 is back, and %s", got)
	}
	allReadBack(t, s, keys)
}

// Fewer copies than m+1 of the root record are none.
func TestARootRecordThatTooFewDrivesTookIsNotSaved(t *testing.T) {
	s := openDurable(t, durableOptions(hosttest.New(1)))
	defer mustClose(t, s)
	disk := hosttest.DiskOf(s.host)
	for _, folder := range sixFolders[2:] {
		disk.Fail(folder, errors.New("pulled out"))
		defer disk.Fail(folder, nil)
	}
	if err := s.roots.save(context.Background(), func(*rootRecord) {}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("saved on two drives, with two that may be lost: %v", err)
	}
}
