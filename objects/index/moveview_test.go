package index_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// moving is an index whose view is to leave its folder.
type moving struct {
	*index.Local
	s      *store
	serves chan string // where a view does
	moved  chan error
}

func newMoving(t *testing.T) *moving {
	m := &moving{s: newStore(1), serves: make(chan string, 9), moved: make(chan error, 1)}
	o := m.s.options()
	o.Events.ViewRebuilt = func(dir string, _ uint64) { m.serves <- dir }
	m.Local = indextest.Open(t, o)
	<-m.serves // the first
	for n := range 50 {
		mustCommit(t, m, index.Txn{Mutations: []index.Mutation{put(fmt.Sprintf("k%03d", n), "old")}})
	}
	return m
}

// leave begins the move, and returns when the next view serves.
func (m *moving) leave() {
	m.SetDirs([]string{"b/index"})
	go func() { m.moved <- m.MoveView(context.Background()) }()
	<-m.serves
}

// A scan of a view that moves goes on to its end, in the state in which it began; others see the present one.
func TestAScanOutlivesTheMoveOfTheView(t *testing.T) {
	m, seen := newMoving(t), 0
	defer closed(t, m.Local)
	for item, err := range m.Scan(background, nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatalf("after %d items: %v", seen, err)
		}
		if string(item.Value) != "old" {
			t.Fatalf("%s is %q", item.Key, item.Value)
		}
		if seen++; seen > 1 {
			continue
		}
		m.leave()
		mustCommit(t, m, index.Txn{Mutations: []index.Mutation{put("k040", "new")}})
		if now, err := m.Get(background, []byte("k040")); err != nil || string(now.Value) != "new" {
			t.Fatalf("meanwhile k040 is %q, %v", now.Value, err)
		}
	}
	if err := <-m.moved; err != nil || seen != 50 {
		t.Fatalf("%d items; moved: %v", seen, err)
	}
	if names, _ := m.s.host.FS.List("a/index"); len(names) > 0 {
		t.Errorf("the folder that it left has %q", names)
	}
	m.s.wantWhole(t, m)
}

// A move does not wait for ever: a snapshot that stays open for more than a minute expires, and says so.
func TestASnapshotCannotHoldUpTheMoveOfTheView(t *testing.T) {
	m := newMoving(t)
	defer closed(t, m.Local)
	s, err := m.Snapshot(background)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m.leave()
	if item, err := s.Get(background, []byte("k001")); err != nil || string(item.Value) != "old" {
		t.Fatalf("while it moves: %q, %v", item.Value, err)
	}
	clock := hosttest.ClockOf(m.s.host)
	for len(m.moved) == 0 {
		clock.Advance(time.Second)
		time.Sleep(100 * time.Microsecond)
	}
	if err := <-m.moved; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(background, []byte("k001")); !errors.Is(err, index.ErrSnapshotExpired) {
		t.Errorf("after the move: %v", err)
	}
	m.s.wantWhole(t, m)
}

// Closing the index does not wait for those who read a view that moved.
func TestClosingEndsTheMoveOfTheView(t *testing.T) {
	m := newMoving(t)
	snapshot, err := m.Snapshot(background)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	m.leave()
	closed(t, m.Local)
	if err := <-m.moved; err != nil {
		t.Errorf("moved: %v", err)
	}
}

// While a reader holds up the move, the next view fails, and one is made in the folder that was left, which may be used
// again: the end of the move takes nothing away from it.
func TestTheEndOfAMoveLeavesALaterViewAlone(t *testing.T) {
	m := newMoving(t)
	snapshot, err := m.Snapshot(background)
	if err != nil {
		t.Fatal(err)
	}
	m.leave()
	m.SetDirs([]string{"a/index"})
	m.FailView("b/index", errors.New("its drive is gone"))
	if dir := <-m.serves; !strings.HasPrefix(dir, "a/index/") {
		t.Fatalf("the view that was made instead is in %s", dir)
	}
	_ = snapshot.Close()
	if err := <-m.moved; err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(); err != nil {
		t.Error(err)
	}
	m.s.wantWhole(t, m)
	closed(t, m.Local)
	again := m.s.open(t)
	defer closed(t, again)
	m.s.wantWhole(t, again)
}

// The view fails while the one that is to follow it is made: what is made in its place lies where it may, and the move is done.
func TestAViewThatFailsWhileItMovesHasMoved(t *testing.T) {
	m := newMoving(t)
	defer closed(t, m.Local)
	var failed atomic.Bool
	hosttest.DiskOf(m.s.host).SetFault(func(op hosttest.Op) error {
		if strings.HasPrefix(op.Path, "b/index/") && !failed.Swap(true) {
			m.FailView("a/index", errors.New("its drive is gone"))
			<-m.serves
		}
		return nil
	})
	m.SetDirs([]string{"b/index"})
	if err := m.MoveView(background); err != nil {
		t.Fatal(err)
	}
	if dir := m.ViewDir(); !strings.HasPrefix(dir, "b/index/") {
		t.Errorf("the view is in %s", dir)
	}
	m.s.wantWhole(t, m)
}
