package index

import (
	"sync"
	"sync/atomic"
)

// gate counts those inside, so that what they use is closed only after them.
type gate struct {
	mu struct {
		sync.Mutex
		inside int
	}
	shut  atomic.Bool   // written under mu
	empty chan struct{} // closed when the gate is closed and nobody is inside
}

func (g *gate) init() { g.empty = make(chan struct{}) }

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut.Load() {
		return ErrClosed
	}
	g.mu.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.inside--
	if g.shut.Load() && g.mu.inside == 0 {
		close(g.empty)
	}
}

// close lets nobody in any more. It reports whether it was the first.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut.Load() {
		return false
	}
	g.shut.Store(true)
	if g.mu.inside == 0 {
		close(g.empty)
	}
	return true
}

func (g *gate) closed() bool { return g.shut.Load() }

func (g *gate) wait() { <-g.empty }
