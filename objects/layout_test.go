package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
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
