package objects

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/placement"
)

// spacious are options of a store whose drives are not slow on a busy machine.
func spacious(seed int64) Options {
	o := durableOptions(hosttest.New(seed))
	o.DriveTimeout = time.Hour
	o.RepairPause, o.SweepPause = 9999*time.Hour, 9999*time.Hour
	o.BalancePause = 9999 * time.Hour
	return o
}

// drained moves all off the drives that drain.
func drained(t testing.TB, s *Store) {
	t.Helper()
	if !s.drainAll(context.Background()) {
		t.Fatalf("not drained: %+v, %+v", s.Moves(), s.Drives())
	}
}

func addSeven(t testing.TB, s *Store, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		d, err := s.AddDrive(context.Background(), fmt.Sprintf("drive-%d", n), Labels{})
		if err != nil || d.Number != uint16(n) || d.State != DriveWell {
			t.Fatalf("%+v, %v", d, err)
		}
	}
}

func TestADriveIsDrainedAndRemovedWhileTheStoreServes(t *testing.T) {
	o := spacious(41)
	s := openDurable(t, o)
	keys := keepSome(t, s)
	if _, err := s.DrainDrive(context.Background(), 2); !errors.Is(err, ErrDriveNeeded) {
		t.Fatalf("one of six drained: %v", err)
	}
	addSeven(t, s, 7, 7)
	for range 7 {
		victim := s.drives.list()[0].number
		if err := s.RemoveDrive(context.Background(), victim, false); !errors.Is(err, ErrDriveNeeded) {
			t.Fatalf("drive %d removed undrained: %v", victim, err)
		}
		d, err := s.DrainDrive(context.Background(), victim)
		if err != nil || d.State != DriveDraining || !d.Draining {
			t.Fatalf("%+v, %v", d, err)
		}
		if err := s.RemoveDrive(context.Background(), victim, false); len(keys) > 0 && !errors.Is(err, ErrDriveNeeded) {
			t.Fatalf("drive %d removed with shards on it: %v", victim, err)
		}
		keys = append(keys, keep(t, s, 200_000+int(victim), 3))
		drained(t, s)
		d = s.statusOf(s.drives.find(victim))
		if !d.Drain.Done || d.Journal || d.View {
			t.Fatalf("%+v", d)
		}
		if err := s.RemoveDrive(context.Background(), victim, false); err != nil {
			t.Fatal(err)
		}
		allReadBack(t, s, keys)
		next := s.roots.get().next
		addSeven(t, s, int(next), int(next))
	}
	wholeAgain(t, s)
	mustClose(t, s)
	o.AutoFormat = false
	s = openDurable(t, o) // its drives are known by the root record
	allReadBack(t, s, keys)
	for _, d := range s.Drives() {
		if d.Number > 6 && d.State != DriveWell || d.Number <= 6 && d.Number > 0 && d.State != DriveRetired {
			t.Errorf("%+v", d)
		}
	}
	wholeAgain(t, s)
	mustClose(t, s)
}

func TestADrainGoesOnAfterARestartAndCanBeCalledOff(t *testing.T) {
	o := spacious(42)
	s := openDurable(t, o)
	addSeven(t, s, 7, 7)
	keys := keepSome(t, s)
	if _, err := s.DrainDrive(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = openDurable(t, o)
	if d := s.statusOf(s.drives.find(3)); d.State != DriveDraining {
		t.Fatalf("%+v", d)
	}
	drained(t, s)
	allReadBack(t, s, keys)
	if d, err := s.KeepDrive(context.Background(), 3); err != nil || d.State != DriveWell || d.Draining {
		t.Fatalf("%+v, %v", d, err)
	}
	mustClose(t, s)
	s = openDurable(t, o)
	if d := s.statusOf(s.drives.find(3)); d.State != DriveWell {
		t.Fatalf("%+v", d)
	}
	wholeAgain(t, s)
	mustClose(t, s)
}

// From six drives to twelve: the new ones take their share, and stripes keep to groups.
func TestABalanceFillsDrivesThatWereAdded(t *testing.T) {
	o := spacious(43)
	s := openDurable(t, o)
	defer func() { mustClose(t, s) }()
	var keys []string
	for seed := range uint64(60) {
		keys = append(keys, keep(t, s, 300_000, seed))
	}
	addSeven(t, s, 7, 12)
	held, err := s.Holdings(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b := s.newBalancing(held, 1<<10)
	if b == nil || !b.uneven(1) {
		t.Fatalf("%+v is even", held)
	}
	if err := s.move(context.Background(), "balance", s.relocation("balance", b.want)); err != nil {
		t.Fatal(err)
	}
	allReadBack(t, s, keys)
	if held, err = s.Holdings(context.Background()); err != nil {
		t.Fatal(err)
	}
	if b := s.newBalancing(held, 64<<10); b.uneven(1) {
		t.Errorf("still uneven: %+v", held)
	}
	groups := s.roots.get().groups
	for _, key := range keys {
		for _, st := range stripesOf(t, s, key) {
			within := slices.ContainsFunc(groups, func(g placement.Group) bool {
				return !slices.ContainsFunc(st.Shards, func(sh Shard) bool { return !slices.Contains(g, sh.Drive) })
			})
			if !within {
				t.Errorf("%s lies on drives of several groups: %+v", key, st.Shards)
			}
		}
	}
	wholeAgain(t, s)
}

// A balance that was asked for does not wait for a quarter of a gibibyte; where all is even it
// says so, and begins nothing.
func TestABalanceThatIsAskedForBeginsAtLess(t *testing.T) {
	o := spacious(44)
	o.balanceLeast = 64 << 10
	s := openDurable(t, o)
	defer func() { mustClose(t, s) }()
	ctx := context.Background()
	if begun, err := s.BalanceNow(ctx); begun || err != nil {
		t.Errorf("one group: %v, %v", begun, err)
	}
	var keys []string
	for seed := range uint64(30) {
		keys = append(keys, keep(t, s, 300_000, seed))
	}
	addSeven(t, s, 7, 12)
	s.balance(ctx)
	if s.Moves().Report.Healed > 0 {
		t.Fatal("it moved so little by itself")
	}
	if begun, err := s.BalanceNow(ctx); !begun || err != nil {
		t.Fatalf("twelve drives, six of them empty: %v, %v", begun, err)
	}
	s.balance(ctx) // as the loop does, which may have been first
	await(t, func() bool { m := s.Moves(); return m.Kind == "balance" && !m.Running })
	if begun, err := s.BalanceNow(ctx); begun || err != nil {
		t.Errorf("after it: %v, %v", begun, err)
	}
	allReadBack(t, s, keys)
}

// The power is cut at operations all over an add, a drain, a removal and a balance:
// what was acknowledged is there, the layout is the one before or after each step, and
// all can be gone on with.
func TestAChangeOfTheLayoutThatThePowerCutMeetsIsGoneOnWith(t *testing.T) {
	var acknowledged []string
	var removed bool
	workload := func(h *host.Host) {
		acknowledged, removed = nil, false
		o := durableOptions(h)
		o.SweepPause, o.RepairPause, o.BalancePause, o.DriveTimeout = 9999*time.Hour, 9999*time.Hour, 9999*time.Hour, time.Hour
		s, err := Open(context.Background(), o)
		if err != nil {
			return
		}
		defer s.Close()
		put := func(n int, seed uint64) bool {
			b, err := s.WriteBlob(context.Background(), strings.NewReader(string(body(n, seed))), int64(n))
			if err != nil {
				return false
			}
			key := fmt.Sprintf("%d/%d", n, seed)
			if commit(context.Background(), s, key, b) != nil {
				return false
			}
			acknowledged = append(acknowledged, key)
			return true
		}
		for seed := range uint64(3) {
			if !put(5000, seed) || !put(200_000, seed) {
				return
			}
		}
		if _, err := s.AddDrive(context.Background(), "drive-7", Labels{Zone: "b"}); err != nil || !put(200_001, 1) {
			return
		}
		if _, err := s.DrainDrive(context.Background(), 2); err != nil || !put(200_002, 1) {
			return
		}
		if !s.drainAll(context.Background()) || s.RemoveDrive(context.Background(), 2, false) != nil {
			return
		}
		removed = true
		put(200_003, 1)
	}
	check := func(h *host.Host) {
		o := durableOptions(h)
		o.SweepPause, o.RepairPause, o.BalancePause, o.DriveTimeout = 9999*time.Hour, 9999*time.Hour, 9999*time.Hour, time.Hour
		s := openDurable(t, o)
		defer mustClose(t, s)
		allReadBack(t, s, acknowledged)
		if removed && s.drives.find(2) != nil {
			t.Error("drive 2 was removed, and is there")
		}
		if s.drives.find(7) == nil {
			if _, err := s.AddDrive(context.Background(), "drive-7", Labels{}); err != nil {
				t.Errorf("the add cannot be gone on with: %v", err)
				return
			}
		}
		if s.drives.find(2) != nil {
			if _, err := s.DrainDrive(context.Background(), 2); err != nil {
				t.Errorf("the drain cannot be gone on with: %v", err)
				return
			}
			if !s.drainAll(context.Background()) {
				t.Errorf("not drained: %+v", s.Moves())
				return
			}
			if err := s.RemoveDrive(context.Background(), 2, false); err != nil {
				t.Errorf("the removal cannot be gone on with: %v", err)
			}
		}
		allReadBack(t, s, acknowledged)
		wholeAgain(t, s)
	}
	points := 40
	if os.Getenv("TARN_SOAK") != "" {
		points = 5000
	}
	hosttest.SomeCrashes(t, 71, points, workload, check)
}

// A missing drive whose shards are elsewhere is removed; one whose shards are not, by
// force only, and only where every stripe keeps k others.
func TestForceRemovesADriveButLosesNothing(t *testing.T) {
	o := spacious(46)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	addSeven(t, s, 7, 8)
	keys := keepEverywhere(t, s)
	mustClose(t, s)
	for _, folder := range []string{"drive-1", "drive-2"} {
		hosttest.DiskOf(o.Host).Wipe(folder)
	}
	o.Still = true // a repair at open would move all off drive 1
	s = openDurable(t, o)
	defer func() { mustClose(t, s) }()
	if err := s.RemoveDrive(context.Background(), 1, false); !errors.Is(err, ErrDriveNeeded) {
		t.Errorf("a missing drive that is named: %v", err)
	}
	if err := s.RemoveDrive(context.Background(), 1, true); err != nil {
		t.Errorf("by force: %v", err)
	}
	allReadBack(t, s, keys)
	for _, n := range []uint16{3, 4, 6} { // three drives are left, and drive 5 is one of them
		s.drives.find(n).set(DriveMissing, "pulled out")
	}
	if err := s.spared(context.Background(), 5); !errors.Is(err, ErrDriveNeeded) {
		t.Errorf("a drive that stripes need, by force: %v", err)
	}
	for _, n := range []uint16{3, 4, 6} {
		s.drives.find(n).set(DriveWell, "")
	}
	if _, err := s.Repair(context.Background(), RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	allReadBack(t, s, keys)
	if err := s.RemoveDrive(context.Background(), 2, false); err != nil {
		t.Errorf("a missing drive whose shards are elsewhere: %v", err)
	}
	wholeAgain(t, s)
}

func TestLabelsKeepShardsApart(t *testing.T) {
	o := spacious(47)
	for i := range 6 {
		o.Labels = append(o.Labels, Labels{Zone: string(rune('a' + i/2))})
	}
	s := openDurable(t, o)
	report := s.Health().Placement
	if d := report.Domains[placement.Zone]; d.Count != 3 || d.Tolerated != 1 {
		t.Errorf("three zones of two drives at 4+2: %+v", report)
	}
	mustClose(t, s)
	o.Labels = nil
	s = openDurable(t, o) // they are kept
	if l := s.Drives()[5].Labels; l.Zone != "c" {
		t.Errorf("%+v", l)
	}
	for n := range uint16(6) {
		if _, err := s.LabelDrive(context.Background(), n+1, Labels{Zone: string(rune('a' + n/3))}); err != nil {
			t.Fatal(err)
		}
	}
	warned := slices.ContainsFunc(s.Health().Warnings, func(w string) bool { return strings.Contains(w, "2 zones, too few failure domains") })
	if !warned {
		t.Errorf("two zones at 4+2, and the warnings are %q", s.Health().Warnings)
	}
	if _, err := s.LabelDrive(context.Background(), 1, Labels{Zone: "a b"}); err == nil {
		t.Error("a label with a space")
	}
	mustClose(t, s)
}

// Near the end of the space users' writes are refused while a reserve is left, in
// which deletes, checkpoints and repair go on; there are writes again with space.
func TestAReserveIsKeptForDeletesAndRepair(t *testing.T) {
	o := spacious(48)
	s := openDurable(t, o)
	defer func() { mustClose(t, s) }()
	for _, folder := range sixFolders {
		hosttest.DiskOf(o.Host).SetCapacity(folder, 64<<20)
	}
	s.probe(context.Background())
	keys := keepSome(t, s)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		var b Blob
		if b, err = s.WriteBlob(context.Background(), strings.NewReader(string(body(1<<20, uint64(i)))), 1<<20); err == nil {
			err = commit(context.Background(), s, fmt.Sprintf("%d/%d", 1<<20, i), b)
			keys = append(keys, fmt.Sprintf("%d/%d", 1<<20, i))
		}
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), " at drive-") || !strings.Contains(err.Error(), "free of 64 MiB") {
		t.Fatalf("full drives: %v", err)
	}
	s.probe(context.Background())
	full := 0
	for _, d := range s.Drives() {
		if d.State == DriveFull && d.BytesFree > 0 && d.Reason != "" {
			full++
		}
	}
	if full < 2 {
		t.Errorf("writes are refused with %d full drives: %+v", full, s.Drives())
	}
	allReadBack(t, s, keys)
	if err := s.idx.(*index.Local).Checkpoint(context.Background()); err != nil {
		t.Errorf("a checkpoint: %v", err)
	}
	for i, key := range keys {
		if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: []byte(key)}}}); err != nil {
			t.Fatalf("delete %d of %d: %v", i, len(keys), err)
		}
	}
	for _, folder := range sixFolders {
		hosttest.DiskOf(o.Host).SetCapacity(folder, 256<<20)
	}
	s.probe(context.Background())
	if ok, reason := s.Writable(); !ok {
		t.Errorf("with space again: %s", reason)
	}
	keptReadsBack(t, s, keep(t, s, 300_000, 99))
}

// What was written before a drive left, and is committed after, lacks a shard. That is
// known at once, and repaired.
func TestALateCommitThatNamesADriveThatLeftIsRepaired(t *testing.T) {
	s := openDurable(t, spacious(49))
	defer func() { mustClose(t, s) }()
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	want := body(300_000, 1)
	staged, err := s.Stage(context.Background(), PutRequest{Bucket: "lake", Key: "late", Body: strings.NewReader(string(want)), Bytes: int64(len(want))})
	if err != nil {
		t.Fatal(err)
	}
	addSeven(t, s, 7, 7)
	if _, err := s.DrainDrive(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	drained(t, s)
	if err := s.RemoveDrive(context.Background(), 1, false); err != nil {
		t.Fatal(err)
	}
	tx := s.Begin()
	if err := tx.PutObject(context.Background(), staged, Conditions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	// The store may be repairing it by itself already; only what is queued is looked at.
	if report, err := s.Repair(context.Background(), RepairOptions{trusting: true, queued: true}); err != nil || report.Unrepairable > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if r, err := s.Redundancy(context.Background()); err != nil || r.Lost > 0 || r.Spare[0] > 0 || r.Spare[1] > 0 {
		t.Errorf("a shard is still missing: %+v, %v", r, err)
	}
}
