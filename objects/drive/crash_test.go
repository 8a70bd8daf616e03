package drive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

var errFault, errSpace error = syscall.EIO, syscall.ENOSPC

// ledger is what a workload was told, by which a drive is judged after a crash.
type ledger struct {
	formatted bool
	written   map[drive.Identity]drive.Record // of every record ever handed to Append
	kept      map[drive.Address]drive.Record  // acknowledged, and not asked to be removed
	removed   map[drive.Address]drive.Record  // whose removal was acknowledged
	root      uint64                          // acknowledged version
	tried     uint64                          // highest version ever handed to SetRoot
	next      int
}

func newLedger() *ledger {
	return &ledger{written: map[drive.Identity]drive.Record{}, kept: map[drive.Address]drive.Record{}, removed: map[drive.Address]drive.Record{}}
}

func (l *ledger) record(size int) drive.Record {
	r := record(l.next, size)
	l.next++
	l.written[r.Identity] = r
	return r
}

func (l *ledger) append(d *drive.Drive, class drive.Class, sizes ...int) error {
	var rs []drive.Record
	for _, size := range sizes {
		rs = append(rs, l.record(size))
	}
	a, err := d.Append(context.Background(), class, rs)
	if err != nil {
		return err
	}
	for i := range a {
		l.kept[a[i]] = rs[i]
	}
	return nil
}

func (l *ledger) remove(d *drive.Drive, extent uint32) error {
	leaving := map[drive.Address]drive.Record{}
	for a, r := range l.kept {
		if a.Extent == extent {
			leaving[a] = r
			delete(l.kept, a)
		}
	}
	err := d.Remove(context.Background(), extent)
	if err == nil {
		maps.Copy(l.removed, leaving)
	}
	return err
}

func (l *ledger) setRoot(d *drive.Drive) error {
	l.tried++
	err := d.SetRoot(context.Background(), drive.Root{Version: l.tried, Data: fmt.Append(nil, "root ", l.tried)})
	if err == nil {
		l.root = l.tried
	}
	return err
}

// judge compares an open drive with the ledger.
func (l *ledger) judge(d *drive.Drive) error {
	for a, r := range l.kept {
		if err := check(d, a, r); err != nil {
			return fmt.Errorf("acknowledged record: %w", err)
		}
	}
	for a, r := range l.removed {
		if err := check(d, a, r); !errors.Is(err, drive.ErrGone) {
			return fmt.Errorf("removed record at %s: %v", a, err)
		}
	}
	scanned := map[drive.Address]bool{}
	for class := drive.Journal; class <= drive.Joint; class++ {
		last := uint64(0)
		for f, err := range d.Scan(context.Background(), class) {
			switch {
			case err != nil:
				return err
			case f.Err != nil:
				return fmt.Errorf("nothing rotted, yet: %w", f.Err)
			case !bytes.Equal(f.Payload, l.written[f.Identity].Payload):
				return fmt.Errorf("record at %s was never written so", f.Address)
			case f.Sequence <= last:
				return fmt.Errorf("sequence %d after %d", f.Sequence, last)
			}
			last = f.Sequence
			scanned[f.Address] = true
		}
	}
	for a := range l.kept {
		if !scanned[a] {
			return fmt.Errorf("no scan met the acknowledged record at %s", a)
		}
	}
	r := d.Root()
	if d.RootErr() != nil || r.Version < l.root || r.Version > l.tried || r.Version > 0 && string(r.Data) != fmt.Sprint("root ", r.Version) {
		return fmt.Errorf("root is %d %q (%v), acknowledged %d", r.Version, r.Data, d.RootErr(), l.root)
	}
	return nil
}

// life is a workload that touches every kind of write.
func (l *ledger) life(h *host.Host, o drive.Options) error {
	if err := drive.Format(h, dir, header()); err != nil {
		return err
	}
	l.formatted = true
	for range 2 {
		d, err := drive.Open(h, dir, o)
		if err != nil {
			return err
		}
		err = errors.Join(l.session(d), d.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) session(d *drive.Drive) error {
	for i := range 6 {
		if err := l.append(d, drive.Journal, 300, 5000, 1); err != nil {
			return err
		}
		if err := l.append(d, drive.Stripe, 9000+i); err != nil {
			return err
		}
	}
	if err := errors.Join(l.setRoot(d), l.append(d, drive.Small, 200, 200), d.Seal(context.Background(), drive.Small)); err != nil {
		return err
	}
	for _, e := range d.Extents() {
		if e.Sealed && e.Class != drive.Stripe {
			if err := l.remove(d, e.Number); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(l.append(d, drive.Small, 700), l.append(d, drive.Journal, 100, 4000), l.setRoot(d)); err != nil {
		return err
	}
	d.Trim()
	return l.append(d, drive.Small, 9000, 9000, 9000)
}

func TestNothingAcknowledgedIsLostAtAnyPowerCut(t *testing.T) {
	seeds := int64(4)
	if os.Getenv("TARN_SOAK") != "" {
		seeds = 100
	}
	sparing := small
	sparing.Spares, sparing.RecycledBytes = 1, 16<<10
	for seed := range seeds {
		var l *ledger
		o := []drive.Options{small, sparing}[seed%2]
		hosttest.EveryCrash(t, seed, func(h *host.Host) {
			l = newLedger()
			if err := l.life(h, o); err != nil && !errors.Is(err, hosttest.ErrPowerCut) {
				t.Errorf("before the cut: %v", err)
			}
		}, func(h *host.Host) { l.afterCrash(t, h) })
	}
}

// afterCrash reopens, judges, writes more, and does it once again after a second crash.
func (l *ledger) afterCrash(t *testing.T, h *host.Host) {
	if !l.formatted {
		if err := drive.Format(h, dir, header()); err != nil && !errors.Is(err, drive.ErrFormatted) {
			t.Errorf("a format that was cut short cannot be repeated: %v", err)
		}
	}
	for _, again := range []bool{true, false} {
		d, err := drive.Open(h, dir, small)
		if err != nil {
			t.Errorf("open after the crash: %v", err)
			return
		}
		if err := l.judge(d); err != nil {
			t.Error(err)
		}
		if err := errors.Join(l.append(d, drive.Journal, 100), l.append(d, drive.Small, 100), l.append(d, drive.Stripe, 100)); err != nil {
			t.Error(err)
		}
		if again {
			h = hosttest.Reboot(h, int64(l.next))
			continue
		}
		if err := errors.Join(l.judge(d), d.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatARecoveryShowedStays: after a kill the unsynced writes of the dead process
// are still seen. Whoever found them by a scan relies on them.
func TestWhatARecoveryShowedStays(t *testing.T) {
	for n := int64(20); ; n += 3 {
		h, l := hosttest.New(n), newLedger()
		hosttest.DiskOf(h).CutAfter(n)
		_ = l.life(h, small)
		if !hosttest.DiskOf(h).Cut() {
			return
		}
		if !l.formatted {
			continue
		}
		next := hosttest.Restart(h, n)
		d := reopen(t, next, small)
		var shown []drive.Found
		for class := drive.Journal; class <= drive.Joint; class++ {
			good, _ := scan(t, d, class)
			shown = append(shown, good...)
		}
		again := reopen(t, hosttest.Reboot(next, 11), small)
		for _, f := range shown {
			if err := check(again, f.Address, drive.Record{Identity: f.Identity, Payload: f.Payload}); err != nil {
				t.Errorf("a scan after the first crash showed it; after the second: %v", err)
			}
		}
		must(t, errors.Join(again.Close(), d.Close()))
		if t.Failed() {
			t.Fatalf("killed after %d operations", n)
		}
	}
}

// TestDriveBehavesAsAMap runs random histories of all operations, restarts and crashes.
func TestDriveBehavesAsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hosttest.New(rapid.Int64().Draw(t, "seed"))
		l := newLedger()
		ok := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		ok(drive.Format(h, dir, header()))
		o := small
		o.AheadBytes = rapid.Int64Range(0, 40<<10).Draw(t, "ahead")
		o.RecycledBytes = drive.SectorBytes * rapid.Int64Range(drive.ExtentBytesMin/drive.SectorBytes, 64).Draw(t, "recycled, sectors")
		d, err := drive.Open(h, dir, o)
		ok(err)
		reopen := func() {
			d, err = drive.Open(h, dir, o)
			ok(err)
			ok(l.judge(d))
		}
		class := rapid.SampledFrom([]drive.Class{drive.Journal, drive.Small, drive.Stripe, drive.Joint})
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 1500), rapid.IntRange(1, 29<<10)), 1, 5).Draw(t, "sizes")
				ok(l.append(d, class.Draw(t, "class"), sizes...))
			},
			"seal": func(t *rapid.T) { ok(d.Seal(context.Background(), class.Draw(t, "class"))) },
			"root": func(*rapid.T) { ok(l.setRoot(d)) },
			"remove": func(t *rapid.T) {
				for _, e := range d.Extents() {
					if e.Sealed && rapid.Bool().Draw(t, "remove") {
						ok(l.remove(d, e.Number))
					}
				}
			},
			"restart": func(*rapid.T) { ok(d.Close()); reopen() },
			"crash": func(t *rapid.T) {
				h = hosttest.Reboot(h, rapid.Int64().Draw(t, "crash"))
				ok(d.Close())
				reopen()
			},
			"kill": func(t *rapid.T) {
				h = hosttest.Restart(h, 1)
				_ = d.Close()
				reopen()
			},
			"failed write": func(t *rapid.T) { l.failOne(t, h, d, class.Draw(t, "class")) },
			"":             func(*rapid.T) {},
		})
		ok(l.judge(d))
		ok(d.Close())
	})
}

// failOne makes one operation of an append fail; the drive must go on.
func (l *ledger) failOne(t *rapid.T, h *host.Host, d *drive.Drive, class drive.Class) {
	left := rapid.IntRange(0, 4).Draw(t, "operation")
	cause := rapid.SampledFrom([]error{errFault, errSpace}).Draw(t, "cause")
	short := rapid.Int64Range(0, 9000).Draw(t, "written in part")
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if !op.Kind.Changes() || op.Kind == hosttest.Truncate {
			return nil
		}
		if left--; left != -1 {
			return nil
		}
		if op.Kind == hosttest.Write && short > 0 {
			return &hosttest.ShortWrite{Bytes: short, Err: cause}
		}
		return cause
	})
	_ = l.append(d, class, rapid.SliceOfN(rapid.IntRange(1, 3000), 1, 6).Draw(t, "sizes")...)
	hosttest.DiskOf(h).SetFault(nil)
	if err := l.append(d, class, 10); err != nil {
		t.Fatalf("one failure ended the drive: %v", err)
	}
}
