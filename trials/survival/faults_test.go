package survival

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// fault is what a drive does wrong, in one stretch of one file.
type fault struct {
	kind string
	path string
	off  int64
	b    []byte // what lies there now
}

func (f fault) String() string {
	return fmt.Sprintf("%s of %d bytes of %s at %d", f.kind, len(f.b), f.path, f.off)
}

// faults draws faults for the files of a disk.
type faults struct {
	disk *hosttest.Disk
	r    *rand.Rand
}

// files below a folder, with their sizes; empty ones and locks hold nothing.
func (f *faults) files(dir string) (names []string, sizes []int64) {
	inside, err := f.disk.List(dir)
	if err != nil {
		return nil, nil
	}
	for _, name := range inside {
		p := path.Join(dir, name)
		info, err := f.disk.Stat(p)
		switch {
		case err != nil || name == "lock" || name == "LOCK":
		case info.IsDir():
			n, s := f.files(p)
			names, sizes = append(names, n...), append(sizes, s...)
		case info.Size() > 0:
			names, sizes = append(names, p), append(sizes, info.Size())
		}
	}
	return names, sizes
}

const sector = drive.SectorBytes

// draw a fault for one of these files. Half of them fall where data lie, near
// the front of an extent.
func (f *faults) draw(names []string, sizes []int64) fault {
	i := f.r.IntN(len(names))
	size := sizes[i]
	if f.r.IntN(2) == 0 {
		size = min(size, 24<<10)
	}
	at := f.r.Int64N(size)
	sectorAt, sectors := at/sector*sector, min(int64(1+f.r.IntN(8))*sector, sizes[i]-at/sector*sector)
	out := fault{path: names[i], off: sectorAt}
	switch f.r.IntN(6) {
	case 0, 1:
		out.kind, out.off = "bit flip", at
		out.b = f.read(out.path, at, 1)
		out.b[0] ^= 1 << f.r.IntN(8)
	case 2:
		out.kind, out.off = "scribble", at
		out.b = make([]byte, min(int64(1+f.r.IntN(600)), sizes[i]-at))
		for j := range out.b {
			out.b[j] = byte(f.r.Uint32())
		}
	case 3:
		out.kind, out.b = "lost write", make([]byte, sectors)
	case 4:
		out.kind = "misdirected write"
		j := f.r.IntN(len(names))
		from := f.r.Int64N(sizes[j]) / sector * sector
		out.b = f.read(names[j], from, min(sectors, sizes[j]-from))
	default:
		out.kind = "torn write"
		out.b = f.read(out.path, sectorAt, sectors)
		clear(out.b[len(out.b)/2:])
	}
	return out
}

func (f *faults) read(name string, off, n int64) []byte {
	file, err := f.disk.Open(name)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	b := make([]byte, n)
	got, _ := file.ReadAt(b, off)
	return b[:got]
}

// written is one record as it was acknowledged.
type written struct {
	at     drive.Address
	id     drive.Identity
	class  drive.Class
	bytes  int
	sum    uint64
	sector int64 // offset of its header
}

// covered is what the record's checksums cover, from and to in pairs: header and
// payload, not what fills up their sectors.
func (w *written) covered() [2][2]int64 {
	head := int64(64 + 4*((w.bytes+64<<10-1)/(64<<10)))
	payload := w.sector + head
	if w.bytes >= 64<<10 {
		payload = w.sector + sector
	}
	return [2][2]int64{{w.sector, w.sector + head}, {payload, payload + int64(w.bytes)}}
}

// truth is what one drive held before anything befell it.
type truth struct {
	dir     string
	header  drive.Header
	root    drive.Root
	records []written
}

var classes = []drive.Class{drive.Journal, drive.Small, drive.Stripe}

func openDrive(h *host.Host, dir string) (*drive.Drive, error) {
	return drive.Open(h, dir, drive.Options{ExtentBytes: extentBytes, ReadOnly: true})
}

func truthOf(t testing.TB, h *host.Host, dir string) *truth {
	d, err := openDrive(h, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tr := &truth{dir: dir, header: d.Header(), root: d.Root()}
	for _, class := range classes {
		for f, err := range d.Scan(context.Background(), class) {
			if err != nil || f.Err != nil {
				t.Fatal(err, f.Err)
			}
			tr.records = append(tr.records, written{f.Address, f.Identity, class, len(f.Payload), xxh3.Hash(f.Payload), int64(f.Address.Sector) * sector})
		}
	}
	return tr
}

// touches reports whether a fault changed bytes that checksums cover.
func (tr *truth) touches(f fault, before []byte) bool {
	var extent uint32
	if _, err := fmt.Sscanf(path.Base(f.path), "%d.extent", &extent); err != nil {
		return false
	}
	for _, w := range tr.records {
		if w.at.Extent != extent {
			continue
		}
		for _, part := range w.covered() {
			from, to := max(f.off, part[0]), min(f.off+int64(len(before)), part[1])
			if from < to && !bytes.Equal(before[from-f.off:to-f.off], f.b[from-f.off:to-f.off]) {
				return true
			}
		}
	}
	return false
}

// seen is how a fault came to light.
type seen struct {
	scan  bool // opening and scanning the drive tells
	read  bool // a read of a record tells, of one that the index names
	wrong string
}

// look reads everything on the drive, by a scan and by address.
func (tr *truth) look(h *host.Host) (s seen) {
	hd, err := drive.Identify(h, tr.dir)
	if err != nil {
		return seen{scan: true}
	}
	if hd != tr.header {
		s.wrong = fmt.Sprintf("header %+v, was %+v", hd, tr.header)
	}
	d, err := openDrive(h, tr.dir)
	if err != nil {
		return seen{scan: true}
	}
	defer d.Close()
	if d.RootErr() != nil {
		s.scan = true
	} else if d.Root().Version != tr.root.Version || !bytes.Equal(d.Root().Data, tr.root.Data) {
		s.wrong = "another root record"
	}
	tr.scan(d, &s)
	for i := range tr.records {
		tr.read(d, &tr.records[i], &s)
	}
	return s
}

func (tr *truth) scan(d *drive.Drive, s *seen) {
	known := map[drive.Address]*written{}
	for i := range tr.records {
		known[tr.records[i].at] = &tr.records[i]
	}
	for _, class := range classes {
		for f, err := range d.Scan(context.Background(), class) {
			switch w := known[f.Address]; {
			case err != nil || f.Err != nil:
				s.scan = true
			case w == nil || w.id != f.Identity || w.class != class || xxh3.Hash(f.Payload) != w.sum:
				s.wrong = fmt.Sprintf("the scan shows a record at %s that is not what was written there", f.Address)
			}
		}
	}
}

func (tr *truth) read(d *drive.Drive, w *written, s *seen) {
	p := make([]byte, w.bytes)
	if err := d.Read(context.Background(), w.at, w.id, p, 0); err != nil {
		s.read = true
	} else if xxh3.Hash(p) != w.sum {
		s.wrong = fmt.Sprintf("a read of %s gives other bytes", w.at)
	}
}

// settledDisk is a disk with a store that was used and closed, or that the power was cut of.
func settledDisk(t testing.TB, seed int64) *hosttest.Disk {
	w := newWorld(t, seed, nil)
	for range 40 {
		w.do(w.request())
	}
	if err := w.mend(); err != nil {
		t.Fatal(err)
	}
	if seed%2 == 0 {
		w.end()
		return w.disk.CrashClone(seed)
	}
	disk := w.disk.CrashClone(seed)
	w.end()
	s, err := open(hostOn(disk, seed), folders) // seals what was cut off
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

// Whatever a drive does to any bytes of any of its files: no read ever gives
// wrong bytes, and no change of bytes that mean something goes unseen.
func TestNoFaultOfADriveGoesUnseen(t *testing.T) {
	seed, target := seedOf(t), size(10_000, 1_000_000)
	const each = 2000 // faults of one disk
	var all, byScan, byRead, harmless int64
	kinds := map[string]int{}
	for round := int64(0); all < target; round++ {
		disk := settledDisk(t, seed+round)
		h := hostOn(disk, seed)
		f := &faults{disk, rand.New(rand.NewPCG(uint64(seed), uint64(round)))}
		var truths []*truth
		for _, dir := range folders {
			truths = append(truths, truthOf(t, h, dir))
		}
		for range min(each, target-all) {
			tr := truths[f.r.IntN(drivesAll)]
			names, sizes := f.driveFiles(tr.dir)
			one := f.draw(names, sizes)
			before := disk.Plant(one.path, one.off, one.b)
			s := tr.look(h)
			touched := tr.touches(one, before)
			disk.Plant(one.path, one.off, before)
			all++
			kinds[one.kind]++
			switch {
			case s.wrong != "":
				t.Fatalf("disk %d: %s: %s", seed+round, one, s.wrong)
			case s.scan:
				byScan++
			case s.read:
				byRead++
			case touched:
				t.Fatalf("disk %d: %s changed what was written, and nothing tells", seed+round, one)
			default:
				harmless++
			}
		}
	}
	t.Logf("%d faults (%v): %d found by open and scan, %d by the read of what the index names, %d changed nothing that was written; none unseen",
		all, kinds, byScan, byRead, harmless)
}

// driveFiles are those of the drive itself; the index's view is the store's.
func (f *faults) driveFiles(dir string) (names []string, sizes []int64) {
	all, s := f.files(dir)
	for i, name := range all {
		if !strings.Contains(name, "index-view") {
			names, sizes = append(names, name), append(sizes, s[i])
		}
	}
	return names, sizes
}

// Faults all over two drives: what is read stays right, a repair heals them, and
// then any two other drives may be lost.
func TestFaultsOnAnyTwoDrivesAreHealed(t *testing.T) {
	seed, rounds := seedOf(t), size(100, 10_000)
	injected := 0
	var disk *hosttest.Disk
	var want string
	for round := range rounds {
		if round%20 == 0 {
			disk = settledDisk(t, seed+round)
			want = pictureOn(t, disk, seed)
		}
		r := rand.New(rand.NewPCG(uint64(seed), uint64(round)))
		injected += faultyRound(t, disk.CrashClone(round), r, want, fmt.Sprintf("seed %d, round %d", seed, round))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d faults on two drives at a time, in %d stores", injected, rounds)
}

func pictureOn(t testing.TB, disk *hosttest.Disk, seed int64) string {
	s, err := open(hostOn(disk.CrashClone(seed), seed), folders)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := picture(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func faultyRound(t testing.TB, disk *hosttest.Disk, r *rand.Rand, want, name string) (n int) {
	order := r.Perm(drivesAll)
	f := &faults{disk, r}
	for _, i := range order[:parity] {
		names, sizes := f.files(folders[i])
		for range 25 {
			one := f.draw(names, sizes)
			if strings.HasSuffix(one.path, "/header") && one.off >= sector {
				continue // with both copies rotten the drive is lost, and only an operator may replace it
			}
			disk.Plant(one.path, one.off, one.b)
			n++
		}
	}
	s, err := open(hostOn(disk, int64(n)), folders)
	if err != nil {
		t.Errorf("%s: the store does not open: %v", name, err)
		return n
	}
	if got, err := picture(s); err != nil || got != want {
		t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
	}
	if err := mended(s); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	left := disk.CrashClone(r.Int64())
	if err := s.Close(); err != nil {
		t.Errorf("%s: close: %v", name, err)
	}
	for _, i := range order[parity : 2*parity] {
		left.Wipe(folders[i])
	}
	s, err = open(hostOn(left, int64(n)), folders)
	if err != nil {
		t.Errorf("%s: healed, two others lost: %v", name, err)
		return n
	}
	defer s.Close()
	if got, err := picture(s); err != nil || got != want {
		t.Errorf("%s: healed, two others lost: %v\n%s\nwant\n%s", name, err, got, want)
	}
	return n
}
