package objects_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
)

// upkeep is work that nobody may see, whatever cuts it off.
type upkeep struct {
	name    string
	prepare func(t testing.TB, s *objects.Store)
	act     func(s *objects.Store) error
}

func prepareSmall(t testing.TB, s *objects.Store) {
	for i := range 4 {
		mustPut(t, s, fmt.Sprintf("middling/%d", i), patterned(9_000+i, "middling. "))
	}
	for i := range 20 {
		mustPut(t, s, fmt.Sprintf("small/%02d", i), patterned(300+20*i, "small one. "))
	}
	mustPut(t, s, "inline", "inline")
	mustPut(t, s, "large", patterned(20_000, "a large one. "))
	u := begin(t, s)
	if _, err := finish(s, u, addPart(t, s, u, 1, patterned(30_000, "part one. ")), addPart(t, s, u, 2, patterned(400, "part two. "))); err != nil {
		t.Fatal(err)
	}
}

func prepareSparse(t testing.TB, s *objects.Store) {
	prepareSmall(t, s)
	if r, err := s.Pack(context.Background()); err != nil || r.Blobs < 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i := range 4 {
		if i != 1 {
			mustPut(t, s, fmt.Sprintf("middling/%d", i), "short now")
		}
	}
	for i := range 15 {
		if _, err := s.Delete(context.Background(), objects.DeleteRequest{Bucket: "lake", Key: fmt.Sprintf("small/%02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, "large", patterned(20_000, "another large one. "))
}

func actPack(s *objects.Store) error {
	_, err := s.Pack(context.Background())
	return err
}

func actReclaim(s *objects.Store) error {
	ctx := context.Background()
	if _, err := s.Reclaim(ctx); err != nil {
		return err
	}
	if _, err := s.Pack(ctx); err != nil {
		return err
	}
	_, err := s.Sweep(ctx)
	return err
}

var upkeeps = []upkeep{
	{"pack", prepareSmall, actPack},
	{"pack and sweep", prepareSmall, func(s *objects.Store) error {
		if err := actPack(s); err != nil {
			return err
		}
		_, err := s.Sweep(context.Background())
		return err
	}},
	{"reclaim, pack again, sweep", prepareSparse, actReclaim},
}

// openPatient opens a store whose drives are never late.
func openPatient(t testing.TB, h *host.Host) *objects.Store {
	t.Helper()
	s, err := objects.Open(context.Background(), objects.Options{
		Host: h, Drives: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, AutoFormat: true, DriveTimeout: 9999 * time.Hour,
		ExtentBytes: 4 << 20, CacheBytes: 1 << 20, PartBytesMin: partMin, RepairPause: 9999 * time.Hour, SweepPause: 9999 * time.Hour,
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// prepareUpkeep gives a disk on which there is work, and what is seen of it.
func prepareUpkeep(t testing.TB, u upkeep) (*host.Host, string) {
	h := hosttest.New(1)
	s := openOn(t, h)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	u.prepare(t, s)
	seen := picture(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return h, seen
}

// cutUpkeep cuts the power after n operations of the work, and reports whether it
// met the cut. Begun again, the work is done.
func cutUpkeep(t testing.TB, u upkeep, base *host.Host, seen string, n, seed int64) bool {
	h := hosttest.Reboot(base, 100+n)
	s := openPatient(t, h)
	stop := objects.Hurrying(h, 50*time.Millisecond)
	hosttest.DiskOf(h).CutAfter(n)
	err := u.act(s)
	cut := hosttest.DiskOf(h).Cut()
	after := hosttest.Reboot(h, n+seed*1_000_003)
	_ = s.Close()
	stop()
	if err != nil && !cut {
		t.Errorf("nothing was cut off: %v", err)
	}
	s = openPatient(t, after)
	if got := picture(t, s); got != seen {
		t.Errorf("cut after %d operations, seed %d (%v):\n%s\nbefore\n%s", n, seed, err, got, seen)
	}
	if err := u.act(s); err != nil {
		t.Errorf("cut after %d operations, seed %d: begun again: %v", n, seed, err)
	}
	if got := picture(t, s); got != seen {
		t.Errorf("cut after %d operations, seed %d, begun again:\n%s\nbefore\n%s", n, seed, got, seen)
	}
	if r, err := s.Repair(context.Background(), objects.RepairOptions{Verify: true}); err != nil || r.Damaged > 0 {
		t.Errorf("cut after %d operations, seed %d: damaged: %+v, %v", n, seed, r, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return cut
}

func TestNobodySeesUpkeepThatThePowerCutMeets(t *testing.T) {
	for _, u := range upkeeps {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			base, seen := prepareUpkeep(t, u)
			stride := int64(rounds(4, 1))
			for seed := range int64(rounds(1, 20)) {
				n := int64(0)
				for cutUpkeep(t, u, base, seen, n, seed) && !t.Failed() {
					n += stride
				}
				t.Logf("seed %d: power cut at %d of %d operations", seed, n/stride, n)
			}
		})
	}
}
