package objects

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// tickets tell when everything has ended that was under way at some moment.
type tickets struct {
	mu    sync.Mutex
	last  uint64
	out   map[uint64]bool
	left  chan struct{} // closed when one ends; nil while nobody waits
	marks []ticketMark  // by time; of those that were waited for in vain
	void  atomic.Uint64 // tickets through this one are worth nothing any more
}

// ticketMark says that tickets through last were out at a moment.
type ticketMark struct {
	at   time.Time
	last uint64
}

func (t *tickets) enter() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out == nil {
		t.out = map[uint64]bool{}
	}
	t.last++
	t.out[t.last] = true
	return t.last
}

func (t *tickets) leave(ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, ticket)
	if t.left != nil {
		close(t.left)
		t.left = nil
	}
}

// drained waits until all have left that are in now. It reports false where ctx
// ended before.
func (t *tickets) drained(ctx context.Context) bool {
	t.mu.Lock()
	through := t.last
	t.mu.Unlock()
	for {
		wait := t.older(through)
		if wait == nil {
			return true
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return false
		}
	}
}

// older is closed at the next leave; nil where no ticket up to through is out.
func (t *tickets) older(through uint64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ticket := range t.out {
		if ticket > through || ticket <= t.void.Load() {
			continue
		}
		if t.left == nil {
			t.left = make(chan struct{})
		}
		return t.left
	}
	return nil
}

// expire notes which tickets are out now, and makes those worthless of which it
// noted at least kept ago that they were out: nobody waits for them any more.
func (t *tickets) expire(now time.Time, kept time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.marks) > 0 && now.Sub(t.marks[0].at) >= kept {
		t.void.Store(t.marks[0].last)
		t.marks = t.marks[1:]
	}
	t.marks = append(t.marks, ticketMark{now, t.last})
}

// good tells whether a ticket is still worth something.
func (t *tickets) good(ticket uint64) bool { return ticket > t.void.Load() }

// count is the number that are out.
func (t *tickets) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.out)
}
