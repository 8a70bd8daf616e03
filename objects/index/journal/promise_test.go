package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tarnlake/tarn/objects/index"
	"pgregory.net/rapid"
)

// bubble runs f with time that passes only where all wait, and hands on its panics.
func bubble(t *testing.T, f func()) {
	var thrown any
	synctest.Test(t, func(*testing.T) {
		defer func() { thrown = recover() }()
		f()
	})
	switch fmt.Sprintf("%T", thrown) {
	case "<nil>":
	case "rapid.invalidData": // on a line of its own: rapid tells failures apart by their lines
		panic(thrown)
	default:
		panic(thrown)
	}
}

// oracle is a journal beside a plain slice of what it must hold.
type oracle struct {
	t     *rapid.T
	n     int         // drives
	m     int         // that may be lost
	dead  func() bool // the power is cut
	j     *Journal
	acked []string // sequence i+1 at i
	maybe []string // submitted after acked, their fate open
	trim  int
	away  map[int]bool // drives that may lack something: at most m
	made  int
}

func (o *oracle) slack() bool { return len(o.away) < o.m }

// writable: enough drives are well for an epoch.
func (o *oracle) writable() bool { return o.n-len(o.away) >= o.m+1 }

func (o *oracle) append(n int) {
	var entries [][]byte
	for range n {
		o.made++
		entries = append(entries, fmt.Appendf(nil, "entry %d %0*d", o.made, o.made%90, 0))
	}
	first, err := o.j.Append(context.Background(), entries)
	switch {
	case err == nil:
		if first != uint64(len(o.acked)+1) {
			o.t.Fatalf("append answered sequence %d, not %d", first, len(o.acked)+1)
		}
		for _, e := range entries {
			o.acked = append(o.acked, string(e))
		}
	case errors.Is(err, index.ErrReadOnly):
		if o.writable() && !o.dead() {
			o.t.Fatalf("read-only with %d of %d drives well: %v", o.n-len(o.away), o.n, err)
		}
	default:
		if o.writable() && !o.dead() {
			o.t.Fatalf("append with %d of %d drives well: %v", o.n-len(o.away), o.n, err)
		}
		for _, e := range entries {
			o.maybe = append(o.maybe, string(e))
		}
		o.check()
	}
}

// check replays, and settles what was open.
func (o *oracle) check() {
	got, err := collect(o.j, o.j.First()-1)
	if err != nil && !o.dead() && o.writable() {
		o.t.Fatalf("replay: %v", err)
	}
	if int(o.j.First()-1) > o.trim {
		o.t.Fatalf("first is %d, trimmed were only %d", o.j.First(), o.trim)
	}
	all := append(slices.Clone(o.acked), o.maybe...)
	have := int(o.j.First()-1) + len(got)
	if have < len(o.acked) && err == nil || have > len(all) {
		o.t.Fatalf("%d entries are there; %d were acknowledged, %d submitted", have, len(o.acked), len(all))
	}
	for _, e := range got {
		if string(e.Data) != all[e.Sequence-1] {
			o.t.Fatalf("entry %d is %q, not %q", e.Sequence, e.Data, all[e.Sequence-1])
		}
	}
	if err != nil {
		return // their fate stays open
	}
	o.acked, o.maybe = all[:have], nil
	if _, _, sealed := o.j.Epoch(); sealed != nil {
		o.maybe = all[have:] // a drive that is away may have them, and bring them back
	}
}

func collect(j *Journal, after uint64) (all []index.LogEntry, err error) {
	for e, err := range j.Replay(context.Background(), after) {
		if err != nil {
			return all, err
		}
		if after++; e.Sequence != after {
			return all, fmt.Errorf("entry %d came after %d", e.Sequence, after-1)
		}
		all = append(all, index.LogEntry{Sequence: e.Sequence, Data: slices.Clone(e.Data)})
	}
	return all, nil
}

// simulation is an oracle over fake drives.
type simulation struct {
	oracle
	w *world
}

func (o *simulation) open() {
	opt := o.w.options(len(o.w.media))
	opt.New = o.j == nil || len(o.acked) == 0 && o.trim == 0
	j, err := Open(context.Background(), opt)
	if err != nil {
		if o.dead() || opt.New && !o.writable() {
			return
		}
		o.t.Fatalf("open with %d of %d drives well: %v", o.n-len(o.away), o.n, err)
	}
	o.j = j
	o.check()
	if _, _, sealed := j.Epoch(); sealed == nil && !o.dead() {
		o.clear()
	}
}

// clear: drives that are present again lack nothing any more.
func (o *simulation) clear() {
	for i := range o.away {
		m := o.w.media[i]
		if m.err == nil && !m.absent {
			delete(o.away, i)
		}
	}
}

// reopen restarts, by power cut or not. A start may be cut off too.
func (o *simulation) reopen(clean bool, cuts []int) {
	if clean {
		if err := o.j.Close(); err != nil {
			o.t.Fatalf("close: %v", err)
		}
	}
	old := o.j
	for _, cut := range cuts {
		o.w.restart()
		o.w.cutAt = cut
		o.open()
		if o.dead() {
			continue
		}
	}
	o.w.restart()
	o.open()
	if !clean {
		_ = old.Close()
	}
}

func (o *simulation) step() {
	pick := rapid.IntRange(0, len(o.w.media)-1)
	switch rapid.SampledFrom([]string{"append", "append", "append", "append", "fail", "hang", "wipe", "rot", "pull", "return", "reconfigure", "cut", "cut", "clean", "trim", "check"}).Draw(o.t, "do") {
	case "append":
		o.append(rapid.IntRange(1, 4).Draw(o.t, "entries"))
	case "fail":
		o.harm(pick.Draw(o.t, "drive"), func(m *medium) { m.err = errPulled })
	case "pull":
		o.harm(pick.Draw(o.t, "drive"), func(m *medium) { m.absent = true })
	case "hang":
		late := rapid.Bool().Draw(o.t, "late")
		o.harm(pick.Draw(o.t, "drive"), func(m *medium) { m.hang, m.late = true, late })
	case "wipe":
		if i := pick.Draw(o.t, "drive"); o.away[i] || o.slack() {
			o.away[i] = true
			o.w.media[i].wipe()
		}
	case "rot":
		if i := pick.Draw(o.t, "drive"); o.away[i] || o.slack() {
			o.away[i] = true
			o.w.media[i].rot(rapid.IntRange(0, 50).Draw(o.t, "record"))
		}
	case "return":
		m := o.w.media[pick.Draw(o.t, "drive")]
		m.set(func() { m.err, m.absent = nil, false })
	case "reconfigure":
		o.reconfigure()
	case "cut":
		o.w.mu.Lock()
		o.w.cutAt = len(o.w.rounds) + rapid.IntRange(1, 12).Draw(o.t, "rounds")
		o.w.mu.Unlock()
		for range rapid.IntRange(0, 3).Draw(o.t, "appends") {
			if len(o.maybe) == 0 {
				o.append(rapid.IntRange(1, 3).Draw(o.t, "entries"))
			}
		}
		o.reopen(false, rapid.SliceOfN(rapid.IntRange(1, 30), 0, 2).Draw(o.t, "cuts"))
	case "clean":
		o.reopen(true, nil)
	case "trim":
		o.trim = max(o.trim, rapid.IntRange(0, len(o.acked)).Draw(o.t, "through"))
		_ = o.j.Trim(context.Background(), uint64(o.trim))
	case "check":
		o.check()
	}
}

func (o *simulation) harm(i int, f func(m *medium)) {
	if !o.away[i] && !o.slack() {
		return
	}
	o.away[i] = true
	m := o.w.media[i]
	m.set(func() { f(m) })
}

// reconfigure after a full replay, so that rot was met: then nothing is lacking.
func (o *simulation) reconfigure() {
	for _, m := range o.w.media {
		m.set(func() { m.hang = false })
	}
	err := o.j.Reconfigure(context.Background())
	if err != nil && o.writable() {
		o.t.Fatalf("reconfigure: %v", err)
	}
	o.check()
}

// steps is the number of steps of a model run.
func steps() int {
	if os.Getenv("TARN_SOAK") != "" {
		return 400
	}
	return 40
}

func TestAcknowledgedEntriesSurviveAnyFailureOfMDrivesAndAnyPowerCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, func() {
			parity := rapid.IntRange(1, 2).Draw(rt, "parity")
			data := rapid.IntRange(1, 4).Draw(rt, "data")
			w := newWorld(rapid.Uint64().Draw(rt, "seed"), data+parity, parity)
			o := &simulation{w: w, oracle: oracle{t: rt, n: data + parity, m: parity, away: map[int]bool{}, dead: w.isDead}}
			defer func() { w.restart() }() // lets go of what hangs
			o.open()
			for range rapid.IntRange(1, steps()).Draw(rt, "steps") {
				o.step()
			}
			o.reopen(false, nil)
		})
	})
}
