package drive

import (
	"context"
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
