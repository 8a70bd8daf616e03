package objects

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// badMax bounds the stripes that are remembered as damaged. Beyond it a scan of
// the index finds them.
const badMax = 1 << 16

// shardID names one shard of one stripe.
type shardID struct {
	stripe [16]byte
	shard  uint8
}

// damage is what is known of one stripe that needs repair.
type damage struct {
	owner  []byte // key of the index value that names it; nil: not known
	shards uint64 // a bit each: those that a read found to be bad
	found  time.Time
}

// repairs are the stripes known to need repair. Those whose owner is known are
// repaired without a scan of the index.
type repairs struct {
	now   func() time.Time
	due   chan struct{} // holds one token when there is work
	news  chan struct{} // holds one when a drive came, went or recovered
	asked atomic.Bool   // drives may lack what was written to them

	departed sync.Map // numbers of drives that were removed: what was written before may yet be committed
	state    struct {
		sync.Mutex
		running bool
		report  RepairReport
	}
	mu struct {
		sync.Mutex
		damaged  map[[16]byte]damage
		overflow bool // some are not in the map
	}
}

func (r *repairs) init(now func() time.Time) {
	r.now = now
	r.due, r.news = make(chan struct{}, 1), make(chan struct{}, 1)
	r.mu.damaged = map[[16]byte]damage{}
	r.mu.overflow = true // what was left incomplete before
}

func (r *repairs) wake() { tap(r.due) }

func tap(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// doubt: a drive came, went or recovered. The next repair asks every drive what it has.
func (r *repairs) doubt() {
	r.asked.Store(true)
	tap(r.news)
	r.wake()
}

func (r *repairs) doubted() bool { return r.asked.Swap(false) }

// incomplete: a stripe was written without all of its shards.
func (r *repairs) incomplete(stripe [16]byte) { r.note(stripe, nil, 0) }

// report: a read of a shard failed. owner may be nil. It reports whether that is news.
func (r *repairs) report(id shardID, owner []byte) bool { return r.note(id.stripe, owner, 1<<id.shard) }

func (r *repairs) note(stripe [16]byte, owner []byte, shards uint64) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, known := r.mu.damaged[stripe]
	if !known {
		d.found = r.now()
	}
	if d.owner == nil {
		d.owner = bytes.Clone(owner)
	}
	news = d.shards&shards != shards
	d.shards |= shards
	if known || len(r.mu.damaged) < badMax {
		r.mu.damaged[stripe] = d
	} else {
		r.mu.overflow = true
	}
	r.wake()
	return news
}

// committed: values were put. They may name stripes that were written incomplete.
func (r *repairs) committed(mutations []index.Mutation) {
	removed := false
	r.departed.Range(func(_, _ any) bool { removed = true; return false })
	if r.queued() == 0 && !removed {
		return
	}
	for _, m := range mutations {
		blobs, _, err := DecodeValue(m.Value)
		if m.Kind != index.Put || err != nil {
			continue
		}
		for i := range blobs {
			for j := range blobs[i].Stripes {
				r.departure(&blobs[i].Stripes[j], m.Key)
				r.named(blobs[i].Stripes[j].ID, m.Key)
			}
		}
	}
}

// departure reports the shards of a stripe that lie on drives that were removed.
func (r *repairs) departure(st *Stripe, owner []byte) {
	for i, sh := range st.Shards {
		if _, gone := r.departed.Load(sh.Drive); gone && !sh.Address.IsZero() {
			r.report(shardID{st.ID, uint8(i)}, owner)
		}
	}
}

// named: the owner of a stripe became known.
func (r *repairs) named(stripe [16]byte, owner []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, known := r.mu.damaged[stripe]; known && d.owner == nil {
		d.owner = bytes.Clone(owner)
		r.mu.damaged[stripe] = d
		r.wake()
	}
}

// reported tells whether a read found a shard to be bad.
func (r *repairs) reported(id shardID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.damaged[id.stripe].shards&(1<<id.shard) != 0
}

// forget: a shard is well.
func (r *repairs) forget(id shardID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, known := r.mu.damaged[id.stripe]; known {
		d.shards &^= 1 << id.shard
		r.mu.damaged[id.stripe] = d
	}
}

// done: a stripe lacks nothing, or nobody names it any more. It returns when the
// damage was found; zero where it was not queued.
func (r *repairs) done(stripe [16]byte) (found time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = r.mu.damaged[stripe].found
	delete(r.mu.damaged, stripe)
	return found
}

// queued counts the stripes that wait.
func (r *repairs) queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.damaged)
}

// owners of the damaged stripes. search: there are some, found more than a while
// ago, whose owner is not known; soon: there are younger ones, whose commit may
// tell.
func (r *repairs) owners(while time.Duration) (keys [][]byte, search, soon bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	search = r.mu.overflow
	for _, d := range r.mu.damaged {
		switch {
		case d.owner != nil:
			keys = append(keys, d.owner)
		case r.now().Sub(d.found) >= while:
			search = true
		default:
			soon = true
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal), search, soon
}

// scanned: every value of the index was looked at, and what was known before the
// scan has been seen. What is still queued from then is named by nobody.
func (r *repairs) scanned(began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.overflow = false
	for stripe, d := range r.mu.damaged {
		if d.owner == nil && r.now().Sub(d.found) > orphanKept && d.found.Before(began) {
			delete(r.mu.damaged, stripe)
		}
	}
}

// orphanKept is how long a damaged stripe waits for somebody to name it.
const orphanKept = time.Hour

// progress is the repair under way, else the last one.
func (r *repairs) progress() (running bool, report RepairReport) {
	r.state.Lock()
	defer r.state.Unlock()
	return r.state.running, r.state.report
}

func (r *repairs) tell(running bool, report RepairReport) {
	r.state.Lock()
	defer r.state.Unlock()
	r.state.running, r.state.report = running, report
}
