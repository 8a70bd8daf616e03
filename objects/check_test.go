package objects

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

func checkAll(t testing.TB, h *host.Host, drives ...string) CheckReport {
	t.Helper()
	if len(drives) == 0 {
		drives = sixFolders
	}
	r, err := Check(context.Background(), CheckOptions{Host: h, Drives: drives, Scratch: "scratch"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.FS.RemoveAll("scratch"); err != nil {
		t.Fatal(err)
	}
	return r
}

// closedStore is a store with objects of all kinds, some packed, that nobody has open;
// and where one stripe of several shards lies.
func closedStore(t testing.TB, seed int64, then func(s *Store)) (*host.Host, Stripe) {
	t.Helper()
	h := hosttest.New(seed)
	o := quietOptions(h)
	s := openDurable(t, o)
	keys := keepSome(t, s)
	st := stripesIn(t, s, keys[3])[0]
	if then != nil {
		then(s)
	}
	mustClose(t, s)
	return h, st
}

func TestACheckOfASoundStoreFindsNothingAndWritesNothing(t *testing.T) {
	h, _ := closedStore(t, 61, func(s *Store) {
		mustWrite(t, s, body(300_000, 77)) // garbage: nobody names it
	})
	disk := hosttest.DiskOf(h)
	disk.SetFault(func(op hosttest.Op) error {
		if op.Kind.Changes() && strings.HasPrefix(op.Path, "drive-") && !strings.HasSuffix(op.Path, "/lock") {
			t.Errorf("a check writes: %v %s", op.Kind, op.Path)
		}
		return nil
	})
	r := checkAll(t, h)
	if !r.Sound() || r.Index.Values == 0 || r.Index.Stripes == 0 {
		t.Fatalf("%+v", r)
	}
	orphans, shards := int64(0), int64(0)
	for _, d := range r.Drives {
		orphans, shards = orphans+d.Found.Orphans, shards+d.Found.Shards
	}
	if orphans != 6 || shards == 0 {
		t.Errorf("%d superfluous shards, want the 6 of one stripe; %d shards", orphans, shards)
	}
	disk.SetFault(nil)
	s := openDurable(t, quietOptions(h))
	mustClose(t, s)
}

func TestACheckFindsWhatIsRottenMissingAndOld(t *testing.T) {
	h, st := closedStore(t, 62, nil)
	r := rand.New(rand.NewPCG(62, 1))
	s := openDurable(t, quietOptions(h))
	rotShard(h, s, &st, 0, r)
	mustClose(t, s)
	report := checkAll(t, h)
	d := at(t, &report, st.Shards[0].Drive)
	if d.Lacking != 1 || d.Sound() || report.Index.Degraded != 1 || report.Index.Lost != 0 {
		t.Fatalf("one shard is rotten: %+v, %+v", d, report.Index)
	}
	for _, sh := range st.Shards[1:4] {
		path := fmt.Sprintf("%s/extents/%08d.extent", at(t, &report, sh.Drive).Path, sh.Address.Extent)
		if err := h.FS.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	report = checkAll(t, h)
	if report.Refused != nil || report.Index.Lost == 0 || at(t, &report, st.Shards[1].Drive).Lacking == 0 || report.Sound() {
		t.Fatalf("four shards are gone: %+v, %v", report.Index, report.Refused)
	}
}

// A drive that was away has an older root record, and lacks what was written meanwhile.
func TestACheckTellsADriveThatWasAway(t *testing.T) {
	h, _ := closedStore(t, 63, nil)
	if err := h.FS.Rename("drive-3", "away"); err != nil {
		t.Fatal(err)
	}
	o := quietOptions(h)
	o.AutoFormat = false
	s := openDurable(t, o)
	keep(t, s, 300_000, 99)
	mustClose(t, s)
	if err := h.FS.RemoveAll("drive-3"); err != nil {
		t.Fatal(err)
	}
	if r := checkAll(t, h, "drive-1", "drive-2", "drive-4", "drive-5", "drive-6"); len(r.Missing) != 1 || r.Refused != nil || r.Sound() {
		t.Fatalf("one drive is not given: %+v", r)
	}
	if err := h.FS.Rename("away", "drive-3"); err != nil {
		t.Fatal(err)
	}
	r := checkAll(t, h)
	for i := range r.Drives {
		if d := &r.Drives[i]; d.Outdated != strings.HasSuffix(d.Path, "3") {
			t.Errorf("%+v", d)
		}
	}
	if r.Refused != nil || r.Index.Degraded == 0 || r.Index.Lost > 0 {
		t.Errorf("%+v, %v", r.Index, r.Refused)
	}
}

func TestACheckLeavesDrivesInUseAlone(t *testing.T) {
	h := hosttest.New(64)
	s := openDurable(t, quietOptions(h))
	defer mustClose(t, s)
	if _, err := Check(context.Background(), CheckOptions{Host: h, Drives: sixFolders, Scratch: "scratch"}); !errors.Is(err, drive.ErrLocked) {
		t.Errorf("a store that serves: %v", err)
	}
}

func at(t testing.TB, r *CheckReport, number uint16) *DriveCheck {
	t.Helper()
	for i := range r.Drives {
		if r.Drives[i].Number == number {
			return &r.Drives[i]
		}
	}
	t.Fatalf("no drive %d in %+v", number, r)
	return nil
}

// What somebody left in a drive's folder is told, and is no damage.
func TestACheckTellsWhatIsNotTheStores(t *testing.T) {
	h, _ := closedStore(t, 67, nil)
	for _, name := range []string{"drive-2/notes.txt", "drive-2/extents/00000001.extent.bak"} {
		f, err := h.FS.Create(name, host.Category)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"drive-2/photos", "drive-2/lost+found"} {
		if err := h.FS.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := checkAll(t, h)
	for i := range r.Drives {
		want := ""
		if r.Drives[i].Path == "drive-2" {
			want = "extents/00000001.extent.bak notes.txt photos"
		}
		if got := strings.Join(r.Drives[i].Strays, " "); got != want {
			t.Errorf("%s has strays %q, want %q", r.Drives[i].Path, got, want)
		}
	}
	if !r.Sound() {
		t.Errorf("%+v", r)
	}
}

// A folder of a drive that was replaced, and one of another store that has the number of
// a drive of this one, are no drives of the store, whatever lies there.
func TestACheckTellsFoldersThatAreNoDrivesOfTheStore(t *testing.T) {
	h, _ := closedStore(t, 68, nil)
	if err := h.FS.Rename("drive-4", "away"); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, quietOptions(h)) // another takes its place
	wholeAgain(t, s)
	mustClose(t, s)
	other := quietOptions(h)
	other.Drives = []string{"o1", "o2", "o3", "o4", "o5", "o6"}
	mustClose(t, openDurable(t, other))
	r := checkAll(t, h, append([]string{"away", "o1"}, sixFolders...)...)
	if r.Refused != nil || r.Index.Degraded+r.Index.Lost > 0 || r.Sound() {
		t.Fatalf("%+v, %v", r.Index, r.Refused)
	}
	for i := range r.Drives {
		d := &r.Drives[i]
		problems, stray := strings.Join(d.Problems, "; "), i < 2
		if d.Sound() == stray || d.Lacking > 0 || stray && !strings.Contains(problems, []string{"no drive of the store", "belongs to store"}[i]) {
			t.Errorf("%s: %q, %d lacking", d.Path, problems, d.Lacking)
		}
	}
}

// A copy of a drive, as a tool makes it, beside the drive itself: one is the store's.
func TestACheckTellsACopyOfADrive(t *testing.T) {
	h, st := closedStore(t, 69, nil)
	disk := hosttest.DiskOf(h)
	from := sixFolders[st.Shards[0].Drive-1]
	image := disk.Image(from)
	if err := h.FS.MkdirAll("copy", 0o755); err != nil {
		t.Fatal(err)
	}
	disk.Rollback("copy", image)
	if err := h.FS.Remove(fmt.Sprintf("copy/extents/%08d.extent", st.Shards[0].Address.Extent)); err != nil {
		t.Fatal(err)
	}
	r := checkAll(t, h, append(slices.Clone(sixFolders), "copy")...)
	for i := range r.Drives {
		d := &r.Drives[i]
		if stray := d.Path == "copy"; d.Sound() == stray || d.Lacking > 0 {
			t.Errorf("%s: %q, %d lacking", d.Path, d.Problems, d.Lacking)
		}
	}
	if r.Refused != nil || r.Index.Degraded > 0 {
		t.Errorf("%+v, %v", r.Index, r.Refused)
	}
}
