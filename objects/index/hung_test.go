package index_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// TestViewMovesWhenItsDriveHangs: each call to the folder of the view hangs for ever. A
// checkpoint, which must flush, finds out; commits and reads go on in the spare folder,
// and closing does not wait for what hangs.
func TestViewMovesWhenItsDriveHangs(t *testing.T) {
	s := newStore(1)
	lost, moved := make(chan error, 9), make(chan string, 9)
	o := s.options()
	o.ViewTimeout = 20 * time.Second
	o.Events.ViewLost = func(cause error) { lost <- cause }
	o.Events.ViewRebuilt = func(dir string, _ uint64) { moved <- dir }
	i := indextest.Open(t, o)
	<-moved // the first
	for n := range 50 {
		mustCommit(t, i, variety(n))
	}
	release := make(chan struct{})
	hosttest.DiskOf(s.host).SetFault(func(op hosttest.Op) error {
		if strings.HasPrefix(op.Path, "a/") {
			<-release
		}
		return nil
	})
	stop := passTime(s)
	defer stop()
	_ = i.Checkpoint(background)
	for n := range 50 {
		mustCommit(t, i, variety(n+50))
	}
	s.wantWhole(t, i)
	if dir := <-moved; !strings.HasPrefix(dir, "b/") {
		t.Errorf("the view moved to %s", dir)
	}
	if cause := <-lost; !strings.Contains(fmt.Sprint(cause), "hangs") {
		t.Errorf("the view was lost because %v", cause)
	}
	closed(t, i)
	hosttest.DiskOf(s.host).SetFault(nil)
	close(release)
	again := indextest.Open(t, o)
	defer closed(t, again)
	s.wantWhole(t, again)
}

// TestReadsEndWhereTheViewsDriveHangs: a read that hangs in the view is answered by the next one.
func TestReadsEndWhereTheViewsDriveHangs(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.ViewTimeout = 20 * time.Second
	o.CacheBytes = 1
	i := indextest.Open(t, o)
	for n := range 300 {
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put(fmt.Sprintf("k%04d", n), strings.Repeat("v", 2000))}})
	}
	if err := i.Flush(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	hung := make(chan string, 10_000)
	hosttest.DiskOf(s.host).SetFault(func(op hosttest.Op) error {
		if strings.HasPrefix(op.Path, "a/") {
			hung <- op.Path
			<-release
		}
		return nil
	})
	stop := passTime(s)
	defer stop()
	var readers sync.WaitGroup
	for r := range 8 {
		readers.Go(func() {
			for n := r; n < 300; n += 8 {
				key := fmt.Appendf(nil, "k%04d", n)
				if item, err := i.Get(background, key); err != nil || len(item.Value) != 2000 {
					t.Errorf("%s: %v", key, err)
					return
				}
			}
		})
	}
	readers.Wait()
	if len(hung) == 0 {
		t.Error("nothing hung: the test shows nothing")
	}
	if !strings.HasPrefix(i.ViewDir(), "b/") {
		t.Errorf("the view lies in %s", i.ViewDir())
	}
	closed(t, i)
	hosttest.DiskOf(s.host).SetFault(nil)
	close(release)
}

// passTime lets the store's clock run.
func passTime(s *store) (stop func()) {
	clock, quit, done := hosttest.ClockOf(s.host), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
				clock.Advance(time.Second / 4)
			}
		}
	}()
	return func() { close(quit); <-done }
}
