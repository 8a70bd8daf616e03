package objects

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
)

// TestASnapshotHoldsBackTheSweepForABoundedTime: what it names reads back, although it was
// deleted since; and once it was closed or has expired, the space comes back.
func TestASnapshotHoldsBackTheSweepForABoundedTime(t *testing.T) {
	h := hosttest.New(51)
	o := durableOptions(h)
	o.ExtentBytes = 1 << 20
	o.DriveTimeout = time.Hour
	o.SweepPause, o.RepairPause = 1000*time.Hour, 1000*time.Hour
	o.SnapshotKept = 30 * time.Minute
	o.StageKept = time.Minute
	s := openDurable(t, o)
	defer mustClose(t, s)
	clock := hosttest.ClockOf(h)
	sweep := func() SweepReport {
		t.Helper()
		clock.Advance(2 * o.StageKept)
		done := make(chan SweepReport)
		go func() {
			r, err := s.Sweep(context.Background())
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		for {
			select {
			case r := <-done:
				return r
			case <-time.After(time.Millisecond):
				clock.Advance(5 * time.Second)
			}
		}
	}
	for _, end := range []string{"closed", "expired"} {
		key := keep(t, s, 300_000, 1)
		for seed := range uint64(12) { // so that extents are sealed
			forget(t, s, keep(t, s, 700_000, seed))
		}
		snap, err := s.Index().Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		forget(t, s, key)
		if r := sweep(); r.Extents > 0 || r.Dead == 0 {
			t.Errorf("%s: a sweep beside the snapshot: %+v", end, r)
		}
		item, err := snap.Get(context.Background(), []byte(key))
		if err != nil {
			t.Fatalf("%s: %v", end, err)
		}
		blobs, _, err := DecodeValue(item.Value)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 300_000)
		if _, err := s.OpenBlob(blobs[0]).ReadAt(context.Background(), p, 0); err != nil || !bytes.Equal(p, body(300_000, 1)) {
			t.Errorf("%s: what the snapshot names: %v", end, err)
		}
		if end == "closed" {
			if err := snap.Close(); err != nil {
				t.Error(err)
			}
		} else {
			clock.Advance(o.SnapshotKept)
			await(t, func() bool {
				_, err := snap.Get(context.Background(), []byte(key))
				return errors.Is(err, index.ErrSnapshotExpired)
			})
		}
		if r := sweep(); r.Extents == 0 {
			t.Errorf("%s: a sweep after the snapshot: %+v", end, r)
		}
	}
}
