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
	wait := func() { // for the sequencer to set its timers: until the log rests, and until it is shortened
		for clock.Waiting() < 2 {
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
	pause := func() {
		for clock.Waiting() < 2 {
			time.Sleep(time.Millisecond)
		}
		clock.Advance(30 * time.Second)
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("still", "busy")}})
		for range 2 { // the first of them finds that there was none yet
			for clock.Waiting() < 1 {
				time.Sleep(time.Millisecond)
			}
			clock.Advance(time.Minute)
		}
	}
	commit := func(n int) {
		for range n {
			mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("k", string(make([]byte, 1000)))}})
		}
	}
	commit(8)
	pause()
	if first := s.log.First(); first != 1 {
		t.Fatalf("after 8 kB of 64 the log begins at %d", first)
	}
	commit(16)
	pause()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	for s.log.First() == 1 {
		time.Sleep(time.Millisecond)
	}
	s.wantWhole(t, i)
}
