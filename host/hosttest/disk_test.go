package hosttest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, d *hosttest.Disk, name string) host.File {
	t.Helper()
	f, err := d.Create(name, host.Category)
	must(t, err)
	return f
}

func syncDir(t testing.TB, d *hosttest.Disk, dir string) {
	t.Helper()
	f, err := d.OpenDir(dir)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func write(t testing.TB, f host.File, p []byte) {
	t.Helper()
	_, err := f.Write(p)
	must(t, err)
}

func read(t testing.TB, d *hosttest.Disk, name string) []byte {
	t.Helper()
	f, err := d.Open(name)
	must(t, err)
	b, err := io.ReadAll(f)
	must(t, err)
	return b
}

func durable(t testing.TB, d *hosttest.Disk, name string, p []byte) host.File {
	t.Helper()
	must(t, d.MkdirAll("d", 0o755))
	f := create(t, d, name)
	write(t, f, p)
	must(t, f.Sync())
	syncDir(t, d, "d")
	syncDir(t, d, "/")
	return f
}

func TestSyncedDataAndNamesSurviveEveryCrash(t *testing.T) {
	d := hosttest.NewDisk()
	want := bytes.Repeat([]byte("tarn"), 3000)
	durable(t, d, "d/a", want)
	for seed := range int64(200) {
		if got := read(t, d.CrashClone(seed), "d/a"); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d bytes, want %d", seed, len(got), len(want))
		}
	}
}

func TestUnsyncedNamesMayVanishAndMayStay(t *testing.T) {
	d := hosttest.NewDisk()
	durable(t, d, "d/a", []byte("a"))
	must(t, create(t, d, "d/b").Sync())
	must(t, d.Rename("d/a", "d/c"))
	seen := map[string]bool{}
	for seed := range int64(300) {
		names, err := d.CrashClone(seed).List("d")
		must(t, err)
		seen[fmt.Sprint(names)] = true
	}
	for _, want := range []string{"[a]", "[a b]", "[b c]", "[c]"} {
		if !seen[want] {
			t.Errorf("never found %s after a crash", want)
		}
	}
	if len(seen) != 4 {
		t.Errorf("a rename came apart: %v", seen)
	}
}

func TestUnsyncedSectorsSurviveOneByOne(t *testing.T) {
	d := hosttest.NewDisk()
	durable(t, d, "d/a", bytes.Repeat([]byte{1}, 4096))
	g, err := d.OpenReadWrite("d/a", host.Category)
	must(t, err)
	_, err = g.WriteAt(bytes.Repeat([]byte{2}, 1024), 512)
	must(t, err)
	seen := map[string]bool{}
	for seed := range int64(300) {
		b := read(t, d.CrashClone(seed), "d/a")
		seen[fmt.Sprint(b[511], b[512], b[1023], b[1024], b[1535], b[1536])] = true
	}
	for _, want := range []string{"1 1 1 1 1 1", "1 2 2 1 1 1", "1 1 1 2 2 1", "1 2 2 2 2 1"} {
		if !seen[want] {
			t.Errorf("never found %s", want)
		}
	}
	if len(seen) != 4 {
		t.Errorf("a sector was torn: %v", seen)
	}
}

func TestUnsyncedGrowthIsKeptLostOrPartial(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", bytes.Repeat([]byte{1}, 512))
	write(t, f, bytes.Repeat([]byte{2}, 5000))
	sizes := map[int]bool{}
	for seed := range int64(300) {
		b := read(t, d.CrashClone(seed), "d/a")
		sizes[len(b)] = true
		if len(b) < 512 || !bytes.Equal(b[:512], bytes.Repeat([]byte{1}, 512)) {
			t.Fatalf("seed %d: synced bytes are gone", seed)
		}
	}
	if !sizes[512] || !sizes[5512] || len(sizes) < 5 {
		t.Errorf("sizes found: %v", sizes)
	}
}

func TestUnsyncedTruncationIsKeptOrLost(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", bytes.Repeat([]byte{1}, 9000))
	must(t, f.(interface{ Truncate(int64) error }).Truncate(700))
	write(t, durable(t, d, "d/x", nil), []byte("y"))
	if got := len(read(t, d, "d/a")); got != 700 {
		t.Fatalf("size %d", got)
	}
	sizes := map[int]bool{}
	for seed := range int64(100) {
		b := read(t, d.CrashClone(seed), "d/a")
		sizes[len(b)] = true
		if bytes.Count(b, []byte{1}) != len(b) {
			t.Fatalf("seed %d: a truncation that was lost zeroed some of the data", seed)
		}
	}
	if !sizes[700] || !sizes[9000] || len(sizes) != 2 {
		t.Errorf("sizes found: %v", sizes)
	}
}

func TestFailedSyncDropsDataForGood(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", bytes.Repeat([]byte{1}, 512))
	g, _ := d.OpenReadWrite("d/a", host.Category)
	_, err := g.WriteAt(bytes.Repeat([]byte{2}, 512), 0)
	must(t, err)
	d.SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Sync {
			return syscall.EIO
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	d.SetFault(nil)
	must(t, f.Sync())
	if read(t, d, "d/a")[0] != 2 {
		t.Error("the cache must still show the write")
	}
	for seed := range int64(20) {
		if read(t, d.CrashClone(seed), "d/a")[0] != 1 {
			t.Fatal("a retried sync wrote what the failed one dropped")
		}
	}
}

func TestPowerCutStopsEverything(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", []byte("x"))
	d.CutAfter(1)
	write(t, f, []byte("y"))
	if _, err := f.Write([]byte("z")); !errors.Is(err, hosttest.ErrPowerCut) {
		t.Fatalf("write: %v", err)
	}
	for name, err := range map[string]error{
		"sync": f.Sync(), "remove": d.Remove("d/a"), "mkdir": d.MkdirAll("e", 0), "link": d.Link("d/a", "d/b"),
	} {
		if !errors.Is(err, hosttest.ErrPowerCut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Open("d/a"); !errors.Is(err, hosttest.ErrPowerCut) || !d.Cut() {
		t.Errorf("open: %v", err)
	}
}

func TestLocksExcludeAndVanishInACrash(t *testing.T) {
	d := hosttest.NewDisk()
	must(t, d.MkdirAll("d", 0o755))
	l, err := d.Lock("d/lock")
	must(t, err)
	if _, err := d.Lock("/d/lock"); err == nil {
		t.Fatal("locked twice")
	}
	syncDir(t, d, "/")
	if _, err := d.CrashClone(1).Lock("d/lock"); err != nil {
		t.Fatal(err)
	}
	must(t, l.Close())
	if _, err := d.Lock("d/lock"); err != nil {
		t.Fatal(err)
	}
}

func TestFullDriveWritesInPartAndRecovers(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", make([]byte, 1000))
	g := durable(t, d, "d/b", make([]byte, 1000))
	d.SetCapacity("d", 2500)
	n, err := f.Write(make([]byte, 1000))
	if n != 500 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if err := g.Preallocate(0, 1001); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("preallocate: %v", err)
	}
	if u, _ := d.GetDiskUsage("d/a"); u.AvailBytes != 0 || u.TotalBytes != 2500 {
		t.Fatalf("usage: %+v", u)
	}
	must(t, d.Remove("d/b"))
	write(t, f, make([]byte, 500))
}

func TestBadDrivesLie(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", bytes.Repeat([]byte{1}, 2048))
	durable(t, d, "d/b", bytes.Repeat([]byte{3}, 2048))
	d.Corrupt("d/a", 100, 2)
	d.Swap("d/a", 512, "d/b", 1024, 512)
	d.LoseWrites("d/a")
	write(t, f, []byte("forgotten"))
	must(t, f.Sync())
	for _, disk := range []*hosttest.Disk{d, d.CrashClone(1)} {
		a, b := read(t, disk, "d/a"), read(t, disk, "d/b")
		if a[99] != 1 || a[100] != 0xfe || a[101] != 0xfe || a[102] != 1 {
			t.Errorf("rot: % x", a[98:104])
		}
		if a[511] != 1 || a[512] != 3 || a[1023] != 3 || a[1024] != 1 || b[1023] != 3 || b[1024] != 1 || b[1536] != 3 {
			t.Error("the two places were not exchanged")
		}
		if len(a) != 2048+len("forgotten") || !bytes.Equal(a[2048:], make([]byte, 9)) {
			t.Errorf("a lost write shows: %q", a[2048:])
		}
	}
	d.Wipe("d")
	if names, err := d.CrashClone(2).List("d"); err != nil || len(names) != 0 {
		t.Errorf("after the wipe: %v, %v", names, err)
	}
}

func TestFailedDriveHeals(t *testing.T) {
	d := hosttest.NewDisk()
	durable(t, d, "d/a", []byte("x"))
	d.Fail("d", syscall.ENODEV)
	if _, err := d.Open("d/a"); !errors.Is(err, syscall.ENODEV) {
		t.Fatalf("open: %v", err)
	}
	must(t, d.MkdirAll("dd", 0o755))
	d.Fail("d", nil)
	read(t, d, "d/a")
}

func TestMissingAndMisplacedNamesHaveTheirErrors(t *testing.T) {
	d := hosttest.NewDisk()
	durable(t, d, "d/a", nil)
	_, open := d.Open("d/none")
	_, stat := d.Stat("none/x")
	for name, err := range map[string]error{"open": open, "stat": stat, "remove": d.Remove("d/none"), "rename": d.Rename("d/none", "d/x")} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Remove("d"); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("remove of a full folder: %v", err)
	}
	if err := d.Link("d/a", "d/a"); !errors.Is(err, os.ErrExist) {
		t.Errorf("link onto itself: %v", err)
	}
	must(t, d.RemoveAll("d"))
	must(t, d.RemoveAll("d"))
	if _, err := d.Stat("d"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
}

func TestEveryCrashFindsAMissingFolderSync(t *testing.T) {
	lost := 0
	for _, careful := range []bool{true, false} {
		acknowledged := false
		hosttest.EveryCrash(t, 7, func(h *host.Host) {
			acknowledged = false
			acknowledged = publish(hosttest.DiskOf(h), careful) == nil
		}, func(h *host.Host) {
			b, err := hosttest.DiskOf(h).Open("d/a")
			if acknowledged && err != nil {
				lost++
				if careful {
					t.Errorf("acknowledged, yet %v", err)
				}
			}
			if err == nil {
				if p, _ := io.ReadAll(b); careful && string(p) != "whole" {
					t.Errorf("the file is torn: %q", p)
				}
			}
		})
	}
	if lost == 0 {
		t.Error("a rename that was never synced survived every crash")
	}
}

// publish writes a file by the usual dance, with or without its last step.
func publish(d *hosttest.Disk, careful bool) error {
	if err := d.MkdirAll("d", 0o755); err != nil {
		return err
	}
	f, err := d.Create("d/tmp", host.Category)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("whole")); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := d.Rename("d/tmp", "d/a"); err != nil || !careful {
		return err
	}
	for _, dir := range []string{"d", "/"} {
		f, err := d.OpenDir(dir)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func TestFaultsMayHangUntilReleased(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", nil)
	release, reached := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Write {
			once.Do(func() { close(reached) })
			<-release
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { _, err := f.Write([]byte("x")); done <- err }()
	<-reached
	read(t, d, "d/a") // others go on
	close(release)
	must(t, <-done)
}

func TestCrashClonesMayBeTakenBesideWriters(t *testing.T) {
	d := hosttest.NewDisk()
	var acknowledged atomic.Int64
	f := durable(t, d, "d/a", make([]byte, 1<<16))
	g, err := d.OpenReadWrite("d/a", host.Category)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 64 {
			_, _ = g.WriteAt([]byte{1}, int64(i)*512)
			_ = f.Sync()
			acknowledged.Store(int64(i + 1))
		}
	}()
	for seed := range int64(50) {
		n := acknowledged.Load()
		b := read(t, d.CrashClone(seed), "d/a")
		for i := range n {
			if b[i*512] != 1 {
				t.Fatalf("seed %d: write %d of %d acknowledged is lost", seed, i, n)
			}
		}
	}
	<-done
}

func TestKilledProcessLeavesItsUnsyncedWrites(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", []byte("synced"))
	write(t, f, []byte(" and not"))
	if _, err := d.Lock("d/lock"); err != nil {
		t.Fatal(err)
	}
	next := d.Kill()
	if _, err := f.Write([]byte("!")); !errors.Is(err, hosttest.ErrPowerCut) {
		t.Errorf("a killed process writes: %v", err)
	}
	if got := string(read(t, next, "d/a")); got != "synced and not" {
		t.Errorf("the next process sees %q", got)
	}
	if _, err := next.Lock("d/lock"); err != nil {
		t.Errorf("the lock outlived its process: %v", err)
	}
	lost := false
	for seed := range int64(50) {
		lost = lost || string(read(t, next.CrashClone(seed), "d/a")) == "synced"
	}
	if !lost {
		t.Error("what no process synced survived every power cut")
	}
}

func TestShortWritesLeaveTheirFirstPart(t *testing.T) {
	d := hosttest.NewDisk()
	f := durable(t, d, "d/a", nil)
	d.SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Write {
			return &hosttest.ShortWrite{Bytes: 3, Err: syscall.ENOSPC}
		}
		return nil
	})
	if n, err := f.Write([]byte("abcdef")); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	d.SetFault(nil)
	if got := string(read(t, d, "d/a")); got != "abc" {
		t.Errorf("found %q", got)
	}
}
