package objects

import (
	"sync"
	"time"
)

// place is one extent of one drive.
type place struct {
	drive  uint16
	extent uint32
}

// pins keep extents from being swept into which something was written that may
// yet be committed: those of writes under way, and those written to a while ago
// by this process. What an earlier process wrote and did not commit is garbage.
type pins struct {
	mu struct {
		sync.Mutex
		writers map[place]int       // blobs under way with bytes there
		last    map[place]time.Time // when the last such blob was whole
	}
	appends tickets // around an append and the add of its place
}

func (p *pins) init() {
	p.mu.writers, p.mu.last = map[place]int{}, map[place]time.Time{}
}

// held reports the places that are pinned, and forgets those that no longer are.
func (p *pins) held(now time.Time, kept time.Duration) map[place]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := map[place]bool{}
	for at := range p.mu.writers {
		held[at] = true
	}
	for at, last := range p.mu.last {
		if now.Sub(last) < kept {
			held[at] = true
		} else {
			delete(p.mu.last, at)
		}
	}
	return held
}

// hold keeps the places of one blob.
type hold struct {
	pins   *pins
	mu     sync.Mutex
	places map[place]bool
}

func (p *pins) hold() *hold { return &hold{pins: p, places: map[place]bool{}} }

func (h *hold) add(at place) {
	h.mu.Lock()
	known := h.places[at]
	h.places[at] = true
	h.mu.Unlock()
	if known {
		return
	}
	h.pins.mu.Lock()
	defer h.pins.mu.Unlock()
	h.pins.mu.writers[at]++
}

// end tells that the blob is whole, or was given up.
func (h *hold) end(now time.Time) {
	h.pins.mu.Lock()
	defer h.pins.mu.Unlock()
	for at := range h.places {
		if h.pins.mu.writers[at]--; h.pins.mu.writers[at] == 0 {
			delete(h.pins.mu.writers, at)
		}
		h.pins.mu.last[at] = now
	}
	h.places = nil
}
