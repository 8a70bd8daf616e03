package admission

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
)

// Options of New. Clock must be set.
type Options struct {
	Clock      host.Clock
	LimitLeast int           // units at work at once, at least; default 32
	LimitFirst int           // at the start; default 128
	LimitMost  int           // at most; default 1024
	QueueMost  int           // requests that wait, a class; default 4096: one that waits costs less than one that is told to come again
	OpenMost   int           // requests admitted and not done, parked ones among them; default 4096
	Wait       time.Duration // for room, at most; default 1 s
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&o.LimitLeast, 32}, {&o.LimitFirst, 128}, {&o.LimitMost, 1024}, {&o.QueueMost, 4096}, {&o.OpenMost, 4096}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
}

// OverloadError refuses a request that came when there was more to do than can
// be done. Nothing was begun.
type OverloadError struct {
	Class      Class
	Reason     string
	RetryAfter time.Duration
}

func (e *OverloadError) Error() string {
	return fmt.Sprintf("too many requests at once (%s: %s); try again in %v", e.Class, e.Reason, e.RetryAfter)
}

// Ask is what a request wants.
type Ask struct {
	Class  Class
	Tenant string // who asks, such as an access key
	Units  int    // what it weighs; 0: 1
}

// Gate admits requests.
type Gate struct {
	o Options

	mu      sync.Mutex
	limit   limit
	busy    [classes]int // units at work
	open    int          // permits that are not done
	lanes   [classes]lane
	admits  [classes]uint64
	refused [classes]uint64
}

// New makes a Gate that is open.
func New(o Options) *Gate {
	o.setDefaults()
	g := &Gate{o: o, limit: limit{value: float64(o.LimitFirst), least: float64(o.LimitLeast), most: float64(o.LimitMost)}}
	for i := range g.lanes {
		g.lanes[i] = newLane()
	}
	return g
}

// Admit waits for room, no longer than Options.Wait. It returns *OverloadError,
// or ctx's error where that ended first. A nil Gate admits everything.
func (g *Gate) Admit(ctx context.Context, a Ask) (*Permit, error) {
	if g == nil {
		return nil, nil
	}
	a.Units = max(a.Units, 1)
	w, err := g.enter(ctx, a)
	if err != nil {
		return nil, err
	}
	if w != nil {
		if err := g.wait(ctx, w); err != nil {
			return nil, err
		}
	}
	return &Permit{gate: g, ask: a, began: g.o.Clock.Now()}, nil
}

// enter admits at once (nil), queues, or refuses.
func (g *Gate) enter(ctx context.Context, a Ask) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.Class == Control {
		g.take(a)
		return nil, nil
	}
	if g.open >= g.o.OpenMost {
		return nil, g.refuse(a.Class, "too many are open")
	}
	lane := &g.lanes[a.Class]
	if lane.n == 0 && g.room(a.Class) {
		g.take(a)
		return nil, nil
	}
	w := &waiter{ctx: ctx, class: a.Class, tenant: a.Tenant, units: a.Units, ready: make(chan bool, 1)}
	lane.push(w)
	if lane.n > g.o.QueueMost {
		lane.shed().ready <- false
	}
	return w, nil
}

func (g *Gate) refuse(c Class, reason string) error {
	g.refused[c]++
	return &OverloadError{Class: c, Reason: reason, RetryAfter: g.o.Wait}
}

// room tells whether one more of a class may begin; the last may pass the limit
// by what it weighs, so that heavy ones come in too.
func (g *Gate) room(c Class) bool {
	working, background := 0, 0
	for class := Reads; class < classes; class++ {
		working += g.busy[class]
		if class.background() {
			background += g.busy[class]
		}
	}
	limit := int(g.limit.value)
	return working < limit && (!c.background() || background < limit/2)
}

func (g *Gate) take(a Ask) {
	g.admits[a.Class]++
	g.open++
	g.work(a, a.Units)
}

func (g *Gate) work(a Ask, units int) {
	g.busy[a.Class] += units
	g.lanes[a.Class].work(a.Tenant, units)
	if a.Class != Control {
		g.limit.peak = max(g.limit.peak, g.working())
	}
}

func (g *Gate) working() (n int) {
	for class := Reads; class < classes; class++ {
		n += g.busy[class]
	}
	return n
}

// wait for room, a refusal, the end of ctx, or Options.Wait.
func (g *Gate) wait(ctx context.Context, w *waiter) error {
	late := make(chan struct{})
	stop := g.o.Clock.AfterFunc(g.o.Wait, func() { close(late) })
	defer stop()
	select {
	case admitted := <-w.ready:
		return g.verdict(ctx, w, admitted)
	case <-late:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case admitted := <-w.ready: // just now
		if !admitted || ctx.Err() == nil {
			return g.answer(ctx, w, admitted, "newer ones came")
		}
		g.give(Ask{w.class, w.tenant, w.units}, w.units)
	default:
		g.lanes[w.class].remove(w)
	}
	return g.answer(ctx, w, false, "it waited too long")
}

func (g *Gate) verdict(ctx context.Context, w *waiter, admitted bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answer(ctx, w, admitted, "newer ones came")
}

// answer is what a waiter is told.
func (g *Gate) answer(ctx context.Context, w *waiter, admitted bool, reason string) error {
	if admitted {
		return nil
	}
	if err := ctx.Err(); err != nil {
		g.refused[w.class]++
		return fmt.Errorf("wait for admission: %w", err)
	}
	return g.refuse(w.class, reason)
}

// give ends a permit, and lets in whoever fits now.
func (g *Gate) give(a Ask, units int) {
	g.open--
	g.work(a, -units)
	g.next()
}

// next admits waiters while there is room.
func (g *Gate) next() {
	for {
		w := g.pick()
		if w == nil {
			return
		}
		if w.ctx.Err() != nil {
			w.ready <- false // its client has given up: it costs nothing
			continue
		}
		g.take(Ask{w.class, w.tenant, w.units})
		w.ready <- true
	}
}

// pick takes a waiter out of the lane that has least at work for its weight.
func (g *Gate) pick() *waiter {
	best := Control
	for class := Reads; class < classes; class++ {
		if g.lanes[class].n == 0 || !g.room(class) {
			continue
		}
		if best == Control || g.busy[class]*weights[best] < g.busy[best]*weights[class] {
			best = class
		}
	}
	if best == Control {
		return nil
	}
	return g.lanes[best].pop()
}
