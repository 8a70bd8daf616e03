package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func TestSnapshotsExpireByTheClock(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.SnapshotMax = time.Minute
	i := indextest.Open(t, o)
	defer closed(t, i)
	mustCommit(t, i, variety(0), variety(4))
	pinned, err := i.Snapshot(background)
	if err != nil {
		t.Fatal(err)
	}
	defer pinned.Close()
	clock := hosttest.ClockOf(s.host)
	clock.Advance(time.Minute - 1)
	if _, err := pinned.Get(background, []byte("k00")); err != nil {
		t.Fatalf("before the bound: %v", err)
	}
	clock.Advance(time.Second)
	for err == nil { // the timer's goroutine may still be on its way
		_, err = pinned.Get(background, []byte("k00"))
	}
	if !errors.Is(err, index.ErrSnapshotExpired) {
		t.Fatalf("after the bound: %v, want ErrSnapshotExpired", err)
	}
	for _, err := range pinned.Scan(background, nil, nil, index.ScanOptions{}) {
		if !errors.Is(err, index.ErrSnapshotExpired) {
			t.Fatalf("scan after the bound: %v, want ErrSnapshotExpired", err)
		}
	}
}

// TestSnapshotsExpireByWhatCameAfterThem, the oldest first.
func TestSnapshotsExpireByWhatCameAfterThem(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.SnapshotBytes = 20 << 10
	i := indextest.Open(t, o)
	defer closed(t, i)
	mustCommit(t, i, variety(0))
	pin := func() index.Snapshot {
		pinned, err := i.Snapshot(background)
		if err != nil {
			t.Fatal(err)
		}
		return pinned
	}
	first := pin()
	defer first.Close()
	for range 15 {
		mustCommit(t, i, variety(4)) // of some 560 bytes
	}
	second := pin()
	defer second.Close()
	for range 15 {
		mustCommit(t, i, variety(4))
	}
	if item, err := first.Get(background, []byte("k00")); err != nil || item.Version != 1 {
		t.Fatalf("before the bound: %+v, %v", item, err)
	}
	for range 15 {
		mustCommit(t, i, variety(4))
	}
	if _, err := first.Get(background, []byte("k00")); !errors.Is(err, index.ErrSnapshotExpired) {
		t.Fatalf("after the bound: %v, want ErrSnapshotExpired", err)
	}
	if _, err := second.Get(background, []byte("k00")); err != nil {
		t.Fatalf("the younger one: %v", err)
	}
}

// TestWatchersSeeTheSameAfterReopenAndRebuild: what took effect does not depend
// on who evaluates it when.
func TestWatchersSeeTheSameAfterReopenAndRebuild(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	for n := range 100 {
		mustCommit(t, i, variety(n))
	}
	want := watched(t, i, "")
	closed(t, i)
	i = s.open(t)
	if got := watched(t, i, ""); got != want {
		t.Fatalf("after reopening\n%s, want\n%s", got, want)
	}
	closed(t, i)
	hosttest.DiskOf(s.host).Wipe("a")
	i = s.open(t)
	defer closed(t, i)
	if got := watched(t, i, ""); got != want {
		t.Fatalf("after a rebuild\n%s, want\n%s", got, want)
	}
}

// TestCheckpointTrimsAndKeepsForWatchers: the log keeps what watchers may ask
// for, whose outcomes the checkpoint carries; older positions are compacted.
func TestCheckpointTrimsAndKeepsForWatchers(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.WatchKeptBytes = 10 << 10
	i := indextest.Open(t, o)
	for n := range 200 {
		mustCommit(t, i, variety(n))
	}
	if err := i.Checkpoint(background); err != nil {
		t.Fatal(err)
	}
	first := s.log.First()
	if first == 1 || s.log.Bytes() < o.WatchKeptBytes || s.log.Bytes() > 3*o.WatchKeptBytes {
		t.Fatalf("the log begins at %d and keeps %d bytes, %d are wanted", first, s.log.Bytes(), o.WatchKeptBytes)
	}
	want := watched(t, i, index.At(0, first-1))
	w, err := i.Watch(background, index.At(0, first-2))
	if err == nil {
		_, err = w.Next(background)
	}
	// What is still in memory may be delivered; once the index starts anew it is not.
	if err != nil && !errors.Is(err, index.ErrCompacted) {
		t.Fatalf("a trimmed position: %v", err)
	}
	closed(t, i)
	hosttest.DiskOf(s.host).Wipe("a")
	i = indextest.Open(t, o)
	defer closed(t, i)
	s.wantWhole(t, i)
	if got := watched(t, i, index.At(0, first-1)); got != want {
		t.Fatalf("after a rebuild watchers see\n%s, want\n%s", got, want)
	}
	w, err = i.Watch(background, index.At(0, first-2))
	if err == nil {
		_, err = w.Next(background)
	}
	if !errors.Is(err, index.ErrCompacted) {
		t.Fatalf("a trimmed position: %v, want ErrCompacted", err)
	}
	if _, err := i.Watch(background, index.At(0, s.log.Last()+1)); !errors.Is(err, index.ErrPosition) {
		t.Fatalf("a position from the future: %v, want ErrPosition", err)
	}
}

func TestRequestIDsSurviveACheckpoint(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	txn := index.Txn{RequestID: index.RequestID{9}, Mutations: []index.Mutation{put("a", "1")}}
	first, err := i.Commit(background, txn)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		mustCommit(t, i, variety(n))
	}
	if err := i.Checkpoint(background); err != nil || s.log.First() <= first.Version {
		t.Fatalf("checkpoint: %v; the log begins at %d", err, s.log.First())
	}
	closed(t, i)
	hosttest.DiskOf(s.host).Wipe("a")
	i = s.open(t)
	defer closed(t, i)
	again, err := i.Commit(background, txn)
	if err != nil || !again.Repeated || again.Version != first.Version {
		t.Fatalf("after a rebuild: %+v, %v; the first was %+v", again, err, first)
	}
}

func TestCheckpointsAreTakenByThemselves(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.CheckpointBytes = 20 << 10
	taken := make(chan error, 100)
	o.Events.Checkpointed = func(_ uint64, err error) { taken <- err }
	i := indextest.Open(t, o)
	defer closed(t, i)
	for n := range 200 {
		mustCommit(t, i, variety(n))
	}
	for range 2 {
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			mustCommit(t, i, variety(n))
		}
	}
	if s.log.First() == 1 {
		t.Fatal("the log was not trimmed")
	}
	s.wantWhole(t, i)
}

// TestLargeViewsAreNotWrittenAgainForLittle: the images written are in proportion to
// the log, however large the view.
func TestLargeViewsAreNotWrittenAgainForLittle(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.CheckpointBytes = 20 << 10
	taken := make(chan error, 1000)
	o.Events.Checkpointed = func(_ uint64, err error) { taken <- err }
	i := indextest.Open(t, o)
	defer closed(t, i)
	random := rand.NewChaCha8([32]byte{}) // for an image is compressed
	for n := range 300 {
		value := make([]byte, 1000)
		_, _ = random.Read(value)
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put(fmt.Sprintf("large%03d", n), string(value))}})
	}
	if err := i.Checkpoint(background); err != nil {
		t.Fatal(err)
	}
	for len(taken) > 0 {
		<-taken
	}
	for range 1000 { // some 600 KB of log, twice the view
		mustCommit(t, i, variety(4))
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if n := 1 + len(taken); n > 3 {
		t.Errorf("%d checkpoints were taken; with a view of 300 KB 2 are wanted", n)
	}
}

// TestBadCheckpointIsAClearError where the log no longer reaches back, and
// where it does it is not needed.
func TestBadCheckpointIsAClearError(t *testing.T) {
	for _, trimmed := range []bool{true, false} {
		s := newStore(1)
		i := s.open(t)
		for n := range 60 {
			mustCommit(t, i, variety(n))
		}
		if trimmed {
			if err := i.Checkpoint(background); err != nil || s.log.First() == 1 {
				t.Fatalf("checkpoint: %v; the log begins at %d", err, s.log.First())
			}
		} else {
			s.saved.Set(50, []byte("no image"))
		}
		closed(t, i)
		hosttest.DiskOf(s.host).Wipe("a")
		through, image := s.saved.Image()
		damaged := bytes.Clone(image)
		damaged[len(damaged)/2] ^= 1
		s.saved.Set(through, damaged)
		i, err := index.Open(context.Background(), s.options())
		if trimmed {
			if !errors.Is(err, index.ErrImage) || !errors.Is(err, index.ErrView) {
				t.Fatalf("got %v, want ErrView for ErrImage", err)
			}
			s.saved.Set(through, image)
			i = s.open(t)
		} else if err != nil {
			t.Fatalf("with the whole log: %v", err)
		}
		s.wantWhole(t, i)
		closed(t, i)
	}
}

func benchmarkIndex(b *testing.B, clients int, do func(i index.Index, client, n int) error) {
	i := indextest.New(b)
	mustCommit(b, i, index.Txn{Mutations: []index.Mutation{put("key-0", "value")}})
	b.ResetTimer()
	errs := make(chan error, clients)
	for c := range clients {
		go func() {
			var err error
			for n := c; n < b.N && err == nil; n += clients {
				err = do(i, c, n)
			}
			errs <- err
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkCommit(b *testing.B) {
	value := string(make([]byte, 256))
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			benchmarkIndex(b, clients, func(i index.Index, _, n int) error {
				key := fmt.Sprintf("key-%09d", n*2654435761%1000000007)
				_, err := i.Commit(background, index.Txn{
					RequestID:  index.RequestID{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1},
					Conditions: []index.Condition{absent("other" + key)},
					Mutations:  []index.Mutation{put(key, value)},
				})
				return err
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			benchmarkIndex(b, clients, func(i index.Index, _, _ int) error {
				_, err := i.Get(background, []byte("key-0"))
				return err
			})
		})
	}
}
