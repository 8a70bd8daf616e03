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
		writers   map[place]int       // blobs under way with bytes there
		last      map[place]time.Time // when the last such blob was whole
		ticket    uint64
		appending map[uint64]bool // tickets of appends whose places are not known yet
		left      chan struct{}   // closed when a ticket ends; nil while nobody waits
	}
}

func (p *pins) init() {
	p.mu.writers, p.mu.last, p.mu.appending = map[place]int{}, map[place]time.Time{}, map[uint64]bool{}
}

// enter and leave stand around an append and the add of its place.
func (p *pins) enter() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.ticket++
	p.mu.appending[p.mu.ticket] = true
	return p.mu.ticket
}

func (p *pins) leave(ticket uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.appending, ticket)
	if p.mu.left != nil {
		close(p.mu.left)
		p.mu.left = nil
	}
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
