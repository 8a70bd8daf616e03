package objects

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// extentsOf lists the extents' files of a drive.
func extentsOf(t testing.TB, h *host.Host, folder string) (paths []string) {
	t.Helper()
	dir := h.FS.PathJoin(folder, "extents")
	names, err := h.FS.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		paths = append(paths, h.FS.PathJoin(dir, name))
	}
	return paths
}

// rot flips bits here and there in all extents of a drive.
func rot(t testing.TB, h *host.Host, folder string, seed uint64) {
	t.Helper()
	source := rand.New(rand.NewPCG(seed, 1))
	for _, path := range extentsOf(t, h, folder) {
		info, err := h.FS.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(0); at < info.Size(); at += 1 + source.Int64N(40_000) {
			hosttest.DiskOf(h).Corrupt(path, at, 1+source.Int64N(600))
		}
	}
}

func viewDrive(t testing.TB, s *Store) int {
	t.Helper()
	for i, d := range s.Drives() {
		if d.View {
			return i
		}
	}
	t.Fatal("no drive holds the view")
	return -1
}

// losses are what happens to a drive while the store serves.
var losses = map[string]func(t testing.TB, h *host.Host, folder string){
	"emptied": func(_ testing.TB, h *host.Host, folder string) { hosttest.DiskOf(h).Wipe(folder) },
	"pulled out": func(_ testing.TB, h *host.Host, folder string) {
		hosttest.DiskOf(h).Fail(folder, errors.New("no such device"))
	},
	"corrupted": func(t testing.TB, h *host.Host, folder string) { rot(t, h, folder, 7) },
}

// The drive with the index's view is always one of the two.
func TestAnyTwoDrivesMayBeLostWhileServing(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			h := hosttest.New(11)
			o := durableOptions(h)
			o.DriveTimeout = 30 * time.Second // a busy machine is not a slow drive
			s := openDurable(t, o)
			stop := timePasses(h)
			keys := keepSome(t, s)
			for round := range 3 {
				first := viewDrive(t, s)
				second := (first + 1 + round) % 6
				for _, i := range []int{first, second} {
					lose(t, h, sixFolders[i])
				}
				allReadBack(t, s, keys)
				for _, i := range []int{first, second} {
					hosttest.DiskOf(h).Fail(sixFolders[i], nil)
				}
				heal(t, s)
				keys = append(keys, keep(t, s, 200_000+round, 5))
				allReadBack(t, s, keys)
			}
			mustClose(t, s)
			s = openDurable(t, o)
			allReadBack(t, s, keys)
			wholeAgain(t, s)
			mustClose(t, s)
			stop()
		})
	}
}

// heal waits until all drives are well and repair finds nothing more to do.
func heal(t testing.TB, s *Store) {
	t.Helper()
	await(t, func() bool {
		for _, d := range s.Drives() {
			if d.State != DriveWell {
				return false
			}
		}
		_, _ = s.Repair(context.Background(), RepairOptions{Verify: true})
		report, err := s.Repair(context.Background(), RepairOptions{Verify: true})
		return err == nil && report.Damaged == 0
	})
}

func TestTwoHangingDrivesHoldUpNothingForLong(t *testing.T) {
	h := hosttest.New(12)
	o := durableOptions(h)
	o.DriveTimeout = 10 * time.Second
	s := openDurable(t, o)
	keys := keepSome(t, s)
	stop := timePasses(h)
	release := make(chan struct{})
	first := viewDrive(t, s)
	hung := []string{sixFolders[first] + "/", sixFolders[(first+2)%6] + "/"}
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if strings.HasPrefix(op.Path, hung[0]) || strings.HasPrefix(op.Path, hung[1]) {
			<-release
		}
		return nil
	})
	allReadBack(t, s, keys)
	_, err := s.WriteBlob(context.Background(), strings.NewReader(strings.Repeat("x", 5000)), 5000)
	if err == nil {
		_, err = s.WriteBlob(context.Background(), strings.NewReader(strings.Repeat("x", 5000)), 5000)
	}
	if !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write with four of six drives: %v", err)
	}
	hosttest.DiskOf(h).SetFault(nil)
	close(release)
	heal(t, s)
	keys = append(keys, keep(t, s, 300_001, 3))
	allReadBack(t, s, keys)
	mustClose(t, s)
	stop()
}

func TestAStaleDriveThatReturnsIsBroughtUpToDate(t *testing.T) {
	h := hosttest.New(13)
	o := durableOptions(h)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	keys := keepSome(t, s)
	mustClose(t, s)
	hosttest.DiskOf(h).Fail("drive-2", errors.New("unplugged"))
	s = openDurable(t, o)
	if d := s.Drives()[1]; d.State != DriveMissing || d.Number != 2 {
		t.Errorf("%+v", d)
	}
	for seed := range uint64(4) {
		keys = append(keys, keep(t, s, 300_002, seed))
	}
	mustClose(t, s)
	hosttest.DiskOf(h).Fail("drive-2", nil)
	s = openDurable(t, o)
	wholeAgain(t, s)
	mustClose(t, s)
	hosttest.DiskOf(h).Wipe("drive-5")
	hosttest.DiskOf(h).Wipe("drive-6")
	s = openDurable(t, o)
	allReadBack(t, s, keys)
	mustClose(t, s)
}

func TestADriveThatWasReplacedIsNotTakenBack(t *testing.T) {
	h := hosttest.New(14)
	o := durableOptions(h)
	s := openDurable(t, o)
	keys := keepSome(t, s)
	mustClose(t, s)
	if err := h.FS.Rename("drive-4", "away"); err != nil {
		t.Fatal(err)
	}
	s = openDurable(t, o)
	wholeAgain(t, s)
	mustClose(t, s)
	o.Drives = append(append([]string{}, sixFolders...), "away")
	s = openDurable(t, o)
	defer mustClose(t, s)
	all := s.Drives()
	if len(all) != 7 || all[6].State != DriveRetired || all[6].Adoptable {
		t.Errorf("%+v", all)
	}
	if _, err := s.AdoptDrive(context.Background(), "away"); err == nil {
		t.Error("it was adopted")
	}
	allReadBack(t, s, keys)
}

func TestWithKDrivesEverythingReadsAndNothingIsWritten(t *testing.T) {
	h := hosttest.New(15)
	o := durableOptions(h)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	keys := keepSome(t, s)
	mustClose(t, s)
	hosttest.DiskOf(h).Wipe("drive-1")
	hosttest.DiskOf(h).Wipe("drive-2")
	s = openDurable(t, o)
	allReadBack(t, s, keys)
	if _, err := s.WriteBlob(context.Background(), strings.NewReader("x"), 1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write: %v", err)
	}
	if ok, reason := s.Writable(); ok || reason == "" {
		t.Error("health says that it writes")
	}
	if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: []byte(keys[0])}}}); err != nil {
		t.Errorf("a delete: %v", err)
	}
	mustClose(t, s)
	hosttest.DiskOf(h).Wipe("drive-3")
	if _, err := Open(context.Background(), o); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with three drives: %v", err)
	}
}

func TestAnotherFormatVersionIsRefused(t *testing.T) {
	h := hosttest.New(16)
	o := durableOptions(h)
	mustClose(t, openDurable(t, o))
	laterFormat(t, h, "drive-1")
	s := openDurable(t, o)
	if d := s.Drives()[0]; d.State != DriveFormat || !strings.Contains(d.Reason, "format") {
		t.Errorf("%+v", d)
	}
	mustClose(t, s)
	for _, folder := range sixFolders[1:] {
		laterFormat(t, h, folder)
	}
	if _, err := Open(context.Background(), o); !errors.Is(err, drive.ErrFormatVersion) {
		t.Errorf("all of another version: %v", err)
	}
}

func TestAFullStoreSaysSoAndGoesOnWhenThereIsRoom(t *testing.T) {
	h := hosttest.New(17)
	o := durableOptions(h)
	o.DriveTimeout = 30 * time.Second
	s := openDurable(t, o)
	stop := timePasses(h)
	keys := keepSome(t, s)
	for _, folder := range sixFolders {
		hosttest.DiskOf(h).SetCapacity(folder, 1)
	}
	var err error
	for i := range 200 {
		if _, err = s.WriteBlob(context.Background(), strings.NewReader(string(body(1<<20, uint64(i)))), 1<<20); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("full drives: %v", err)
	}
	allReadBack(t, s, keys)
	for _, folder := range sixFolders {
		hosttest.DiskOf(h).SetCapacity(folder, 0)
	}
	await(t, func() bool { ok, _ := s.Writable(); return ok })
	keys = append(keys, keep(t, s, 200_000, 77))
	allReadBack(t, s, keys)
	mustClose(t, s)
	stop()
}

// Power is cut at every operation; what was answered must be there.
func TestBlobsThatWereCommittedSurviveACrashAtEveryOperation(t *testing.T) {
	var acknowledged []string
	workload := func(h *host.Host) {
		acknowledged = nil
		o := durableOptions(h)
		o.SweepPause, o.RepairPause = 1000*time.Hour, 1000*time.Hour
		s, err := Open(context.Background(), o)
		if err != nil {
			return
		}
		defer s.Close()
		for i, n := range []int{100, 3000, 140_000} {
			b, err := s.WriteBlob(context.Background(), strings.NewReader(string(body(n, uint64(i)))), int64(n))
			if err != nil {
				return
			}
			key := fmt.Sprintf("%d/%d", n, i)
			if commit(context.Background(), s, key, b) != nil {
				return
			}
			acknowledged = append(acknowledged, key)
		}
	}
	check := func(h *host.Host) {
		s := openDurable(t, durableOptions(h))
		allReadBack(t, s, acknowledged)
		keep(t, s, 2000, 1)
		mustClose(t, s)
	}
	hosttest.SomeCrashes(t, 21, 60, workload, check)
}
