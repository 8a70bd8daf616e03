package objects

import (
	"errors"
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
		staged  map[stageKey]*staged // what is whole, until it is committed
		joint   map[[16]byte]int     // of staged: blobs of stripes that are shared from the start
		unknown map[stageKey]int     // transactions of unknown fate that name such a blob
		open    map[[16]byte]bool    // of such stripes: those that had some since lookJoint; nil: nobody looks
		crowd   map[place]time.Time  // of those for which staged had no room: when the last one was whole
		named   map[place]bool       // by transactions since the sweep under way began; nil: none is under way
		given   map[place]uint32     // extents given back by this process: through this generation
	}
	appends tickets // around an append and the add of its place
	commits tickets // around a transaction: from the look at what was given back until its answer
}

// staged is a stripe, or a blob in a joint one, that may yet be committed.
type staged struct {
	places []place
	since  time.Time
	naming int // transactions that name the blob, under way or of unknown fate: it is kept
}

// stageKey is a stripe's, or a blob's in a joint one.
type stageKey struct {
	stripe [16]byte
	blob   uint64 // 0: the stripe itself
}

func (p *Packed) stageKey() stageKey {
	return stageKey{p.Stripe, uint64(p.Shard)<<32 + uint64(p.Offset) + 1}
}

// stagedMax bounds the stripes that are remembered one by one.
const stagedMax = 1 << 16

func (p *pins) init() {
	p.mu.writers, p.mu.staged, p.mu.joint = map[place]int{}, map[stageKey]*staged{}, map[[16]byte]int{}
	p.mu.unknown = map[stageKey]int{}
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
	for key, st := range p.mu.staged {
		if now.Sub(st.since) >= kept && st.naming == 0 {
			p.forget(key)
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

// claim lets a transaction name stripes, unless some of their bytes are gone, and
// blobs in joint ones, unless the time for that is over.
func (p *pins) claim(n *named) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range n.stripes {
		for _, sh := range n.stripes[i].Shards {
			if through, ok := p.mu.given[place{sh.Drive, sh.Address.Extent}]; ok && sh.Address.Generation <= through {
				return fmt.Errorf("%w: extent %d of drive %d", ErrStageTooOld, sh.Address.Extent, sh.Drive)
			}
		}
	}
	for _, key := range n.joint {
		if p.mu.staged[key] == nil {
			return fmt.Errorf("%w: a blob in stripe %x", ErrStageTooOld, key.stripe)
		}
	}
	for _, key := range n.joint {
		p.mu.staged[key].naming++
	}
	if p.mu.named == nil {
		return nil
	}
	for i := range n.stripes {
		for _, at := range n.stripes[i].places() {
			p.mu.named[at] = true
		}
	}
	return nil
}

// committed: from now on the index keeps the stripes.
func (p *pins) committed(stripes []Stripe) {
	p.settled(&named{stripes: stripes}, nil)
}

// settled: a transaction was answered.
func (p *pins) settled(n *named, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range n.joint {
		switch st := p.mu.staged[key]; {
		case err == nil:
			p.forget(key)
		case errors.Is(err, index.ErrUnknown):
			p.mu.unknown[key]++
		case st != nil:
			st.naming--
		}
	}
	for i := range n.stripes {
		if err == nil {
			p.forget(stageKey{stripe: n.stripes[i].ID})
		}
	}
}

// drop: a blob in a joint stripe will not be committed.
func (p *pins) drop(b *Packed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.mu.staged[b.stageKey()]; st != nil && st.naming == 0 {
		p.forget(b.stageKey())
	}
}

// forget is called with mu held.
func (p *pins) forget(key stageKey) {
	if p.mu.staged[key] == nil {
		return
	}
	delete(p.mu.staged, key)
	if key.blob == 0 {
		return
	}
	if p.mu.joint[key.stripe]--; p.mu.joint[key.stripe] == 0 {
		delete(p.mu.joint, key.stripe)
	}
}

// doubt: there are transactions of unknown fate that name blobs in joint stripes.
func (p *pins) doubt() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.unknown) > 0
}

// doubts takes the transactions of unknown fate; resolved, once that is known of all
// of them, lets go of what they named: the index keeps it, or nobody does.
func (p *pins) doubts() map[stageKey]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.mu.unknown
	p.mu.unknown = map[stageKey]int{}
	return all
}

func (p *pins) resolved(doubts map[stageKey]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, n := range doubts {
		st := p.mu.staged[key]
		if st == nil {
			continue
		}
		if st.naming -= n; st.naming == 0 {
			p.forget(key)
		}
	}
}

// doubted puts back what doubts took.
func (p *pins) doubted(doubts map[stageKey]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, n := range doubts {
		p.mu.unknown[key] += n
	}
}

// lookJoint begins to note joint stripes of which blobs may yet be committed.
func (p *pins) lookJoint() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.open = map[[16]byte]bool{}
	for id := range p.mu.joint {
		p.mu.open[id] = true
	}
}

// lookedJoint gives those that were noted. Of all others every blob was committed
// before the look began, or never will be.
func (p *pins) lookedJoint() map[[16]byte]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.mu.open
	p.mu.open = nil
	return open
}

// crowded: so much is staged that no more blobs may share stripes from the start.
func (p *pins) crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.staged) > stagedMax/2
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

// named is what the puts of a transaction name.
type named struct {
	stripes []Stripe
	joint   []stageKey // blobs in stripes of which it makes the entry, unless another one did
}

// namedBy finds it. What is no envelope names nothing.
func namedBy(mutations []index.Mutation) (n named) {
	var packed []*Packed
	made := map[[16]byte]bool{}
	for i := range mutations {
		v := mutations[i].Value
		if len(v) < 2 || v[1] == 0 { // the count of blobs
			continue
		}
		blobs, _, err := DecodeValue(v)
		if err != nil {
			continue
		}
		guard := mutations[i].Guard
		for j := range blobs {
			n.stripes = append(n.stripes, blobs[j].Stripes...)
			if blobs[j].Packed != nil {
				packed = append(packed, blobs[j].Packed)
			} else if guard != nil && guard.Kind == index.KeyAbsent && len(blobs[j].Stripes) == 1 {
				made[blobs[j].Stripes[0].ID] = true
			}
		}
	}
	for _, p := range packed {
		if made[p.Stripe] {
			n.joint = append(n.joint, p.stageKey())
		}
	}
	return n
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
		p.mu.staged[stageKey{stripe: b.Stripes[i].ID}] = &staged{places: b.Stripes[i].places(), since: now}
	}
}

// stageJoint ends the hold of a stripe that is whole: each of its blobs has StageKept.
func (h *hold) stageJoint(now time.Time, st *Stripe, blobs []Blob) {
	p := h.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	h.release()
	places := st.places()
	for i := range blobs {
		p.mu.staged[blobs[i].Packed.stageKey()] = &staged{places: places, since: now}
		p.mu.joint[st.ID]++
	}
	if p.mu.open != nil {
		p.mu.open[st.ID] = true
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

// flock forgets which stripes are staged, but not where. Joint ones stay.
func (p *pins) flock() {
	for key, st := range p.mu.staged {
		if key.blob != 0 {
			continue
		}
		for _, at := range st.places {
			if last := p.mu.crowd[at]; st.since.After(last) {
				p.mu.crowd[at] = st.since
			}
		}
		p.forget(key)
	}
}
