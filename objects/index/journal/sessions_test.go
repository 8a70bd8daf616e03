package journal

import (
	"context"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"pgregory.net/rapid"
)

// machine is an oracle over real drives that live through sessions, each ended
// by a power cut or in order.
type machine struct {
	oracle
	h       *host.Host
	missing map[int]bool // folders that are not mounted, and grow stale
}

func (o *machine) disk() *hosttest.Disk { return hosttest.DiskOf(o.h) }

// tamper does to a drive, between sessions, what at most m drives may suffer.
func (o *machine) tamper() {
	i := rapid.IntRange(0, o.n-1).Draw(o.t, "drive")
	what := rapid.SampledFrom([]string{"nothing", "return", "pull", "wipe", "rot"}).Draw(o.t, "tamper")
	if what == "return" {
		delete(o.missing, i)
	}
	if what == "nothing" || what == "return" || !o.away[i] && !o.slack() {
		return
	}
	o.away[i] = true
	switch what {
	case "pull":
		o.missing[i] = true
	case "wipe":
		o.disk().Wipe(folder(i))
		if err := formatDrive(o.h, i); err != nil {
			o.t.Fatal(err)
		}
	case "rot":
		o.rot(i)
	}
}

func (o *machine) rot(i int) {
	dir := o.disk().PathJoin(folder(i), "extents")
	names, err := o.disk().List(dir)
	if err != nil || len(names) == 0 {
		return
	}
	path := o.disk().PathJoin(dir, rapid.SampledFrom(names).Draw(o.t, "extent"))
	info, err := o.disk().Stat(path)
	if err == nil && info.Size() > 0 {
		off := rapid.Int64Range(0, info.Size()-1).Draw(o.t, "offset")
		o.disk().Corrupt(path, off, min(600, info.Size()-off))
	}
}

func (o *machine) session() {
	if rapid.Bool().Draw(o.t, "cut") {
		o.disk().CutAfter(rapid.Int64Range(0, 200).Draw(o.t, "after"))
	}
	o.dead = o.disk().Cut
	var without []int
	for i := range o.missing {
		without = append(without, i)
	}
	r, err := openRack(o.h, o.n, o.m, without...)
	if err != nil {
		if !o.dead() {
			o.t.Fatalf("open the drives: %v", err)
		}
		return
	}
	defer r.close()
	options := r.options()
	options.New = len(o.acked) == 0 && o.trim == 0
	if o.j, err = Open(context.Background(), options); err != nil {
		if !o.dead() && !(options.New && !o.writable()) {
			o.t.Fatalf("open with %d of %d drives well: %v", o.n-len(o.away), o.n, err)
		}
		return
	}
	o.check()
	if _, _, sealed := o.j.Epoch(); sealed == nil && !o.dead() {
		for i := range o.away {
			if !o.missing[i] {
				delete(o.away, i)
			}
		}
	}
	o.work()
	_ = o.j.Close()
}

func (o *machine) work() {
	for range rapid.IntRange(0, 6).Draw(o.t, "steps") {
		switch rapid.SampledFrom([]string{"append", "append", "append", "trim", "fail", "check"}).Draw(o.t, "do") {
		case "append":
			if len(o.maybe) == 0 {
				o.append(rapid.IntRange(1, 4).Draw(o.t, "entries"))
			}
		case "trim":
			o.trim = max(o.trim, rapid.IntRange(0, len(o.acked)).Draw(o.t, "through"))
			_ = o.j.Trim(context.Background(), uint64(o.trim))
		case "fail":
			if i := rapid.IntRange(0, o.n-1).Draw(o.t, "drive"); o.slack() {
				o.away[i] = true
				o.disk().Fail(folder(i), errPulled)
			}
		case "check":
			o.check()
		}
	}
}

func TestAcknowledgedEntriesSurviveManySessionsOverRealDrives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Int64().Draw(rt, "seed")
		o := &machine{h: hosttest.New(seed), missing: map[int]bool{}}
		o.oracle = oracle{t: rt, m: rapid.IntRange(1, 2).Draw(rt, "parity"), away: map[int]bool{}}
		o.n = o.m + rapid.IntRange(1, 4).Draw(rt, "data")
		for i := range o.n {
			if err := formatDrive(o.h, i); err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, steps()/5).Draw(rt, "sessions") {
			o.tamper()
			o.session()
			o.disk().CutAfter(1 << 60) // not yet met: called off
			if seed++; rapid.Bool().Draw(rt, "reboot") || o.dead() {
				o.h = hosttest.Reboot(o.h, seed)
			}
			for i := range o.n {
				o.disk().Fail(folder(i), nil)
			}
		}
	})
}
