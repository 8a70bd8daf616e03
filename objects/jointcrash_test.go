package objects_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

const jointPuts = 6

// openJoint opens a store in which every small object shares a stripe from the start.
func openJoint(t testing.TB, h *host.Host) *objects.Store {
	t.Helper()
	s, err := objects.Open(context.Background(), objects.Options{
		Host: h, Drives: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, AutoFormat: true, DriveTimeout: 9999 * time.Hour,
		ExtentBytes: 4 << 20, CacheBytes: 1 << 20, RepairPause: 9999 * time.Hour, SweepPause: 9999 * time.Hour, JointLeast: 1,
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func jointBody(round, i int) string {
	return patterned(200+30*i, fmt.Sprintf("round %d of %d. ", round, i))
}

// putJoint puts several objects at once, and tells which were acknowledged.
func putJoint(s *objects.Store, round int) (failed [jointPuts]error) {
	var puts sync.WaitGroup
	for i := range jointPuts {
		puts.Go(func() {
			body := jointBody(round, i)
			_, failed[i] = s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: fmt.Sprint(i), Body: strings.NewReader(body), Bytes: int64(len(body))})
		})
	}
	puts.Wait()
	return failed
}

// seesJoint demands that each object is there whole: as it was put last where that was
// acknowledged, else so or as it was before.
func seesJoint(t testing.TB, s *objects.Store, failed [jointPuts]error) {
	t.Helper()
	for i := range jointPuts {
		_, body, err := objectstest.ReadAll(context.Background(), s, "lake", fmt.Sprint(i))
		if now := string(body); err != nil || now != jointBody(2, i) && (failed[i] == nil || now != jointBody(1, i)) {
			t.Errorf("object %d (%v) reads as %d bytes, %v", i, failed[i], len(body), err)
		}
	}
}

// soundJoint compares index and drives both ways.
func soundJoint(t testing.TB, h *host.Host) {
	t.Helper()
	r, err := objects.Check(context.Background(), objects.CheckOptions{Host: h, Drives: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, Scratch: "scratch"})
	if c := r.Index; err != nil || c.Dangling+c.Lost+c.Degraded+c.Undecodable > 0 {
		t.Errorf("%+v, %v, refused: %v", c, err, r.Refused)
	}
}

// cutJoint cuts the power after n operations of the puts, and reports whether it met
// the cut.
func cutJoint(t testing.TB, base *host.Host, n, seed int64) bool {
	h := hosttest.Reboot(base, 100+n)
	s := openJoint(t, h)
	stop := objects.Hurrying(h, 50*time.Millisecond)
	hosttest.DiskOf(h).CutAfter(n)
	failed := putJoint(s, 2)
	cut := hosttest.DiskOf(h).Cut()
	after := hosttest.Reboot(h, n+seed*1_000_003)
	_ = s.Close()
	stop()
	soundJoint(t, hosttest.Reboot(after, n))
	s = openJoint(t, after)
	seesJoint(t, s, failed)
	if r, err := s.Repair(context.Background(), objects.RepairOptions{Verify: true}); err != nil || r.Damaged > 0 {
		t.Errorf("damaged: %+v, %v", r, err)
	}
	for i, err := range putJoint(s, 2) {
		if err != nil {
			t.Errorf("put %d again: %v", i, err)
		}
	}
	seesJoint(t, s, [jointPuts]error{})
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if t.Failed() {
		t.Logf("power cut after %d operations, seed %d", n, seed)
	}
	return cut
}

// Whichever of the transactions are there after a power cut, the stripe that they
// name is, and is whole.
func TestPutsThatShareAStripeSurviveAPowerCutOneByOne(t *testing.T) {
	base := hosttest.New(1)
	s := openJoint(t, base)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	for i, err := range putJoint(s, 1) {
		if err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for seed := range int64(rounds(1, 20)) {
		n := int64(0)
		for cutJoint(t, base, n, seed) && !t.Failed() {
			n++
		}
		t.Logf("seed %d: power cut at each of %d operations", seed, n)
	}
}
