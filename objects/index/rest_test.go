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
	wait := func(timers int) { // for the sequencer to set its timer
		for clock.Waiting() < timers {
			time.Sleep(time.Millisecond)
		}
	}
	for burst := range uint64(3) {
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("a", "1")}})
		wait(1)
		clock.Advance(900 * time.Millisecond)
		mustCommit(t, i, index.Txn{Mutations: []index.Mutation{put("b", "1")}})
		clock.Advance(200 * time.Millisecond)
		wait(1)
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
