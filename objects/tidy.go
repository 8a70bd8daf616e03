package objects

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
)

// Tidiness is what packing and reclamation have done since the store was opened,
// and what is left to them.
type Tidiness struct {
	BacklogBlobs  int   // small blobs that wait to be packed, as far as is known
	BacklogBytes  int64 // written since the last packing
	JointBlobs    int64 // that shared a stripe from the start, and need no packing
	JointBytes    int64
	PackedBlobs   int64
	PackedBytes   int64
	SmallBytes    int64 // of living blobs in whole copies, at the last look at the index
	SharedBytes   int64 // of living blobs in shared stripes, then
	LiveBytes     int64 // of living records in all extents, then
	SparseBytes   int64 // of garbage in all extents, then
	MovedBytes    int64 // out of sparse extents
	GivenBack     int64 // bytes of extents that were swept
	LastLook      time.Time
	Miscounts     int64 // of what is alive, that were found wrong; ever 0, unless Tarn is
	BacklogMissed bool  // some blobs wait that are not counted: the next packing looks at everything
}

// Tidiness tells it.
func (s *Store) Tidiness() Tidiness { return s.tidy.tell() }

// tidy is what packer, reclamation and sweep know of each other.
type tidy struct {
	backlog backlog
	mu      struct {
		sync.Mutex
		now    Tidiness
		sparse map[[16]byte]bool // shared stripes of which little is alive
	}
}

func (t *tidy) tell() Tidiness {
	t.mu.Lock()
	now := t.mu.now
	t.mu.Unlock()
	now.BacklogBlobs, now.BacklogBytes, now.BacklogMissed = t.backlog.size()
	now.JointBlobs, now.JointBytes = t.backlog.jointly()
	return now
}

func (t *tidy) packed(r PackReport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.now.PackedBlobs += r.Blobs
	t.mu.now.PackedBytes += r.Bytes
}

func (t *tidy) moved(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.now.MovedBytes += bytes
}

func (t *tidy) gave(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.now.GivenBack += bytes
}

func (t *tidy) miscounted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.now.Miscounts++
}

// looked keeps what a look at the index found.
func (t *tidy) looked(l *liveness, used int64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &t.mu.now
	n.SmallBytes, n.SharedBytes, n.LastLook = l.small, l.shared, at
	n.LiveBytes = 0
	for _, live := range l.extents {
		n.LiveBytes += live
	}
	n.SparseBytes = max(used-n.LiveBytes, 0)
	t.mu.sparse = l.sparse
}

func (t *tidy) isSparse(stripe [16]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.sparse[stripe]
}

// backlogMax bounds the keys that are remembered.
const backlogMax = 1 << 17

// backlog is the keys of values with small blobs that were committed.
type backlog struct {
	mu     sync.Mutex
	keys   map[string]bool
	bytes  int64
	came   int64                        // blobs, since the store was opened
	joint  struct{ blobs, bytes int64 } // of those: that shared a stripe from the start
	missed bool                         // there are more
}

// noted: transactions were committed that put small blobs.
func (b *backlog) noted(mutations []index.Mutation) {
	for i := range mutations {
		m := &mutations[i]
		if _, k, _, ok := parseOwned(m.Key); !ok || k != KindObject && k != KindPart {
			continue
		}
		blobs, _, err := DecodeValue(m.Value)
		if err == nil && len(blobs) == 1 && isSmall(&blobs[0]) {
			b.add(string(m.Key), blobs[0].Bytes)
			b.arrived()
		}
	}
}

// joined: blobs were written that need no packing.
func (b *backlog) joined(blobs int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came += int64(blobs)
	b.joint.blobs += int64(blobs)
	b.joint.bytes += bytes
}

// jointly counts what was joined since the store was opened.
func (b *backlog) jointly() (blobs, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.joint.blobs, b.joint.bytes
}

func (b *backlog) arrived() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came++
}

// arrivals counts the small blobs that were written since the store was opened.
func (b *backlog) arrivals() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.came
}

func (b *backlog) add(key string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += bytes
	if b.keys == nil {
		b.keys = map[string]bool{}
	}
	if len(b.keys) < backlogMax {
		b.keys[key] = true
	} else {
		b.missed = true
	}
}

// again keeps the key of a blob that waits for more, where there is ample room.
func (b *backlog) again(key string) {
	b.mu.Lock()
	room := len(b.keys) < backlogMax/2
	b.mu.Unlock()
	if room {
		b.add(key, 0)
	}
}

// overflow: the keys are not all there is.
func (b *backlog) overflow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missed = true
}

// take empties the backlog. all: there is more than the keys.
func (b *backlog) take() (keys []string, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.keys {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	all = b.missed
	b.keys, b.bytes, b.missed = nil, 0, false
	return keys, all
}

func (b *backlog) size() (blobs int, bytes int64, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys), b.bytes, b.missed
}

// pace bounds the bytes a second of work that can wait.
type pace struct {
	clock host.Clock
	rate  int64       // bytes a second
	busy  func() bool // foreground requests are under way: then at half the rate
	hurry func() bool // space runs out: then at any rate
	mu    struct {
		sync.Mutex
		credit int64
		at     time.Time
	}
}

// wait returns when n more bytes may be moved.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p == nil || p.hurry() {
		return ctx.Err()
	}
	if p.busy() {
		n *= 2
	}
	if debt := p.spend(n); debt > 0 {
		return p.clock.Sleep(ctx, time.Duration(debt)*time.Second/time.Duration(p.rate))
	}
	return ctx.Err()
}

// spend takes n off the credit, of which at most a second's is saved, and returns
// what is owed.
func (p *pace) spend(n int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if p.mu.at.IsZero() {
		p.mu.credit = p.rate
	}
	earned := int64(min(now.Sub(p.mu.at), time.Second)) * p.rate / int64(time.Second)
	p.mu.credit, p.mu.at = min(p.mu.credit+earned, p.rate)-n, now
	return -p.mu.credit
}
