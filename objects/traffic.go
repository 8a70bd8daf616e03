package objects

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
)

// traffic watches what users do with the drives, so that repair and audit leave
// them their speed. It compares how long their operations take while background work
// goes on (loud) with how long they take while it rests (quiet), which needs no
// notion of how fast a machine should be.
//
//	busy:  ┌ quiet ┬────────── loud ──────────┐ ┌ quiet ┬── …   one round
//	       0     150 ms                       1 s
//
// p90(loud) ÷ p90(quiet) above calmRatio slows background work down, below it lets
// it grow; while nobody is there it runs as fast as it can.
type traffic struct {
	clock host.Clock
	least int64 // bytes a second that background work may always take
	most  int64 // 0: no bound

	mu     sync.Mutex
	since  time.Time // when users came, after nobody was there
	last   time.Time // when the last operation of a user began or ended
	under  int       // operations under way
	round  time.Time // when the present round began
	rate   float64   // bytes a second, while busy
	felt   bool      // users have noticed background work since they came: it grows with care
	credit time.Time // when what was granted is used up
	times  [2][timeBuckets]uint32
}

const (
	quietFor    = 150 * time.Millisecond
	quietSettle = 50 * time.Millisecond // of it, in which the last background work ends
	roundFor    = time.Second
	idleAfter   = time.Second // without a user's operation
	stayedFor   = 20 * time.Millisecond
	calmRatio   = 1.5
	samplesMin  = 20
	timeBuckets = 96 // four to a power of two, from 1 µs on
)

const (
	quiet = iota
	loud
	neither
)

func newTraffic(clock host.Clock, least, most int64) *traffic {
	return &traffic{clock: clock, least: least, most: most, rate: float64(least)}
}

// user begins an operation of a user. The function that it returns ends it.
func (t *traffic) user() (end func()) {
	began := t.clock.Now()
	t.mu.Lock()
	if t.under == 0 && (t.last.IsZero() || began.Sub(t.last) > idleAfter) {
		t.since = began
	}
	t.under++
	t.last = began
	when := t.phase(began)
	t.mu.Unlock()
	return func() {
		now := t.clock.Now()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.under--
		t.last = now
		if when != neither {
			t.times[when][timeBucket(now.Sub(began))]++
		}
	}
}

func timeBucket(d time.Duration) int {
	us := uint64(max(d/time.Microsecond, 1))
	n := bits.Len64(us)
	quarter := 0
	if n > 2 {
		quarter = int(us>>(n-3)) & 3
	}
	return min(4*(n-1)+quarter, timeBuckets-1)
}

// phase of the round at a moment.
func (t *traffic) phase(now time.Time) int {
	switch at := now.Sub(t.round); {
	case t.round.IsZero() || at > roundFor:
		return neither
	case at < quietSettle:
		return neither
	case at < quietFor:
		return quiet
	}
	return loud
}

// busy reports whether users are there, and have been for a moment: one who comes
// and goes is not worth a pause.
func (t *traffic) busy(now time.Time) bool {
	switch {
	case t.last.IsZero():
		return false
	case t.under > 0:
		return now.Sub(t.since) >= stayedFor
	}
	return now.Sub(t.last) < idleAfter && t.last.Sub(t.since) >= stayedFor
}

// grant waits until background work may move so many bytes.
func (t *traffic) grant(ctx context.Context, bytes int64) error {
	for {
		wait := t.ask(bytes)
		if wait <= 0 {
			return ctx.Err()
		}
		if err := t.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// ask takes the bytes, or says how long to wait before the next try.
func (t *traffic) ask(bytes int64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	rate := float64(t.most)
	if t.busy(now) {
		if now.Sub(t.round) >= roundFor {
			t.turn(now)
		}
		if at := now.Sub(t.round); at < quietFor {
			return quietFor - at
		}
		rate = t.rate
	} else {
		t.round, t.felt = time.Time{}, false
	}
	if wait := t.credit.Sub(now); wait > 0 {
		return min(wait, roundFor/4)
	}
	if rate > 0 {
		t.credit = now.Add(time.Duration(float64(bytes) / rate * float64(time.Second)))
	}
	return 0
}

// turn begins a round, and sets the rate by what the last ones showed.
func (t *traffic) turn(now time.Time) {
	t.round = now
	calm, many := t.quantile(quiet)
	disturbed, more := t.quantile(loud)
	if many < samplesMin || more < samplesMin {
		return
	}
	if float64(disturbed) > calmRatio*float64(calm) {
		t.rate, t.felt = t.rate*0.7, true
		t.times[loud] = [timeBuckets]uint32{} // what users felt at a higher rate says nothing of this one
	} else if t.felt {
		t.rate *= 1.25
	} else {
		t.rate *= 2
	}
	t.rate = max(t.rate, float64(t.least))
	if t.most > 0 {
		t.rate = min(t.rate, float64(t.most))
	}
	for i := range t.times {
		for j := range t.times[i] {
			t.times[i][j] /= 2 // what was long ago fades
		}
	}
}

// quantile is the 90th percentile of a phase's times, in µs, and how many they are.
func (t *traffic) quantile(phase int) (us uint64, n uint32) {
	for _, count := range t.times[phase] {
		n += count
	}
	left := n - n/10
	for i, count := range t.times[phase] {
		if count >= left {
			return uint64(4+i%4) << (i / 4) / 4, n
		}
		left -= count
	}
	return 0, n
}
