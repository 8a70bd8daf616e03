package hosttest

import (
	"context"
	"sync"
	"time"
)

// Epoch is the moment at which every Clock begins.
var Epoch = time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC)

// Clock stands still until Advance or AutoAdvance moves it.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	waiters map[*waiter]struct{}
	order   uint64 // of arrival, to break ties
}

type waiter struct {
	due   time.Time
	order uint64
	fire  func()
}

// NewClock is a clock at Epoch.
func NewClock() *Clock { return &Clock{now: Epoch, waiters: map[*waiter]struct{}{}} }

// Now is the clock's present time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep waits until the clock has been advanced by d, or ctx ends.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	awake := make(chan struct{})
	w := c.add(d, func() { close(awake) })
	select {
	case <-awake:
		return nil
	case <-ctx.Done():
		c.drop(w)
		return ctx.Err()
	}
}

// AfterFunc calls f in its own goroutine once the clock has been advanced by d.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	w := c.add(d, func() { go f() })
	return func() bool { return c.drop(w) }
}

// Advance moves the clock by d and wakes, in order, all that is due by then.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	c.mu.Unlock()
	for c.step(end) {
	}
}

// Waiting is the number of sleepers and pending functions.
func (c *Clock) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiters)
}

// AutoAdvance lets time jump to the next thing that is due, at most once in a
// real millisecond: code that sleeps goes on by itself, and loops that sleep do
// not spin. It ends with the returned function.
func (c *Clock) AutoAdvance() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				c.jump()
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(quit) }); <-done }
}

func (c *Clock) add(d time.Duration, fire func()) *waiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order++
	w := &waiter{due: c.now.Add(max(d, 0)), order: c.order, fire: fire}
	c.waiters[w] = struct{}{}
	return w
}

func (c *Clock) drop(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, pending := c.waiters[w]
	delete(c.waiters, w)
	return pending
}

// step fires the first waiter due by end, or moves to end and reports false.
func (c *Clock) step(end time.Time) bool {
	c.mu.Lock()
	w := c.first()
	if w == nil || w.due.After(end) {
		if end.After(c.now) {
			c.now = end
		}
		c.mu.Unlock()
		return false
	}
	if w.due.After(c.now) {
		c.now = w.due
	}
	delete(c.waiters, w)
	c.mu.Unlock()
	w.fire()
	return true
}

func (c *Clock) jump() {
	c.mu.Lock()
	w := c.first()
	c.mu.Unlock()
	if w != nil {
		c.step(w.due)
	}
}

// first is the waiter due first. The caller holds mu.
func (c *Clock) first() *waiter {
	var best *waiter
	for w := range c.waiters {
		if best == nil || w.due.Before(best.due) || w.due.Equal(best.due) && w.order < best.order {
			best = w
		}
	}
	return best
}
