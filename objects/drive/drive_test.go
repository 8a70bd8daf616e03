package drive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

const dir = "drive-1"

var small = drive.Options{ExtentBytes: 32 << 10, AheadBytes: 8 << 10, FilesOpen: 2}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func header() drive.Header {
	return drive.Header{Store: [16]byte{1}, Drive: drive.ID{2}, Number: 3, Created: hosttest.Epoch}
}

// fresh is a formatted, open drive on a host of its own.
func fresh(t testing.TB, o drive.Options) (*host.Host, *drive.Drive) {
	t.Helper()
	h := hosttest.New(1)
	must(t, drive.Format(h, dir, header()))
	return h, reopen(t, h, o)
}

func reopen(t testing.TB, h *host.Host, o drive.Options) *drive.Drive {
	t.Helper()
	d, err := drive.Open(h, dir, o)
	must(t, err)
	return d
}

func id(n int) drive.Identity {
	var i drive.Identity
	binary.LittleEndian.PutUint64(i.Stripe[:], uint64(n))
	i.Shard = uint8(n)
	return i
}

// payload is a record's content, told by its number.
func payload(n, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(b)
	return b
}

func record(n, size int) drive.Record {
	return drive.Record{Identity: id(n), Payload: payload(n, size)}
}

func add(t testing.TB, d *drive.Drive, class drive.Class, records ...drive.Record) []drive.Address {
	t.Helper()
	a, err := d.Append(t.Context(), class, records)
	must(t, err)
	return a
}

func scan(t testing.TB, d *drive.Drive, class drive.Class) (good []drive.Found, bad []drive.Found) {
	t.Helper()
	for f, err := range d.Scan(context.Background(), class) {
		must(t, err)
		if f.Err != nil {
			bad = append(bad, f)
			continue
		}
		f.Payload = bytes.Clone(f.Payload)
		good = append(good, f)
	}
	return good, bad
}

func holds(t testing.TB, d *drive.Drive, a drive.Address, r drive.Record) {
	t.Helper()
	if err := check(d, a, r); err != nil {
		t.Fatal(err)
	}
}

func check(d *drive.Drive, a drive.Address, r drive.Record) error {
	p := make([]byte, len(r.Payload))
	if err := d.Read(context.Background(), a, r.Identity, p, 0); err != nil {
		return err
	}
	if !bytes.Equal(p, r.Payload) {
		return fmt.Errorf("%s verified and is wrong", a)
	}
	return nil
}

func TestRecordsReadBackInEveryRange(t *testing.T) {
	_, d := fresh(t, drive.Options{ExtentBytes: 8 << 20})
	defer d.Close()
	for i, size := range []int{1, 443, 444, 445, 512, 4096, 65535, 65536, 65537, 1 << 20, drive.PayloadBytesMax} {
		r := record(i, size)
		a := add(t, d, drive.Stripe, r)[0]
		n, err := d.Length(t.Context(), a, r.Identity)
		if must(t, err); n != size {
			t.Fatalf("length %d, want %d", n, size)
		}
		for _, at := range [][2]int{{0, size}, {0, 1}, {size - 1, 1}, {size / 2, size - size/2}, {size / 3, size / 3}, {65536, 65536}, {65000, 70000}, {131072, 1 << 19}, {size, 0}} {
			if at[0]+at[1] > size {
				continue
			}
			p := make([]byte, at[1])
			must(t, d.Read(t.Context(), a, r.Identity, p, int64(at[0])))
			if !bytes.Equal(p, r.Payload[at[0]:at[0]+at[1]]) {
				t.Fatalf("size %d: bytes %v differ", size, at)
			}
		}
		if err := d.Read(t.Context(), a, r.Identity, make([]byte, 2), int64(size)-1); !errors.Is(err, drive.ErrRange) {
			t.Fatalf("beyond the end: %v", err)
		}
		if err := d.Read(t.Context(), a, id(99), make([]byte, 1), 0); !errors.Is(err, drive.ErrCorrupt) {
			t.Fatalf("another identity: %v", err)
		}
	}
}

func TestRecordsOfAllSessionsScanInOrder(t *testing.T) {
	h, d := fresh(t, small)
	n := 0
	var addresses []drive.Address
	for range 4 {
		for range 20 {
			addresses = append(addresses, add(t, d, drive.Journal, record(n, 700+n))...)
			add(t, d, drive.Small, record(1000+n, 50))
			n++
		}
		must(t, d.Close())
		d = reopen(t, h, small)
	}
	defer d.Close()
	good, bad := scan(t, d, drive.Journal)
	if len(good) != n || len(bad) != 0 {
		t.Fatalf("found %d good, %d bad, want %d", len(good), len(bad), n)
	}
	for i, f := range good {
		if f.Address != addresses[i] || f.Identity != id(i) || !bytes.Equal(f.Payload, payload(i, 700+i)) {
			t.Fatalf("record %d: %+v", i, f.Address)
		}
		if i > 0 && f.Sequence <= good[i-1].Sequence {
			t.Fatalf("record %d: sequence %d after %d", i, f.Sequence, good[i-1].Sequence)
		}
		holds(t, d, f.Address, record(i, 700+i))
	}
}

func TestManyWritersShareGroups(t *testing.T) {
	groups := 0
	o := small
	o.Events.Committed = func(drive.Class, int, int64) { groups++ }
	_, d := fresh(t, o)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 25 {
				r := record(w*1000+i, 100+i)
				a, err := d.Append(context.Background(), drive.Small, []drive.Record{r})
				if err != nil {
					t.Error(err)
					return
				}
				if err := check(d, a[0], r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	must(t, d.Close())
	if groups == 0 || groups > 200 {
		t.Errorf("%d groups", groups)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	h, d := fresh(t, small)
	if _, err := drive.Open(h, dir, small); !errors.Is(err, drive.ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	ro := small
	ro.ReadOnly = true
	add(t, d, drive.Small, record(1, 100))
	r := reopen(t, h, ro)
	if good, _ := scan(t, r, drive.Small); len(good) != 1 {
		t.Errorf("read-only beside the writer: %d records", len(good))
	}
	if _, err := r.Append(t.Context(), drive.Small, []drive.Record{record(1, 1)}); !errors.Is(err, drive.ErrReadOnly) {
		t.Errorf("append read-only: %v", err)
	}
	must(t, r.Close())
	must(t, d.Close())
	must(t, reopen(t, h, small).Close())
}

func TestFoldersOfOthersAreRefused(t *testing.T) {
	h := hosttest.New(1)
	_, err := drive.Identify(h, dir)
	if !errors.Is(err, drive.ErrNotFormatted) {
		t.Fatalf("missing folder: %v", err)
	}
	must(t, h.FS.MkdirAll(dir+"/lost+found", 0o755))
	must(t, drive.Format(h, dir, header()))
	hd, err := drive.Identify(h, dir)
	want := header()
	want.Format = drive.FormatVersion
	if must(t, err); hd != want {
		t.Fatalf("identified %+v", hd)
	}
	if err := drive.Format(h, dir, header()); !errors.Is(err, drive.ErrFormatted) {
		t.Fatalf("format twice: %v", err)
	}
	f, _ := h.FS.Create("letters", host.Category)
	must(t, f.Close())
	must(t, h.FS.MkdirAll("photos", 0o755))
	_, _ = h.FS.Create("photos/cat.jpg", host.Category)
	if err := drive.Format(h, "photos", header()); !errors.Is(err, drive.ErrForeign) {
		t.Fatalf("a folder of photos: %v", err)
	}
	must(t, h.FS.Remove(dir+"/header"))
	must(t, drive.Format(h, dir, header()))
	d := reopen(t, h, small)
	add(t, d, drive.Small, record(1, 1))
	must(t, d.Close())
	must(t, h.FS.Remove(dir+"/header"))
	if err := drive.Format(h, dir, header()); !errors.Is(err, drive.ErrCorruptHeader) {
		t.Fatalf("extents without a header: %v", err)
	}
}

func TestEitherHeaderCopySuffices(t *testing.T) {
	for _, rotten := range []int64{0, 4096} {
		h, d := fresh(t, small)
		must(t, d.Close())
		hosttest.DiskOf(h).Corrupt(dir+"/header", rotten+20, 1)
		hd, err := drive.Identify(h, dir)
		if err != nil || hd.Number != 3 {
			t.Fatalf("copy at %d is rotten: %v", rotten, err)
		}
		hosttest.DiskOf(h).Corrupt(dir+"/header", 4096-rotten+20, 1)
		if _, err := drive.Open(h, dir, small); !errors.Is(err, drive.ErrCorruptHeader) {
			t.Fatalf("both rotten: %v", err)
		}
	}
}

func TestRemovedExtentsAreGoneAndTheirAddressesNeverReturn(t *testing.T) {
	h, d := fresh(t, small)
	defer func() { must(t, d.Close()) }()
	seen := map[drive.Address]bool{}
	for round := range 5 {
		a := add(t, d, drive.Journal, record(round, 100))[0]
		if seen[a] {
			t.Fatalf("round %d: address %s was given before", round, a)
		}
		seen[a] = true
		if err := d.Remove(t.Context(), a.Extent); !errors.Is(err, drive.ErrActive) {
			t.Fatalf("remove of an active extent: %v", err)
		}
		must(t, d.Seal(t.Context(), drive.Journal))
		holds(t, d, a, record(round, 100))
		must(t, d.Remove(t.Context(), a.Extent))
		if err := check(d, a, record(round, 100)); !errors.Is(err, drive.ErrGone) {
			t.Fatalf("read of a removed extent: %v", err)
		}
		if err := d.Remove(t.Context(), a.Extent); !errors.Is(err, drive.ErrGone) {
			t.Fatalf("remove twice: %v", err)
		}
		if len(d.Extents()) != 0 {
			t.Fatalf("extents left: %+v", d.Extents())
		}
		if round%2 == 1 {
			must(t, d.Close())
			d = reopen(t, h, small)
		}
	}
	names, err := h.FS.List(dir + "/extents")
	if must(t, err); len(names) > 1 {
		t.Errorf("files left: %v", names)
	}
}

func TestRootIsReplacedWhole(t *testing.T) {
	h, d := fresh(t, small)
	if d.Root().Version != 0 || d.RootErr() != nil {
		t.Fatalf("a new drive's root: %+v", d.Root())
	}
	must(t, d.SetRoot(t.Context(), drive.Root{Version: 4, Data: []byte("four")}))
	must(t, d.SetRoot(t.Context(), drive.Root{Version: 4, Data: []byte("four")}))
	for _, r := range []drive.Root{{Version: 4, Data: []byte("else")}, {Version: 3, Data: []byte("three")}, {}} {
		if err := d.SetRoot(t.Context(), r); !errors.Is(err, drive.ErrRootVersion) {
			t.Errorf("version %d over 4: %v", r.Version, err)
		}
	}
	if err := d.SetRoot(t.Context(), drive.Root{Version: 9, Data: make([]byte, drive.RootBytesMax+1)}); !errors.Is(err, drive.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	must(t, d.Close())
	d = reopen(t, h, small)
	if r := d.Root(); r.Version != 4 || string(r.Data) != "four" {
		t.Fatalf("after reopen: %+v", r)
	}
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(dir+"/root", 513, 1)
	d = reopen(t, h, small)
	if d.Root().Version != 0 || !errors.Is(d.RootErr(), drive.ErrCorrupt) {
		t.Fatalf("a rotten root: %+v, %v", d.Root(), d.RootErr())
	}
	must(t, d.SetRoot(t.Context(), drive.Root{Version: 4, Data: []byte("four")}))
	if d.RootErr() != nil {
		t.Fatal("the root was healed")
	}
	must(t, d.Close())
}

func TestBadRequestsAreRefused(t *testing.T) {
	_, d := fresh(t, small)
	for name, r := range map[string][]drive.Record{
		"no record": nil, "empty": {{}}, "beyond the limit": {{Payload: make([]byte, drive.PayloadBytesMax+1)}}, "beyond an extent": {{Payload: make([]byte, 32<<10)}},
	} {
		if _, err := d.Append(t.Context(), drive.Small, r); !errors.Is(err, drive.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Append(t.Context(), 9, []drive.Record{record(1, 1)}); err == nil {
		t.Error("class 9 was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Read(ctx, drive.Address{Extent: 1}, id(1), nil, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("read with an ended context: %v", err)
	}
	must(t, d.Close())
	if err := d.Close(); !errors.Is(err, drive.ErrClosed) {
		t.Errorf("close twice: %v", err)
	}
	if _, err := d.Append(t.Context(), drive.Small, []drive.Record{record(1, 1)}); !errors.Is(err, drive.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := d.Read(t.Context(), drive.Address{Extent: 1}, id(1), nil, 0); !errors.Is(err, drive.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

func TestQueuedRequestMayBeWithdrawn(t *testing.T) {
	h, d := fresh(t, small)
	add(t, d, drive.Small, record(1, 10))
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hosttest.DiskOf(h).SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Sync {
			once.Do(func() { close(reached) })
			<-release
		}
		return nil
	})
	first := make(chan error, 1)
	go func() {
		_, err := d.Append(context.Background(), drive.Small, []drive.Record{record(2, 10)})
		first <- err
	}()
	<-reached // the writer hangs in the first one's sync
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := d.Append(ctx, drive.Small, []drive.Record{record(3, 10)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("withdrawn: %v", err)
	}
	close(release)
	must(t, <-first)
	must(t, d.Close())
	hosttest.DiskOf(h).SetFault(nil)
	d = reopen(t, h, small)
	defer d.Close()
	if good, _ := scan(t, d, drive.Small); len(good) != 2 {
		t.Errorf("%d records, the withdrawn one must not be there", len(good))
	}
}

func failing(kind hosttest.Kind, err error) func(hosttest.Op) error {
	return func(op hosttest.Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	}
}

func TestFailedSyncRetiresTheExtentAndIsNotRetried(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	a := add(t, d, drive.Journal, record(1, 100))[0]
	syncs := 0
	disk.SetFault(func(op hosttest.Op) error {
		if op.Kind != hosttest.Sync {
			return nil
		}
		if syncs++; syncs == 1 {
			return syscall.EIO
		}
		return nil
	})
	if _, err := d.Append(t.Context(), drive.Journal, []drive.Record{record(2, 100)}); !errors.Is(err, drive.ErrWrite) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("append: %v", err)
	}
	if syncs != 1 {
		t.Fatalf("%d syncs of a failing extent", syncs)
	}
	if e := d.Extents()[0]; e.Retired == nil || !e.Sealed {
		t.Fatalf("not retired: %+v", e)
	}
	b := add(t, d, drive.Journal, record(3, 100))[0]
	if b.Extent == a.Extent {
		t.Fatal("the retired extent was appended to")
	}
	for _, h := range []*host.Host{h, hosttest.Reboot(h, 1), hosttest.Reboot(h, 2)} {
		if h.FS == disk {
			must(t, d.Close())
		}
		d := reopen(t, h, small)
		holds(t, d, a, record(1, 100))
		holds(t, d, b, record(3, 100))
		must(t, d.Close())
	}
}

func TestThreeFailuresEndTheWriteSide(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 100))[0]
	hosttest.DiskOf(h).SetFault(failing(hosttest.Write, syscall.EIO))
	for i, want := range []error{drive.ErrWrite, drive.ErrWrite, drive.ErrFailed, drive.ErrFailed} {
		if _, err := d.Append(t.Context(), drive.Small, []drive.Record{record(2, 100)}); !errors.Is(err, want) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	if !errors.Is(d.Err(), drive.ErrFailed) {
		t.Errorf("drive's state: %v", d.Err())
	}
	holds(t, d, a, record(1, 100))
	hosttest.DiskOf(h).SetFault(nil)
	must(t, d.Close())
	d = reopen(t, h, small)
	add(t, d, drive.Small, record(3, 100))
	must(t, d.Close())
}

func TestFullDriveRefusesAndRecovers(t *testing.T) {
	for _, class := range []drive.Class{drive.Journal, drive.Stripe} {
		h, d := fresh(t, small)
		disk := hosttest.DiskOf(h)
		disk.SetCapacity(dir, 150<<10)
		kept := map[drive.Address]drive.Record{}
		var full error
		for i := 0; full == nil; i++ {
			r := record(i, 3000)
			a, err := d.Append(t.Context(), class, []drive.Record{r})
			if full = err; err == nil {
				kept[a[0]] = r
			}
		}
		if !errors.Is(full, drive.ErrFull) || !errors.Is(d.Err(), drive.ErrFull) {
			t.Fatalf("%s: full: %v; %v", class, full, d.Err())
		}
		if len(kept) < 25 {
			t.Errorf("%s: full after %d records", class, len(kept))
		}
		for range 10 {
			if _, err := d.Append(t.Context(), class, []drive.Record{record(1, 3000)}); !errors.Is(err, drive.ErrFull) {
				t.Fatalf("%s: still full: %v", class, err)
			}
		}
		for a, r := range kept {
			holds(t, d, a, r)
		}
		first := d.Extents()[0]
		must(t, d.Remove(t.Context(), first.Number))
		r := record(7777, 3000)
		kept[add(t, d, class, r)[0]] = r
		if d.Err() != nil {
			t.Errorf("%s: after recovery: %v", class, d.Err())
		}
		must(t, d.Close())
		d = reopen(t, h, small)
		for a, r := range kept {
			if a.Extent != first.Number {
				holds(t, d, a, r)
			}
		}
		must(t, d.Close())
	}
}

func TestRotIsFoundAndTheScanGoesOn(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	var a []drive.Address
	for i := range 6 {
		a = append(a, add(t, d, drive.Journal, record(i, 1000))...)
	}
	at := func(i int) int64 { return int64(a[i].Sector) * drive.SectorBytes }
	file := dir + "/extents/00000001.extent"
	disk.Corrupt(file, at(1)+5, 1)   // a header
	disk.Corrupt(file, at(3)+900, 1) // a payload
	disk.Corrupt(file, at(5)+20, 1)  // the last one's header
	for _, d := range []*drive.Drive{d, nil} {
		if d == nil {
			d = reopen(t, h, small)
		}
		good, bad := scan(t, d, drive.Journal)
		if len(good) != 3 || len(bad) != 3 {
			t.Fatalf("%d good, %d bad", len(good), len(bad))
		}
		for i, n := range []int{1, 3, 5} {
			if bad[i].Address != a[n] || !errors.Is(bad[i].Err, drive.ErrCorrupt) {
				t.Errorf("rot %d: %+v", i, bad[i])
			}
			if err := check(d, a[n], record(n, 1000)); !errors.Is(err, drive.ErrCorrupt) {
				t.Errorf("read of rotten record %d: %v", n, err)
			}
		}
		if bad[1].Identity != id(3) {
			t.Errorf("the header still tells who it was: %+v", bad[1])
		}
		for _, n := range []int{0, 2, 4} {
			holds(t, d, a[n], record(n, 1000))
		}
		must(t, d.Close())
	}
}

func TestRangeReadsVerifyOnlyWhatTheyTouch(t *testing.T) {
	h, d := fresh(t, drive.Options{ExtentBytes: 8 << 20, AheadBytes: 1 << 20})
	defer d.Close()
	r := record(1, 300_000)
	a := add(t, d, drive.Stripe, r)[0]
	hosttest.DiskOf(h).Corrupt(dir+"/extents/00000001.extent", int64(a.Sector)*512+512+70_000, 1)
	for _, c := range []struct {
		off, n int
		bad    bool
	}{{0, 65536, false}, {65536, 10, true}, {131071, 1, true}, {131072, 168_928, false}, {0, 300_000, true}} {
		p := make([]byte, c.n)
		err := d.Read(t.Context(), a, r.Identity, p, int64(c.off))
		if errors.Is(err, drive.ErrCorrupt) != c.bad {
			t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
		}
		if !c.bad && !bytes.Equal(p, r.Payload[c.off:c.off+c.n]) {
			t.Errorf("%d bytes at %d differ", c.n, c.off)
		}
	}
}

func TestMisdirectedAndLostWritesAreFound(t *testing.T) {
	h, d := fresh(t, small)
	disk := hosttest.DiskOf(h)
	file := dir + "/extents/00000001.extent"
	a := append(add(t, d, drive.Small, record(1, 400)), add(t, d, drive.Small, record(1, 400))...)
	disk.Swap(file, int64(a[0].Sector)*512, file, int64(a[1].Sector)*512, 512)
	for _, at := range a {
		if err := check(d, at, record(1, 400)); !errors.Is(err, drive.ErrCorrupt) {
			t.Errorf("a misdirected write at %s: %v", at, err)
		}
	}
	disk.LoseWrites(file)
	lost := add(t, d, drive.Small, record(2, 400))[0]
	if err := check(d, lost, record(2, 400)); !errors.Is(err, drive.ErrCorrupt) {
		t.Errorf("a lost write: %v", err)
	}
	if _, bad := scan(t, d, drive.Small); len(bad) == 0 {
		t.Error("the scan saw nothing")
	}
	must(t, d.Close())
}

func TestExtentOfAnotherDriveDoesNotVerify(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400))[0]
	must(t, d.Close())
	other := header()
	other.Drive = drive.ID{9}
	must(t, drive.Format(h, "drive-2", other))
	must(t, h.FS.Link(dir+"/extents/00000001.extent", "drive-2/extents/00000001.extent"))
	e, err := drive.Open(h, "drive-2", small)
	must(t, err)
	defer e.Close()
	if err := check(e, a, record(1, 400)); err == nil {
		t.Error("another drive's record was read as ours")
	}
}

func TestRottenExtentHeaderLeavesItsRecordsReadable(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400), record(2, 400))
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(dir+"/extents/00000001.extent", 10, 20)
	d = reopen(t, h, small)
	defer d.Close()
	holds(t, d, a[0], record(1, 400))
	if good, bad := scan(t, d, drive.Small); len(good) != 2 || len(bad) != 0 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
	if b := add(t, d, drive.Small, record(3, 1)); b[0].Extent == 1 {
		t.Error("its number was given again")
	}
}

func TestUnreadableExtentDoesNotHideTheRest(t *testing.T) {
	h, d := fresh(t, small)
	a := add(t, d, drive.Small, record(1, 400))[0]
	must(t, d.Seal(t.Context(), drive.Small))
	b := add(t, d, drive.Small, record(2, 400))[0]
	must(t, d.Close())
	hosttest.DiskOf(h).Fail(dir+"/extents/00000001.extent", syscall.EIO)
	d = reopen(t, h, small)
	defer d.Close()
	if err := check(d, a, record(1, 400)); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: %v", err)
	}
	holds(t, d, b, record(2, 400))
	if good, bad := scan(t, d, drive.Small); len(good) != 1 || len(bad) != 1 {
		t.Errorf("%d good, %d bad", len(good), len(bad))
	}
}

func TestUsageTellsTheDevice(t *testing.T) {
	h, d := fresh(t, small)
	defer d.Close()
	hosttest.DiskOf(h).SetCapacity(dir, 1<<20)
	add(t, d, drive.Small, record(1, 400))
	u, err := d.Usage()
	if must(t, err); u.TotalBytes != 1<<20 || u.FreeBytes >= 1<<20 || u.ExtentBytes != 1024 {
		t.Errorf("%+v", u)
	}
}

func TestDriveWorksOnRealFiles(t *testing.T) {
	h := host.Real(nil)
	folder := t.TempDir() + "/drive-1"
	if _, err := drive.Identify(h, folder); !errors.Is(err, drive.ErrNotFormatted) {
		t.Fatalf("a missing folder: %v", err)
	}
	must(t, drive.Format(h, folder, header()))
	l := newLedger()
	for range 3 {
		d, err := drive.Open(h, folder, small)
		must(t, err)
		if _, err := drive.Open(h, folder, small); !errors.Is(err, drive.ErrLocked) {
			t.Fatalf("second open: %v", err)
		}
		must(t, l.judge(d))
		must(t, l.session(d))
		must(t, l.judge(d))
		must(t, d.Close())
	}
	files, err := filepath.Glob(folder + "/extents/*")
	must(t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		if must(t, err); info.Size() > small.ExtentBytes {
			t.Errorf("%s has %d bytes", f, info.Size())
		}
	}
}
