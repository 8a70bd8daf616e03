package objects

import (
	"fmt"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// place is one extent of one drive.
type place struct {
	drive  uint16
	extent uint32
}

// pins keep extents from being swept into which something was written that may
// yet be committed: by writes under way, and what they wrote until it is
// committed, at most for Options.StageKept. What an earlier process wrote and did
// not commit is garbage.
//
// And the other way round: a transaction that names bytes in an extent which was
// given back is refused, and what a transaction under way names is not given back.
type pins struct {
	mu struct {
		sync.Mutex
		writers map[place]int        // blobs under way with bytes there
		staged  map[[16]byte]*staged // stripes that are whole, until they are committed
		crowd   map[place]time.Time  // of those for which staged had no room: when the last one was whole
		named   map[place]bool       // by transactions since the sweep under way began; nil: none is under way
		given   map[place]uint32     // extents given back by this process: through this generation
	}
	appends tickets // around an append and the add of its place
	commits tickets // around a transaction: from the look at what was given back until its answer
}

// staged is a stripe that may yet be committed.
type staged struct {
	places []place
	since  time.Time
}

// stagedMax bounds the stripes that are remembered one by one.
const stagedMax = 1 << 16

func (p *pins) init() {
	p.mu.writers, p.mu.staged = map[place]int{}, map[[16]byte]*staged{}
	p.mu.crowd, p.mu.given = map[place]time.Time{}, map[place]uint32{}
}

// held reports the places that are pinned, and forgets those that no longer are.
func (p *pins) held(now time.Time, kept time.Duration) map[place]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := map[place]bool{}
	for at := range p.mu.writers {
		held[at] = true
	}
	for at, last := range p.mu.crowd {
		if now.Sub(last) < kept {
			held[at] = true
		} else {
			delete(p.mu.crowd, at)
		}
	}
	for id, st := range p.mu.staged {
		if now.Sub(st.since) >= kept {
			delete(p.mu.staged, id)
			continue
		}
		for _, at := range st.places {
			held[at] = true
		}
	}
	return held
}

// look begins to note what transactions name, until looked.
func (p *pins) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.named = map[place]bool{}
}

func (p *pins) looked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.named = nil
}

// give marks an extent as given back, unless a transaction has named it since look.
func (p *pins) give(at place, generation uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.named[at] {
		return false
	}
	p.mu.given[at] = generation
	return true
}

// claim lets a transaction name stripes, unless some of their bytes are gone.
func (p *pins) claim(stripes []Stripe) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range stripes {
		for _, sh := range stripes[i].Shards {
			if through, ok := p.mu.given[place{sh.Drive, sh.Address.Extent}]; ok && sh.Address.Generation <= through {
				return fmt.Errorf("%w: extent %d of drive %d", ErrStageTooOld, sh.Address.Extent, sh.Drive)
			}
		}
	}
	if p.mu.named == nil {
		return nil
	}
	for i := range stripes {
		for _, at := range stripes[i].places() {
			p.mu.named[at] = true
		}
	}
	return nil
}

// committed: from now on the index keeps the stripes.
func (p *pins) committed(stripes []Stripe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range stripes {
		delete(p.mu.staged, stripes[i].ID)
	}
}

// places lists the extents in which a stripe has shards.
func (s *Stripe) places() []place {
	all := make([]place, 0, len(s.Shards))
	for _, sh := range s.Shards {
		if !sh.Address.IsZero() {
			all = append(all, place{sh.Drive, sh.Address.Extent})
		}
	}
	return all
}

// stripesNamed are those that the puts of a transaction name. What is no
// envelope names none.
func stripesNamed(mutations []index.Mutation) (all []Stripe) {
	for i := range mutations {
		v := mutations[i].Value
		if len(v) < 2 || v[1] == 0 { // the count of blobs
			continue
		}
		blobs, _, err := DecodeValue(v)
		if err != nil {
			continue
		}
		for j := range blobs {
			all = append(all, blobs[j].Stripes...)
		}
	}
	return all
}

// hold keeps the places of one blob that is being written.
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

// end lets go of what was written: it is committed, or was given up. Where the
// fate of its transaction is open, a sweep learns that before it looks.
func (h *hold) end() {
	h.pins.mu.Lock()
	defer h.pins.mu.Unlock()
	h.release()
}

// stage ends the hold of a blob that is whole: from now it has StageKept.
func (h *hold) stage(now time.Time, b *Blob) {
	p := h.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	h.release()
	if len(p.mu.staged)+len(b.Stripes) > stagedMax {
		p.flock()
	}
	for i := range b.Stripes {
		p.mu.staged[b.Stripes[i].ID] = &staged{b.Stripes[i].places(), now}
	}
}

func (h *hold) release() {
	for at := range h.places {
		if h.pins.mu.writers[at]--; h.pins.mu.writers[at] == 0 {
			delete(h.pins.mu.writers, at)
		}
	}
	h.places = nil
}

// flock forgets which stripes are staged, but not where.
func (p *pins) flock() {
	for id, st := range p.mu.staged {
		for _, at := range st.places {
			if last := p.mu.crowd[at]; st.since.After(last) {
				p.mu.crowd[at] = st.since
			}
		}
		delete(p.mu.staged, id)
	}
}
