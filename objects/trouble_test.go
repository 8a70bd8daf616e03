package objects

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

// ward is a store of which one drive is in trouble: the third, at drive-3.
type ward struct {
	testing.TB
	h               *host.Host
	o               Options
	s               *Store
	keys            []string
	down, back, bad atomic.Int64 // events
}

const victim = "drive-3"

func newWard(t testing.TB, seed int64) *ward {
	w := &ward{TB: t, h: hosttest.New(seed)}
	w.o = durableOptions(w.h)
	w.o.AutoFormat = false
	w.o.DriveTimeout = 20 * time.Second // of the fake clock; a busy machine is not a slow drive
	w.o.Events = Events{
		DriveDown: func(uint16, error) { w.down.Add(1) },
		DriveBack: func(uint16) { w.back.Add(1) },
		ShardBad:  func([16]byte, int, uint16, error) { w.bad.Add(1) },
	}
	if err := Format(context.Background(), w.o); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.keys = keepSome(t, w.s)
	return w
}

func (w *ward) open() { w.s = openDurable(w, w.o) }

func (w *ward) disk() *hosttest.Disk { return hosttest.DiskOf(w.h) }

func (w *ward) patient() DriveStatus { return w.s.Drives()[2] }

// becomes waits until the drive is in a state, and demands a reason and a time.
func (w *ward) becomes(state DriveState) {
	w.Helper()
	await(w, func() bool { return w.patient().State == state })
	if d := w.patient(); d.Number != 3 || state != DriveWell && d.Reason == "" || d.Since.IsZero() {
		w.Errorf("status tells too little: %+v", d)
	}
	named := false
	for _, warning := range w.s.Health().Warnings {
		named = named || strings.Contains(warning, fmt.Sprintf("is %s: ", state)) && strings.Contains(warning, victim)
	}
	if named != (state != DriveWell) {
		w.Errorf("drive is %s, warnings are %q", state, w.s.Health().Warnings)
	}
}

// writes a few blobs of every kind, so that the drive meets some of them.
func (w *ward) writes() {
	w.Helper()
	for seed := range uint64(6) {
		for _, n := range []int{5000, 300_000} {
			w.keys = append(w.keys, keep(w, w.s, n+len(w.keys), 40+seed))
		}
	}
}

// onlyKLeft: with another drive gone the store reads all and takes nothing but deletes.
func (w *ward) onlyKLeft() {
	w.Helper()
	w.disk().Fail("drive-6", errors.New("no such device"))
	await(w, func() bool { return w.s.Drives()[5].State == DriveMissing })
	allReadBack(w, w.s, w.keys)
	if _, err := w.s.WriteBlob(context.Background(), strings.NewReader("x"), 1); !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrFull) {
		w.Errorf("a write with k drives: %v", err)
	}
	if ok, reason := w.s.Writable(); ok || !strings.Contains(reason, "5 are needed") {
		w.Errorf("writable with k drives: %v, %q", ok, reason)
	}
	w.disk().Fail("drive-6", nil)
	await(w, func() bool { return w.s.Drives()[5].State == DriveWell })
}

func (w *ward) healed() {
	w.Helper()
	await(w, func() bool { return w.patient().State == DriveWell })
	heal(w, w.s)
	allReadBack(w, w.s, w.keys)
	mustClose(w, w.s)
	w.open()
	allReadBack(w, w.s, w.keys)
	wholeAgain(w, w.s)
}

// troubles are what becomes of a drive. Each hurts it, looks at it, and cures it.
var troubles = map[string]func(w *ward){
	"missing at start": func(w *ward) {
		mustClose(w, w.s)
		w.disk().Fail(victim, errors.New("no such device"))
		w.open()
		w.becomes(DriveMissing)
		w.writes()
		w.onlyKLeft()
		w.disk().Fail(victim, nil)
	},
	"gone while running": func(w *ward) {
		w.disk().Fail(victim, errors.New("no such device"))
		w.becomes(DriveMissing)
		w.writes()
		w.onlyKLeft()
		w.disk().Fail(victim, nil)
	},
	"hung": func(w *ward) {
		fault, release := hosttest.Hang(victim)
		w.disk().SetFault(fault)
		w.writes()
		w.becomes(DriveSlow)
		if w.down.Load() == 0 {
			w.Error("no event tells of it")
		}
		w.onlyKLeft()
		w.disk().SetFault(nil)
		release()
	},
	"hung at close": func(w *ward) {
		fault, release := hosttest.Hang(victim)
		w.disk().SetFault(fault)
		_ = w.s.Close() // the test ends only if this does
		release()
		w.disk().SetFault(nil)
		await(w, func() bool {
			s, err := Open(context.Background(), w.o)
			w.s = s
			return err == nil
		})
	},
	"hung at start": func(w *ward) {
		mustClose(w, w.s)
		fault, release := hosttest.Hang(victim)
		w.disk().SetFault(fault)
		w.open()
		w.becomes(DriveSlow)
		w.writes()
		w.disk().SetFault(nil)
		release()
	},
	"read-only": func(w *ward) {
		w.disk().SetFault(hosttest.ReadOnly(victim))
		await(w, func() bool { w.writes(); return w.patient().State == DriveFailed })
		w.becomes(DriveFailed)
		if !strings.Contains(w.patient().Reason, "read-only") {
			w.Errorf("the reason is %q", w.patient().Reason)
		}
		w.onlyKLeft()
		w.disk().SetFault(nil)
	},
	"full": func(w *ward) {
		w.disk().SetCapacity(victim, 1)
		w.becomes(DriveFull)
		w.writes()
		w.onlyKLeft()
		w.disk().SetCapacity(victim, 0)
	},
	"EIO on reads": func(w *ward) {
		w.disk().SetFault(hosttest.Within(victim, syscall.EIO, hosttest.Read))
		allReadBack(w, w.s, w.keys)
		w.becomes(DriveMissing)
		w.writes()
		w.onlyKLeft()
		w.disk().SetFault(nil)
	},
	"EIO on writes": func(w *ward) {
		w.disk().SetFault(hosttest.Within(victim, syscall.EIO, hosttest.Write, hosttest.Create, hosttest.Preallocate))
		await(w, func() bool { w.writes(); return w.patient().State == DriveFailed })
		w.becomes(DriveFailed)
		w.onlyKLeft()
		w.disk().SetFault(nil)
	},
	"EIO on syncs": func(w *ward) {
		w.disk().SetFault(hosttest.Within(victim, syscall.EIO, hosttest.Sync))
		await(w, func() bool { w.writes(); return w.patient().State == DriveFailed })
		w.becomes(DriveFailed)
		w.onlyKLeft()
		w.disk().SetFault(nil)
	},
	"bit rot": func(w *ward) {
		w.writes()
		rot(w, w.h, victim, 5)
		w.found()
	},
	"lost writes": func(w *ward) {
		w.disk().SetFault(hosttest.Within(victim+"/extents", hosttest.ErrLost, hosttest.Write))
		w.writes()
		w.disk().SetFault(nil)
		w.found()
	},
	"misdirected writes": func(w *ward) {
		w.disk().SetFault(func(op hosttest.Op) error {
			if op.Kind == hosttest.Write && strings.HasPrefix(op.Path, victim+"/extents") && op.Offset > 8192 {
				return &hosttest.Misdirect{Offset: op.Offset - 4096}
			}
			return nil
		})
		w.writes()
		w.disk().SetFault(nil)
		w.found()
	},
	"replaced by an empty one": func(w *ward) {
		w.disk().Wipe(victim)
		w.becomes(DriveMissing)
		w.writes()
		w.onlyKLeft()
		d, err := w.s.AdoptDrive(context.Background(), victim)
		if err != nil || d.Number == 3 {
			w.Fatalf("%+v, %v", d, err)
		}
		heal(w, w.s)
	},
	"stale after a session": func(w *ward) {
		image := w.disk().Image(victim)
		mustClose(w, w.s)
		w.open()
		w.writes()
		mustClose(w, w.s)
		w.disk().Rollback(victim, image)
		w.open()
		allReadBack(w, w.s, w.keys)
	},
	"stale while running": func(w *ward) {
		image := w.disk().Image(victim)
		w.writes()
		w.disk().Fail(victim, errors.New("no such device"))
		w.becomes(DriveMissing)
		w.disk().Rollback(victim, image)
		w.disk().Fail(victim, nil)
		allReadBack(w, w.s, w.keys)
		await(w, func() bool { return w.patient().State == DriveWell })
		w.writes() // to places that are named of before
		allReadBack(w, w.s, w.keys)
	},
}

// found: reads give the right bytes and tell of the bad ones, and repair heals them.
func (w *ward) found() {
	w.Helper()
	allReadBack(w, w.s, w.keys)
	report, err := w.s.Repair(context.Background(), RepairOptions{Verify: true})
	if err != nil || report.Unrepairable > 0 {
		w.Fatalf("%+v, %v", report, err)
	}
	if w.bad.Load() == 0 && report.Healed == 0 {
		w.Error("nothing was found")
	}
}

// Whatever becomes of one drive, and of another one meanwhile: every acknowledged byte
// is read, the state, its reason and its time are told, writes go on with k+1 drives
// and are refused with k, and in the end nothing lacks anything.
func TestNoTroubleOfADriveLosesAnything(t *testing.T) {
	seed := int64(60)
	for name, trouble := range troubles {
		seed++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, seed)
			stop := timePasses(w.h)
			trouble(w)
			if name != "replaced by an empty one" {
				w.healed()
			}
			allReadBack(w, w.s, w.keys)
			mustClose(w, w.s)
			stop()
		})
	}
}
