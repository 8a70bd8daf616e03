package index_test

import (
	"context"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

type restingLog struct {
	*indextest.Log
	rested chan uint64
}

func (l restingLog) Rest(context.Context) error {
	l.rested <- l.Last()
	return nil
}

// TestTheLogRestsOnceAfterEachBurst, and not within one.
func TestTheLogRestsOnceAfterEachBurst(t *testing.T) {
	s := newStore(1)
	log := restingLog{s.log, make(chan uint64, 10)}
	o := s.options()
	o.Log = log
	i := indextest.Open(t, o)
	defer closed(t, i)
	clock := hosttest.ClockOf(s.host)
	wait := func() { // for the sequencer to set its timer
		for clock.Waiting() < 1 {
			time.Sleep(time.Millisecond)
		}
	}
	for burst := range uint64(3) {
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("a", "1")}})
		wait()
		clock.Advance(900 * time.Millisecond)
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("b", "1")}})
		clock.Advance(200 * time.Millisecond)
		wait()
		select {
		case last := <-log.rested:
			t.Fatalf("rested at %d within a burst", last)
		default:
		}
		clock.Advance(time.Second)
		if last := <-log.rested; last != 2*burst+2 {
			t.Fatalf("rested at entry %d, want %d", last, 2*burst+2)
		}
	}
	clock.Advance(time.Hour)
	if len(log.rested) > 0 {
		t.Error("rested again, and nothing had come")
	}
}

// TestALongPauseShortensTheLog where it is a quarter of what makes a checkpoint due, and not where it is less.
func TestALongPauseShortensTheLog(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.CheckpointBytes, o.WatchKeptBytes = 64<<10, 1
	taken := make(chan error, 10)
	o.Events.Checkpointed = func(_ uint64, err error) { taken <- err }
	i := indextest.Open(t, o)
	defer closed(t, i)
	clock := hosttest.ClockOf(s.host)
	for range 40 { // some 40 kB of 64, and never a pause of a minute
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("k", string(make([]byte, 1000)))}})
		clock.Advance(25 * time.Second)
	}
	if len(taken) > 0 || s.log.First() != 1 {
		t.Fatalf("without a pause the log begins at %d", s.log.First())
	}
	for len(taken) == 0 {
		clock.Advance(25 * time.Second)
		time.Sleep(time.Millisecond) // for the sequencer to look at its timers
	}
	if err := <-taken; err != nil || s.log.First() < 30 {
		t.Fatalf("after a pause: %v; the log begins at %d", err, s.log.First())
	}
	s.wantWhole(t, i)
}

// TestAShortLogIsLeftAsItIs, however long the pause.
func TestAShortLogIsLeftAsItIs(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.CheckpointBytes, o.WatchKeptBytes = 64<<10, 1
	i := indextest.Open(t, o)
	defer closed(t, i)
	for range 8 {
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("k", string(make([]byte, 1000)))}})
	}
	clock := hosttest.ClockOf(s.host)
	for clock.Waiting() > 0 { // until the log rests
		clock.Advance(time.Minute)
		time.Sleep(time.Millisecond)
	}
	if first := s.log.First(); first != 1 {
		t.Fatalf("after 8 kB of 64 the log begins at %d", first)
	}
}
