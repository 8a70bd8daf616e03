package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// rack is a set of real drives with a journal over them.
type rack struct {
	h      *host.Host
	parity int
	mu     sync.Mutex
	drives []*drive.Drive // nil where one is missing
}

func folder(i int) string { return fmt.Sprintf("drive-%d", i+1) }

// newRack formats n drives.
func newRack(h *host.Host, n, parity int) (*rack, error) {
	for i := range n {
		if err := formatDrive(h, i); err != nil {
			return nil, err
		}
	}
	return openRack(h, n, parity)
}

func formatDrive(h *host.Host, i int) error {
	hd := drive.Header{Store: [16]byte{1}, Drive: drive.ID{byte(i + 1)}, Number: uint16(i + 1), Created: h.Clock.Now()}
	return drive.Format(h, folder(i), hd)
}

// openRack opens n drives but those to leave out.
func openRack(h *host.Host, n, parity int, without ...int) (*rack, error) {
	r := &rack{h: h, parity: parity, drives: make([]*drive.Drive, n)}
	for i := range n {
		if slices.Contains(without, i) {
			continue
		}
		d, err := drive.Open(h, folder(i), drive.Options{ExtentBytes: 1 << 20})
		if err != nil {
			r.close()
			return nil, err
		}
		r.drives[i] = d
	}
	return r, nil
}

func (r *rack) close() {
	for _, d := range r.drives {
		if d != nil {
			_ = d.Close()
		}
	}
}

func (r *rack) present() []Drive {
	var ds []Drive
	for _, d := range r.drives {
		if d != nil {
			ds = append(ds, d)
		}
	}
	return ds
}

func (r *rack) options() Options {
	return Options{Host: r.h, Parity: r.parity, Members: len(r.drives), Drives: r.present, Roots: r, SealBytes: 256}
}

// Load and Save keep the state as the whole of a drive's root.
func (r *rack) Load() []State {
	var states []State
	for _, d := range r.drives {
		if d == nil {
			continue
		}
		if s, err := DecodeState(d.Root().Data); err == nil {
			states = append(states, s)
		}
	}
	return states
}

func (r *rack) Past(uint16) bool { return false }

func (r *rack) Save(ctx context.Context, s State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	version, saved := uint64(0), 0
	var errs []error
	for _, d := range r.drives {
		if d != nil {
			version = max(version, d.Root().Version)
		}
	}
	for _, d := range r.drives {
		if d == nil {
			continue
		}
		if err := d.SetRoot(ctx, drive.Root{Version: version + 1, Data: s.Encode()}); err != nil {
			errs = append(errs, err)
			continue
		}
		saved++
	}
	if saved < r.parity+1 {
		return fmt.Errorf("only %d roots: %w", saved, errors.Join(errs...))
	}
	return nil
}

// chronicle is what a workload was told.
type chronicle struct {
	acked, submitted []string
	trimmed          int
}

// log runs appends and trims until the power fails.
func (c *chronicle) log(j *Journal, batches int) {
	for i := range batches {
		var entries [][]byte
		for k := range 1 + i%3 {
			e := fmt.Appendf(nil, "batch %d entry %d %0*d", i, k, 40*i, 0)
			entries, c.submitted = append(entries, e), append(c.submitted, string(e))
		}
		if _, err := j.Append(context.Background(), entries); err != nil {
			return
		}
		c.acked = slices.Clone(c.submitted)
		if i%4 == 3 {
			c.trimmed = len(c.acked) - 2
			_ = j.Trim(context.Background(), uint64(c.trimmed))
		}
	}
}

func (c *chronicle) judge(t testing.TB, j *Journal) {
	t.Helper()
	got, err := collect(j, j.First()-1)
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	if int(j.First()-1) > c.trimmed {
		t.Fatalf("first is %d, trimmed were %d", j.First(), c.trimmed)
	}
	if n := int(j.First()-1) + len(got); n < len(c.acked) || n > len(c.submitted) {
		t.Fatalf("%d entries, %d acknowledged, %d submitted", n, len(c.acked), len(c.submitted))
	}
	for _, e := range got {
		if string(e.Data) != c.submitted[e.Sequence-1] {
			t.Fatalf("entry %d is %q, not %q", e.Sequence, e.Data, c.submitted[e.Sequence-1])
		}
	}
}

func TestAcknowledgedEntriesSurviveAPowerCutAtEveryOperation(t *testing.T) {
	for without := -1; without < 3; without++ { // a drive that is missing after the cut
		t.Run(fmt.Sprintf("without drive %d", without+1), func(t *testing.T) {
			var c chronicle
			hosttest.EveryCrash(t, int64(without), c.workload, func(h *host.Host) { c.recovered(t, h, without) })
		})
	}
}

func TestAcknowledgedEntriesSurviveASecondPowerCutDuringRecovery(t *testing.T) {
	var c chronicle
	points := 8
	if os.Getenv("TARN_SOAK") != "" {
		points = 1 << 20
	}
	hosttest.SomeCrashes(t, 3, points, c.workload, func(h *host.Host) {
		for n := int64(0); ; n++ {
			again := hosttest.Reboot(h, n)
			disk := hosttest.DiskOf(again)
			disk.CutAfter(n)
			if r, err := openRack(again, 3, 1); err == nil {
				o := r.options()
				o.New = len(c.acked) == 0
				if j, err := Open(context.Background(), o); err == nil {
					_ = j.Close()
				}
				r.close()
			}
			c.recovered(t, hosttest.Reboot(again, n+1), int(n)%4-1)
			if !disk.Cut() {
				break
			}
		}
	})
}

func (c *chronicle) workload(h *host.Host) {
	*c = chronicle{}
	r, err := newRack(h, 3, 1)
	if err != nil {
		return
	}
	defer r.close()
	c.run(r, 10)
}

// recovered opens what a power cut left, and judges it.
func (c *chronicle) recovered(t *testing.T, h *host.Host, without int) {
	t.Helper()
	r, err := openRack(h, 3, 1, without)
	if err != nil && len(c.submitted) == 0 {
		return // cut off while the drives were formatted
	}
	if err != nil {
		t.Fatalf("open the drives: %v", err)
	}
	defer r.close()
	o := r.options()
	o.New = len(c.acked) == 0
	j, err := Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	c.judge(t, j)
	if _, err := j.Append(context.Background(), [][]byte{[]byte("after")}); err != nil {
		t.Fatalf("append after recovery: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *chronicle) run(r *rack, batches int) {
	o := r.options()
	o.New = true
	j, err := Open(context.Background(), o)
	if err != nil {
		return
	}
	c.log(j, batches)
	_ = j.Close()
}

func TestAnyDriveMayVanishWhileItServesOverRealDrives(t *testing.T) {
	for lost := range 4 {
		h := hosttest.New(int64(lost))
		r, err := newRack(h, 4, 1)
		if err != nil {
			t.Fatal(err)
		}
		o := r.options()
		o.New = true
		j, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		var c chronicle
		c.log(j, 5)
		hosttest.DiskOf(h).Fail(folder(lost), errors.New("pulled out"))
		for i := range 5 {
			e := fmt.Sprintf("later %d", i)
			c.submitted = append(c.submitted, e)
			if _, err := j.Append(context.Background(), [][]byte{[]byte(e)}); err != nil {
				t.Fatalf("append without drive %d: %v", lost+1, err)
			}
			c.acked = c.submitted
		}
		c.judge(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		r.close()
		if r, err = openRack(h, 4, 1, lost); err != nil {
			t.Fatal(err)
		}
		if j, err = Open(context.Background(), r.options()); err != nil {
			t.Fatal(err)
		}
		c.judge(t, j)
		_ = j.Close()
		r.close()
	}
}

func TestAWipedOrRottenDriveLosesNothingOverRealDrives(t *testing.T) {
	for victim := range 3 {
		for _, rot := range []bool{false, true} {
			h := hosttest.New(7)
			r, err := newRack(h, 3, 1)
			if err != nil {
				t.Fatal(err)
			}
			var c chronicle
			c.run(r, 9)
			r.close()
			harm(t, h, victim, rot)
			if r, err = openRack(h, 3, 1); err != nil {
				t.Fatal(err)
			}
			j, err := Open(context.Background(), r.options())
			if err != nil {
				t.Fatalf("drive %d, rot %v: %v", victim+1, rot, err)
			}
			c.judge(t, j)
			if _, _, sealed := j.Epoch(); sealed != nil {
				t.Fatalf("drive %d, rot %v: still sealed: %v", victim+1, rot, sealed)
			}
			_ = j.Close()
			r.close()
		}
	}
}

// harm wipes a drive and formats it anew, or spoils the middle of all its extents.
func harm(t *testing.T, h *host.Host, victim int, rot bool) {
	disk := hosttest.DiskOf(h)
	if !rot {
		disk.Wipe(folder(victim))
		if err := formatDrive(h, victim); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := disk.PathJoin(folder(victim), "extents")
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if info, err := disk.Stat(disk.PathJoin(dir, n)); err == nil && info.Size() > 2048 {
			disk.Corrupt(disk.PathJoin(dir, n), info.Size()/2, 700)
		}
	}
}

// An extent of the first session tells nothing any more, not even whether it was the journal's. Once there was a session
// since, what it held is known to be older than what the drive holds of that one: its copy is proof of the journal's end, and the
// loss of the other drive is survived. Where it may have held the end, the journal is refused.
func TestAnExtentThatWasUnreadableBeforeHidesNoEnd(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []bool{true, false} {
		h := hosttest.New(3)
		for i := range 2 {
			must(t, formatDrive(h, i))
		}
		session := func(isNew bool, work func(j *Journal), without ...int) error {
			r, err := openRack(h, 2, 1, without...)
			must(t, err)
			defer r.close()
			o := r.options()
			o.New = isNew
			j, err := Open(background, o)
			if err != nil {
				return err
			}
			work(j)
			return j.Close()
		}
		blind := func() { // the newest extent of the first drive
			dir := h.FS.PathJoin(folder(0), "extents")
			names, err := h.FS.List(dir)
			must(t, err)
			slices.Sort(names)
			path := h.FS.PathJoin(dir, names[len(names)-1])
			info, err := h.FS.Stat(path)
			must(t, err)
			hosttest.DiskOf(h).Corrupt(path, 0, info.Size())
		}
		must(t, session(true, func(*Journal) {}))
		if before {
			blind()
		}
		must(t, session(false, func(j *Journal) { appendAll(t, j, "a", "b") }))
		if !before {
			blind()
		}
		err := session(false, func(j *Journal) {
			if got := contents(t, j, 0); got != "a b " {
				t.Errorf("there is %q", got)
			}
		}, 1)
		if before && err != nil {
			t.Errorf("unreadable since before the epoch began: %v", err)
		}
		if !before && !errors.Is(err, ErrLost) {
			t.Errorf("what may have held the end is unreadable, and the journal opened: %v", err)
		}
	}
}
