package drive

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
)

func TestARootOfAHigherVersionIsKeptThoughItSaysTheSame(t *testing.T) {
	h := hosttest.New(1)
	if err := Format(h, "d", Header{Number: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(h, "d", Options{ExtentBytes: ExtentBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	for v := range uint64(3) {
		if err := d.SetRoot(context.Background(), Root{Version: v + 1, Data: []byte("same")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(h, "d", Options{ExtentBytes: ExtentBytesMin}); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := d.Root().Version; got != 3 {
		t.Errorf("version %d was kept, of 3", got)
	}
}

// Somebody removed the folder of the extents: the one made anew must survive.
func TestAnExtentsFolderMadeAnewSurvivesAPowerCut(t *testing.T) {
	for seed := range int64(20) {
		h := hosttest.New(seed)
		if err := Format(h, "d", Header{Number: 1}); err != nil {
			t.Fatal(err)
		}
		if err := h.FS.RemoveAll("d/extents"); err != nil {
			t.Fatal(err)
		}
		if err := syncDir(h.FS, "d"); err != nil {
			t.Fatal(err)
		}
		d, err := Open(h, "d", Options{ExtentBytes: ExtentBytesMin})
		if err != nil {
			t.Fatal(err)
		}
		id := Identity{Shard: 1}
		at, err := d.Append(context.Background(), Small, []Record{{Identity: id, Payload: []byte("kept")}})
		if err != nil {
			t.Fatal(err)
		}
		after := hosttest.Reboot(h, seed)
		_ = d.Close()
		if d, err = Open(after, "d", Options{ExtentBytes: ExtentBytesMin}); err != nil {
			t.Fatal(err)
		}
		if err := d.Read(context.Background(), at[0], id, make([]byte, 4), 0); err != nil {
			t.Errorf("seed %d: what was acknowledged: %v", seed, err)
		}
		_ = d.Close()
	}
}

// With its header and every record rotten, an extent tells nothing of itself. It is
// no empty one all the same.
func TestAnExtentThatRottedWholeIsNotTakenForAnEmptyOne(t *testing.T) {
	h := hosttest.New(1)
	if err := Format(h, "d", Header{Number: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(h, "d", Options{ExtentBytes: ExtentBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	at, err := d.Append(context.Background(), Stripe, []Record{{Payload: []byte("lost")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	disk := hosttest.DiskOf(h)
	name := "d/extents/" + extentName(at[0].Extent)
	info, err := disk.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	disk.Corrupt(name, 0, info.Size())
	if d, err = Open(h, "d", Options{ExtentBytes: ExtentBytesMin}); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	told := false
	for f, err := range d.Scan(context.Background(), Stripe) {
		told = told || err == nil && f.Err != nil
	}
	if !told {
		t.Error("a scan says nothing of an extent of which every byte is wrong")
	}
}

// guarded is a new drive with extents of the smallest size.
func guarded(t *testing.T) (*hosttest.Disk, *Drive) {
	t.Helper()
	h := hosttest.New(1)
	if err := Format(h, "d", Header{Number: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(h, "d", Options{ExtentBytes: ExtentBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return hosttest.DiskOf(h), d
}

func sealed(t *testing.T, d *Drive, class Class) Address {
	t.Helper()
	at, err := d.Append(t.Context(), class, []Record{{Payload: make([]byte, 3000)}, {Payload: make([]byte, 3000)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Seal(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	return at[0]
}

// What an audit then reads is of another life of the extent: no rot.
func TestAnAuditOvertakenByRecyclingIsToldSo(t *testing.T) {
	disk, d := guarded(t)
	at := sealed(t, d, Small)
	var once sync.Once
	disk.SetFault(func(op hosttest.Op) error {
		if op.Kind == hosttest.Read {
			once.Do(func() {
				if err := d.Remove(t.Context(), at.Extent); err != nil {
					t.Error(err)
				}
				if again := sealed(t, d, Small); again.Extent != at.Extent {
					t.Errorf("not recycled: %s after %s", again, at)
				}
			})
		}
		return nil
	})
	for a, err := range d.Audit(t.Context(), at.Extent, 0) {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v, %v", a.Address, a.Err, err)
		}
	}
}

func TestARootThatCameBackFromThePastIsNoticed(t *testing.T) {
	disk, d := guarded(t)
	ctx := t.Context()
	if err := d.SetRoot(ctx, Root{Version: 1, Data: []byte("old")}); err != nil {
		t.Fatal(err)
	}
	old, err := readFile(disk, "d/"+rootName, SectorBytes+RootBytesMax)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetRoot(ctx, Root{Version: 2, Data: []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if err := d.CheckFiles(); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(disk, "d", rootName, old); err != nil {
		t.Fatal(err)
	}
	if err := d.CheckFiles(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the root before the present one: %v", err)
	}
}

// Of an extent whose file is removed nothing is seen after a power cut.
func TestAGivenBackFileStaysGoneAfterAPowerCut(t *testing.T) {
	for seed := range int64(20) {
		h := hosttest.New(seed)
		if err := Format(h, "d", Header{Number: 1}); err != nil {
			t.Fatal(err)
		}
		d, err := Open(h, "d", Options{ExtentBytes: ExtentBytesMin})
		if err != nil {
			t.Fatal(err)
		}
		at := sealed(t, d, Stripe)
		sealed(t, d, Stripe) // the former is not the highest any more
		if err := d.Remove(t.Context(), at.Extent); err != nil {
			t.Fatal(err)
		}
		after := hosttest.Reboot(h, seed)
		_ = d.Close()
		if d, err = Open(after, "d", Options{ExtentBytes: ExtentBytesMin}); err != nil {
			t.Fatal(err)
		}
		if err := d.Read(t.Context(), at, Identity{}, make([]byte, 1), 0); !errors.Is(err, ErrGone) {
			t.Errorf("seed %d: a read of what was given back: %v", seed, err)
		}
		_ = d.Close()
	}
}
