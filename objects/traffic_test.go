package objects

import (
	"context"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
)

// disk is one that users and a background worker share: a user's operation takes
// a millisecond, and longer the more the worker moves.
func background(t *testing.T, seconds int, slowdown func(rate float64) float64) (rate float64) {
	h := hosttest.New(1)
	clock := hosttest.ClockOf(h)
	tr := newTraffic(h.Clock, 8<<20, 0)
	for range seconds {
		moved := 0.0
		for range 200 { // of 5 ms
			now := h.Clock.Now()
			end := tr.user()
			for range 50 { // at most 100 MiB
				if tr.ask(2<<20) > 0 {
					break
				}
				moved += 2 << 20
			}
			took := time.Millisecond
			if tr.phase(now) == loud {
				took = time.Duration(float64(took) * slowdown(tr.rate))
			}
			clock.Advance(took)
			end()
			clock.Advance(5*time.Millisecond - min(took, 4*time.Millisecond))
		}
		rate = moved
	}
	return rate
}

func TestBackgroundWorkGrowsUntilUsersNoticeIt(t *testing.T) {
	const knee = 100 << 20
	rate := background(t, 120, func(rate float64) float64 {
		if rate > knee {
			return 3
		}
		return 1.1
	})
	if rate < knee/3 || rate > 2*knee {
		t.Errorf("%.0f MiB/s, users notice from 100 on", rate/(1<<20))
	}
}

func TestBackgroundWorkFindsItsRateWithinSeconds(t *testing.T) {
	const knee = 200 << 20
	rate := background(t, 8, func(rate float64) float64 {
		if rate > knee {
			return 3
		}
		return 1.1
	})
	if rate < knee/4 {
		t.Errorf("%.0f MiB/s after 8 s, users notice from 200 on", rate/(1<<20))
	}
}

func TestBackgroundWorkKeepsItsReserveHoweverSlowUsersAre(t *testing.T) {
	rate := background(t, 120, func(float64) float64 { return 5 })
	if rate < 4<<20 || rate > 16<<20 {
		t.Errorf("%.1f MiB/s, the reserve is 8", rate/(1<<20))
	}
}

func TestBackgroundWorkAloneIsNotHeldUp(t *testing.T) {
	h := hosttest.New(1)
	tr := newTraffic(h.Clock, 8<<20, 0)
	for range 1000 {
		if err := tr.grant(context.Background(), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	bounded := newTraffic(h.Clock, 8<<20, 100<<20)
	if wait := bounded.ask(50 << 20); wait > 0 {
		t.Errorf("the first waits %v", wait)
	}
	if wait := bounded.ask(1); wait <= 0 {
		t.Error("no bound")
	}
	hosttest.ClockOf(h).Advance(501 * time.Millisecond)
	if wait := bounded.ask(1); wait > 0 {
		t.Errorf("waits %v though the time has passed", wait)
	}
}
