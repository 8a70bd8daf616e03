package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// fakeDrive has extents of records of 1,000 bytes.
type fakeDrive struct {
	extents map[uint32][]fakeRecord
	reads   int
}

type fakeRecord struct {
	id  drive.Identity
	err error
}

func address(extent uint32, i int) drive.Address {
	return drive.Address{Extent: extent, Generation: 1, Sector: uint32(1 + 2*i)}
}

func identity(n int) drive.Identity {
	return drive.Identity{Stripe: [16]byte{byte(n), byte(n >> 8)}, Shard: uint8(n % 6)}
}

func (d *fakeDrive) Header() drive.Header { return drive.Header{Drive: drive.ID{7}} }

func (d *fakeDrive) Extents() (all []drive.ExtentInfo) {
	for n := uint32(1); n < 100; n++ {
		if r, ok := d.extents[n]; ok {
			all = append(all, drive.ExtentInfo{Number: n, Generation: 1, Class: drive.Stripe, Bytes: 512 + int64(len(r))*1024, Sealed: true})
		}
	}
	return all
}

func (d *fakeDrive) Audit(_ context.Context, extent uint32, _ int64) iter.Seq2[drive.Audited, error] {
	return func(yield func(drive.Audited, error) bool) {
		for i, r := range d.extents[extent] {
			d.reads++
			f := drive.Found{Address: address(extent, i), Identity: r.id, Payload: make([]byte, 1000), Err: r.err}
			if !yield(drive.Audited{Found: f, Next: 512 + int64(i+1)*1024}, nil) {
				return
			}
		}
	}
}

// world names records and notes what it is told.
type world struct {
	named     map[drive.Address]drive.Identity
	together  int // extents covered by one Wanted
	suspected map[drive.Address]error
	kept      []audit.Cursor
	stopAfter int // waits
	now       time.Time
	damaged   int
}

var errStopped = errors.New("stopped")

func (w *world) Wanted(_ context.Context, extents []uint32) (audit.Wanted, error) {
	n := min(len(extents), w.together)
	out := audit.Wanted{Through: extents[n-1], Records: map[uint32]map[drive.Address]drive.Identity{}, Strict: map[uint32]bool{}}
	for _, e := range extents[:n] {
		out.Strict[e] = true
		out.Records[e] = map[drive.Address]drive.Identity{}
		for at, id := range w.named {
			if at.Extent == e {
				out.Records[e][at] = id
			}
		}
	}
	return out, nil
}

func (w *world) Suspect(_ context.Context, all []audit.Record) (int, error) {
	for _, r := range all {
		w.suspected[r.Address] = r.Cause
	}
	return len(all), nil
}

func (w *world) Damaged(drive.ExtentInfo, drive.Address, error) { w.damaged++ }

func (w *world) Wait(context.Context, *audit.Cursor, int64) error {
	w.now = w.now.Add(time.Second)
	if w.stopAfter--; w.stopAfter == 0 {
		return errStopped
	}
	return nil
}

func (w *world) Keep(_ context.Context, c audit.Cursor, _ bool) error {
	w.kept = append(w.kept, c)
	return nil
}

func (w *world) Now() time.Time { return w.now }

func (w *world) last() audit.Cursor { return w.kept[len(w.kept)-1] }

// scene is a drive with many records: of each kind of trouble some.
func scene(seed uint64) (d *fakeDrive, w *world, bad map[drive.Address]bool, orphans, rot int) {
	r := rand.New(rand.NewPCG(seed, 1))
	d = &fakeDrive{extents: map[uint32][]fakeRecord{}}
	w = &world{named: map[drive.Address]drive.Identity{}, suspected: map[drive.Address]error{}, together: 1 + r.IntN(4), now: start}
	bad = map[drive.Address]bool{}
	n := 0
	for e := uint32(1); e < 12; e += uint32(1 + r.IntN(2)) {
		d.extents[e] = []fakeRecord{}
		for i := range r.IntN(20) {
			n++
			record, at := fakeRecord{id: identity(n)}, address(e, i)
			switch kind := r.IntN(8); kind {
			case 0: // nobody's
				orphans++
			case 1: // rotten, and nobody's
				record.err = drive.ErrCorrupt
				rot++
			case 2: // rotten, and named
				record.err = drive.ErrCorrupt
				w.named[at], bad[at] = identity(n), true
			case 3: // another record lies there
				w.named[at], bad[at] = identity(n+1000), true
			default:
				w.named[at] = identity(n)
			}
			d.extents[e] = append(d.extents[e], record)
		}
		if r.IntN(3) == 0 { // named, and not there at all
			at := address(e, len(d.extents[e])+3)
			w.named[at], bad[at] = identity(n), true
		}
	}
	return d, w, bad, orphans, rot
}

func TestAPassFindsExactlyWhatIsWrong(t *testing.T) {
	for seed := range uint64(200) {
		d, w, bad, orphans, rot := scene(seed)
		p := audit.Pass{Drive: d, World: w}
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.suspected) != len(bad) || p.Found.Orphans != int64(orphans) || w.damaged != rot || p.Found.Rot != int64(rot) {
			t.Fatalf("seed %d: %d suspects of %d, %d orphans of %d, %d rotten of %d", seed, len(w.suspected), len(bad), p.Found.Orphans, orphans, w.damaged, rot)
		}
		for at := range bad {
			if w.suspected[at] == nil {
				t.Errorf("seed %d: %s is bad, and was not found", seed, at)
			}
		}
		if want := len(w.named) - len(bad); p.Found.Shards != int64(want) {
			t.Errorf("seed %d: %d shards verified, want %d", seed, p.Found.Shards, want)
		}
	}
}

// A pass that is cut off again and again, and goes on from the cursor kept last,
// misses nothing.
func TestAPassThatIsCutOffGoesOnWhereItWas(t *testing.T) {
	for seed := range uint64(200) {
		d, w, bad, _, _ := scene(seed)
		var c audit.Cursor
		records := 0
		for _, all := range d.extents {
			records += len(all)
		}
		for round := 1; ; round++ {
			w.stopAfter = 25 // more than one extent has
			p := audit.Pass{Drive: d, World: w, Cursor: c}
			err := p.Run(t.Context())
			if err == nil {
				break
			}
			if !errors.Is(err, errStopped) || round > 50 {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			kept, err := audit.DecodeCursor(w.last().Encode(nil))
			if err != nil || kept != w.last() {
				t.Fatalf("%+v came back as %+v, %v", w.last(), kept, err)
			}
			c = kept
		}
		if len(w.suspected) != len(bad) {
			t.Errorf("seed %d: %d suspects of %d", seed, len(w.suspected), len(bad))
		}
		if d.reads > 3*records+25 {
			t.Errorf("seed %d: %d reads of %d records: it began anew each time", seed, d.reads, records)
		}
		if end := w.last(); end.Passes != 1 || !end.Began.IsZero() || end.LastBegan != start || end.LastEnded != w.now {
			t.Errorf("seed %d: %+v", seed, end)
		}
	}
}

func TestAnotherDriveInThePlaceBeginsAnew(t *testing.T) {
	d, w, bad, _, _ := scene(3)
	p := audit.Pass{Drive: d, World: w, Cursor: audit.Cursor{Drive: [16]byte{9}, Began: start, Extent: 50, Passes: 4}}
	if err := p.Run(t.Context()); err != nil || len(w.suspected) != len(bad) || w.last().Passes != 1 {
		t.Errorf("%d suspects of %d, %+v, %v", len(w.suspected), len(bad), w.last(), err)
	}
}

func TestTheRateBringsEveryByteInTime(t *testing.T) {
	s := audit.Schedule{Every: 14 * 24 * time.Hour, Least: 1 << 20, Most: 64 << 20}
	const total = 8 << 40
	c := audit.Cursor{Began: start}
	now, seconds := start, 0
	for c.Bytes < total {
		if now.Sub(start) > 2*24*time.Hour && now.Sub(start) < 4*24*time.Hour {
			now = start.Add(4 * 24 * time.Hour) // the machine was off for two days
		}
		c.Bytes += 3600 * s.Rate(&c, now, total)
		now = now.Add(time.Hour)
		seconds += 3600
	}
	if took := now.Sub(start); took > s.Every {
		t.Errorf("the pass took %v", took)
	}
	if tiny := s.Rate(&audit.Cursor{Began: start}, start, 100); tiny != s.Least {
		t.Errorf("%d bytes a second of next to nothing", tiny)
	}
	if late := s.Rate(&audit.Cursor{Began: start}, start.Add(30*24*time.Hour), total); late != s.Most {
		t.Errorf("%d bytes a second when it is too late", late)
	}
	if next := s.Next(&audit.Cursor{LastBegan: start}); next.Sub(start) > s.Every || next.Sub(start) < s.Every/2 {
		t.Errorf("the next pass begins after %v", next.Sub(start))
	}
}

// Ages are compared with those of a thousand bytes that are told one by one.
func TestAgesAreThoseOfTheBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		const total = 1000
		began := start.Add(time.Duration(r.IntN(200)) * time.Hour)
		c := audit.Cursor{Bytes: int64(r.IntN(total)), Began: began}
		if r.IntN(3) > 0 {
			c.LastBegan, c.LastEnded = start, start.Add(time.Duration(began.Sub(start).Seconds()*r.Float64())*time.Second)
		}
		now := began.Add(time.Duration(1+r.IntN(200)) * time.Hour)
		var ages []time.Duration
		for i := range total {
			read := start
			if int64(i) < c.Bytes {
				read = began.Add(time.Duration(float64(i) / float64(c.Bytes) * float64(now.Sub(began))))
			} else if !c.LastEnded.IsZero() {
				read = c.LastBegan.Add(time.Duration(float64(i) / total * float64(c.LastEnded.Sub(c.LastBegan))))
			}
			ages = append(ages, now.Sub(read))
		}
		half, oldest := c.Ages(now, start, total)
		younger := 0
		for _, age := range ages {
			if age <= half {
				younger++
			}
			if age > oldest+time.Hour {
				t.Fatalf("a byte is %v old, the oldest is said to be %v", age, oldest)
			}
		}
		if younger < total/2-total/50 {
			t.Fatalf("%+v: %d of %d bytes are younger than the median %v", c, younger, total, half)
		}
	}
}

func TestACursorIsTheseBytes(t *testing.T) {
	c := audit.Cursor{Drive: [16]byte{1, 2}, Began: time.Unix(0, 3), Extent: 4, Offset: 5, Bytes: 6, Shards: 7, Orphans: 8, Passes: 9, LastBegan: time.Unix(0, 10), LastEnded: time.Unix(0, 11), LastBytes: 12}
	want := append([]byte{1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0}, eight(3, 5, 6, 7, 8, 9, 10, 11, 12)...)
	if got := c.Encode(nil); !bytes.Equal(got, want) {
		t.Errorf("% x\nwant\n% x", got, want)
	}
}

func eight(values ...byte) (b []byte) {
	for _, v := range values {
		b = append(b, v, 0, 0, 0, 0, 0, 0, 0)
	}
	return b
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add(audit.Cursor{}.Encode(nil))
	f.Add(audit.Cursor{Began: start, Bytes: 1 << 40}.Encode(nil))
	f.Add([]byte("nothing"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := audit.DecodeCursor(b)
		if err != nil {
			return
		}
		if again := c.Encode(nil); !bytes.Equal(again, b) {
			t.Error(fmt.Errorf("% x\nbecame\n% x", b, again))
		}
	})
}
