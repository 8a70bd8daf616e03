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
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

const dir = "drive-1"

var small = drive.Options{ExtentBytes: 32 << 10, AheadBytes: 8 << 10, Spares: -1, FilesOpen: 2}

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
		for range round % 3 {
			must(t, d.Close())
			d = reopen(t, h, small)
		}
	}
	names, err := h.FS.List(dir + "/extents")
	if must(t, err); len(names) > 1 {
		t.Errorf("files left: %v", names)
	}
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
