package admission

import "time"

// Permit is leave to work. A nil Permit is one of a nil Gate. Done must be called.
type Permit struct {
	gate   *Gate
	ask    Ask
	began  time.Time
	parked time.Time // zero while at work
	away   time.Duration
	done   bool
}

// Park gives the room back while the request waits for its client.
func (p *Permit) Park() {
	if p == nil || p.done || !p.parked.IsZero() {
		return
	}
	g := p.gate
	p.parked = g.o.Clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.work(p.ask, -p.ask.Units)
	g.next()
}

// Unpark goes on at once, even above the limit: what was begun is finished.
func (p *Permit) Unpark() {
	if p == nil || p.done || p.parked.IsZero() {
		return
	}
	g := p.gate
	p.away += g.o.Clock.Now().Sub(p.parked)
	p.parked = time.Time{}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.work(p.ask, p.ask.Units)
}

// Done ends it. It may be called more than once.
func (p *Permit) Done() {
	if p == nil || p.done {
		return
	}
	p.done = true
	g := p.gate
	now := g.o.Clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.parked.IsZero() { // it went away while it waited for its client
		g.open--
		return
	}
	if p.ask.Class != Control {
		g.limit.observe(p.ask.Class, p.ask.Units, now.Sub(p.began)-p.away, now)
	}
	g.give(p.ask, p.ask.Units)
}
