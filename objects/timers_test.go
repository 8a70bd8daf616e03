package objects

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

// countingClock counts the timers that were neither stopped nor ran out.
type countingClock struct {
	host.Clock
	waiting atomic.Int64
}

func (c *countingClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	var over atomic.Bool
	c.waiting.Add(1)
	gone := func() {
		if !over.Swap(true) {
			c.waiting.Add(-1)
		}
	}
	end := c.Clock.AfterFunc(d, func() { gone(); f() })
	return func() bool { gone(); return end() }
}

// TestNoTimerOutlivesAStore: one that did would keep the whole of it in memory.
func TestNoTimerOutlivesAStore(t *testing.T) {
	h := hosttest.New(77)
	c := &countingClock{Clock: h.Clock}
	h.Clock = c
	s := openDurable(t, quietOptions(h))
	keepSome(t, s)
	s.later(time.Hour, func() { t.Error("an hour has not gone by") })
	s.later(24*time.Hour, s.repairs.wake)
	if _, err := s.Repair(context.Background(), RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if c.waiting.Load() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d timers are left of a closed store", c.waiting.Load())
}
