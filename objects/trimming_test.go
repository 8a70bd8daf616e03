package objects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
)

// TestTheJournalStaysShortWhileItServes: writers go on while checkpoints are taken by
// themselves, the journal is trimmed, its drives fail one after the other, and the
// view's drive is unplugged. What a new epoch copies while appends wait is what came
// since the last checkpoint, not the history.
func TestTheJournalStaysShortWhileItServes(t *testing.T) {
	h := hosttest.New(61)
	o := durableOptions(h)
	o.ExtentBytes, o.CheckpointBytes, o.watchKept = 1<<20, 64<<10, 16<<10
	o.DriveTimeout = time.Hour // a busy machine is not a slow drive
	o.SweepPause = 1000 * time.Hour
	var checkpoints atomic.Int64
	o.Events.Checkpoint = func(_ uint64, err error) {
		if err == nil {
			checkpoints.Add(1)
		}
	}
	s := openDurable(t, o)
	stop := timePasses(h)
	var writers sync.WaitGroup
	var written atomic.Int64
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Appendf(nil, "w%d/%d", w, n%50)
				value := EncodeValue(nil, fmt.Appendf(nil, "%0*d", 500, n))
				_, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: value}}})
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				written.Add(int64(len(value)))
			}
		})
	}
	longest := int64(0)
	for round := range 4 {
		before := written.Load()
		await(t, func() bool {
			longest = max(longest, s.journal.Bytes())
			return t.Failed() || written.Load() > before+200<<10
		})
		victim := viewDrive(t, s)
		if _, drives, _ := s.journal.Epoch(); round%2 == 1 && len(drives) > 0 {
			victim = int(drives[0]) - 1
		}
		hosttest.DiskOf(h).Fail(sixFolders[victim], errors.New("unplugged"))
		before = written.Load()
		await(t, func() bool { return t.Failed() || written.Load() > before+50<<10 })
		hosttest.DiskOf(h).Fail(sixFolders[victim], nil)
		await(t, func() bool {
			for _, d := range s.Drives() {
				if d.State != DriveWell {
					return t.Failed()
				}
			}
			return true
		})
	}
	close(done)
	writers.Wait()
	byThemselves := checkpoints.Load()
	mustCheckpoint(t, s)
	if kept := s.journal.Bytes(); kept > 4*o.watchKept || byThemselves == 0 {
		t.Errorf("of %d bytes the journal keeps %d after %d checkpoints", written.Load(), kept, byThemselves)
	}
	t.Logf("%d bytes written, %d checkpoints, at most %d bytes kept while it served", written.Load(), byThemselves, longest)
	mustClose(t, s)
	dropViews(t, h)
	s = openDurable(t, o)
	for w := range 4 {
		n := 0
		for _, err := range s.idx.Scan(context.Background(), fmt.Appendf(nil, "w%d/", w), fmt.Appendf(nil, "w%d0", w), index.ScanOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 50 {
			t.Errorf("writer %d has %d keys", w, n)
		}
	}
	mustClose(t, s)
	stop()
}
