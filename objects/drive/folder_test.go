package drive_test

import (
	"errors"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

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

// A folder that was emptied while its drive's root record was being replaced holds that
// and nothing else: it is as good as empty, and the next drive there never sees it.
func TestARootRecordLeftAloneIsNoDriveAndNobodyElses(t *testing.T) {
	for _, left := range []string{"root", "root.new"} {
		h, d := fresh(t, small)
		must(t, d.SetRoot(t.Context(), drive.Root{Version: 7, Data: []byte("of a drive that is no more")}))
		must(t, d.Close())
		must(t, h.FS.Remove(dir+"/header"))
		must(t, h.FS.Rename(dir+"/root", dir+"/"+left))
		if _, err := drive.Identify(h, dir); !errors.Is(err, drive.ErrNotFormatted) {
			t.Fatalf("%s alone: %v", left, err)
		}
		next := header()
		next.Drive[0] ^= 1
		must(t, drive.Format(h, dir, next))
		d = reopen(t, h, small)
		if r := d.Root(); r.Version != 0 || d.RootErr() != nil {
			t.Errorf("%s: the new drive has root record %d, %v", left, r.Version, d.RootErr())
		}
		must(t, d.Close())
	}
	h := hosttest.New(1)
	must(t, h.FS.MkdirAll(dir, 0o755))
	f, err := h.FS.Create(dir+"/root", host.Category)
	must(t, err)
	_, err = f.Write([]byte("somebody's letters"))
	must(t, err)
	must(t, f.Close())
	if _, err := drive.Identify(h, dir); !errors.Is(err, drive.ErrForeign) {
		t.Errorf("another's file of that name: %v", err)
	}
}

// A new drive never has its predecessor's root record beside it, wherever the power is cut.
func TestAFolderFormattedAnewForgetsTheRootRecordAtAnyPowerCut(t *testing.T) {
	next := header()
	next.Drive[0] ^= 1
	workload := func(h *host.Host) {
		if drive.Format(h, dir, header()) != nil {
			return
		}
		d, err := drive.Open(h, dir, small)
		if err != nil {
			return
		}
		err = d.SetRoot(t.Context(), drive.Root{Version: 7, Data: []byte("of a drive that is no more")})
		if errors.Join(err, d.Close(), h.FS.Remove(dir+"/header")) != nil {
			return
		}
		_ = drive.Format(h, dir, next)
	}
	check := func(h *host.Host) {
		if hd, err := drive.Identify(h, dir); err != nil || hd.Drive != next.Drive {
			return
		}
		d := reopen(t, h, small)
		if r := d.Root(); r.Version != 0 || d.RootErr() != nil {
			t.Errorf("the new drive has root record %d, %v", r.Version, d.RootErr())
		}
		must(t, d.Close())
	}
	for seed := range int64(20) {
		hosttest.EveryCrash(t, seed, workload, check)
	}
}
