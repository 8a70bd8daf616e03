package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
)

// Bounds of a mover.
const (
	moveValues  = 64       // values under way at once
	moveStripes = 8        // stripes of one value at once
	moveBytes   = 96 << 20 // of shards in memory
	moveRetries = 5        // of a swap that met a concurrent change
)

// Relocation moves shards to other drives while the store serves: to drain a
// drive, or to balance.
type Relocation struct {
	Want     func(st *Stripe) []int    // the shards that shall lie elsewhere
	Avoid    func(drive uint16) bool   // drives that take none; nil: all take some
	Progress func(report RepairReport) // after every few dozen values; may be nil

	pace *pace // nil: at any rate
}

// Relocate walks the index and moves what Want names: each shard is copied, or
// rebuilt where it cannot be read, written to another drive that is well in a
// distinct failure domain, read back, and swapped into the index unless its value
// changed meanwhile. What cannot be placed stays where it is: Damaged, not Healed.
// It may be cut off anywhere; begun again it goes on with what is left.
func (s *Store) Relocate(ctx context.Context, r Relocation) (RepairReport, error) {
	m := s.newMover()
	defer m.end()
	m.moves, m.avoid, m.pace = true, r.Avoid, r.pace
	m.want = func(_ context.Context, st *Stripe) []int { return r.Want(st) }
	report := RepairReport{Began: s.host.Clock.Now()}
	w := &walk{m: m, told: func() {
		if m.sum(&report); r.Progress != nil {
			r.Progress(report)
		}
	}}
	err := m.root(ctx)
	if err == nil {
		err = w.through(ctx)
	}
	w.told()
	if err != nil {
		return report, fmt.Errorf("relocate: %w", err)
	}
	return report, nil
}

// mover gives shards new places: it copies or rebuilds them, reads them back, and
// swaps the values of the index that name them.
type mover struct {
	s     *Store
	want  func(ctx context.Context, st *Stripe) []int // shards that need a place
	moves bool                                        // they can be read where they are, and go elsewhere
	home  bool                                        // also to where they are, in another extent
	avoid func(drive uint16) bool
	pace  *pace // nil: at any rate
	hold  *hold
	room  *semaphore.Weighted // bytes
	swaps *swaps
	count struct {
		sync.Mutex
		healed, bytes int64
		failed        map[[16]byte]bool // stripes that were not healed; true: too few shards are good
		losses        []durability.Loss // to be written into the ledger
	}
	began time.Time
}

func (s *Store) newMover() *mover {
	m := &mover{s: s, hold: s.pins.hold(), room: semaphore.NewWeighted(moveBytes), swaps: newSwaps(s)}
	m.count.failed = map[[16]byte]bool{}
	m.began = s.host.Clock.Now()
	return m
}

func (m *mover) end() { m.hold.end() }

// value gives the shards of one value their places and swaps it in, unless it
// changed; then its new form is looked at again.
func (m *mover) value(ctx context.Context, key []byte) error {
	var done moved
	for range moveRetries {
		item, err := m.s.idx.Get(ctx, key)
		if errors.Is(err, index.ErrNotFound) {
			break // deleted: nothing is left to do
		}
		if err != nil {
			return fmt.Errorf("read value of key %q: %w", key, err)
		}
		blobs, payload, err := DecodeValue(item.Value)
		if err != nil {
			return fmt.Errorf("value of key %q: %w", key, err)
		}
		if err := done.apply(ctx, m, blobs); err != nil {
			return err
		}
		if done.changed == 0 {
			break
		}
		won, err := m.swaps.replace(ctx, item, EncodeValue(blobs, payload))
		if err != nil {
			return err
		}
		if won {
			break
		}
	}
	m.took(key, &done)
	return nil
}

// took counts what was done for a value.
func (m *mover) took(key []byte, done *moved) {
	m.count.Lock()
	defer m.count.Unlock()
	m.count.bytes += done.bytes
	for id, whole := range done.seen {
		if whole {
			m.count.healed++
			delete(m.count.failed, id)
			m.healed(id, done.bytes/int64(len(done.seen)))
		} else if len(m.count.failed) < badMax {
			m.count.failed[id] = done.lost[id].Needed > 0
		}
		if l, lost := done.lost[id]; lost && !m.moves && len(m.count.losses) < badMax {
			l.Owner, l.Since = bytes.Clone(key), m.s.host.Clock.Now()
			m.count.losses = append(m.count.losses, l)
		}
	}
}

// healed notes how long a stripe had been damaged.
func (m *mover) healed(id [16]byte, bytes int64) {
	found := m.s.repairs.done(id)
	if m.moves {
		return
	}
	if found.IsZero() {
		found = m.began
	}
	took := m.s.host.Clock.Now().Sub(found)
	m.s.measures.count(func(d *durability.Day) { d.Repair(took, bytes) })
}

// ledger writes what turned out to be lost into the ledger.
func (m *mover) ledger(ctx context.Context) error {
	m.count.Lock()
	losses := m.count.losses
	m.count.losses = nil
	m.count.Unlock()
	return m.s.lose(ctx, losses)
}

// sum puts the counts into a report.
func (m *mover) sum(r *RepairReport) {
	m.count.Lock()
	defer m.count.Unlock()
	r.Healed, r.BytesWritten, r.Unrepairable = m.count.healed, m.count.bytes, 0
	r.Damaged = r.Healed + int64(len(m.count.failed))
	r.BytesTotal = max(r.BytesTotal, r.BytesWritten)
	for _, lost := range m.count.failed {
		if lost {
			r.Unrepairable++
		}
	}
}

// hopeless: so few shards of a stripe are good that it was given up.
func (m *mover) hopeless(id [16]byte) bool {
	m.count.Lock()
	defer m.count.Unlock()
	return m.count.failed[id]
}

// root moves the shards of the checkpoint that the root record names.
func (m *mover) root(ctx context.Context) error {
	record := m.s.roots.get()
	named, err := m.s.checkpoint(ctx, &record)
	blobs := named.blobs()
	if err != nil || len(blobs) == 0 {
		return err
	}
	var done moved
	if err := done.apply(ctx, m, blobs); err != nil {
		return err
	}
	if done.changed > 0 {
		err = m.s.renameCheckpoint(ctx, record.checkpoint, blobs[0])
	}
	if err == nil {
		m.took(nil, &done)
	}
	return err
}

// moved is what was done for one value.
type moved struct {
	mu      sync.Mutex
	placed  map[[16]byte]replaced        // before, for a value that changed meanwhile
	seen    map[[16]byte]bool            // stripes that wanted places; true: they lack nothing now
	lost    map[[16]byte]durability.Loss // stripes with fewer than k good shards
	changed int                          // stripes with new places
	bytes   int64
}

// apply gives the wanted shards of blobs places, in place.
func (d *moved) apply(ctx context.Context, m *mover, blobs []Blob) error {
	d.changed, d.seen, d.lost = 0, map[[16]byte]bool{}, map[[16]byte]durability.Loss{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(moveStripes)
	for i := range blobs {
		for j := range blobs[i].Stripes {
			group.Go(func() error { return d.stripe(ctx, m, &blobs[i].Stripes[j]) })
		}
	}
	return group.Wait()
}

// replaced is a stripe with new places, and the one from which it was made.
type replaced struct{ from, to Stripe }

func (d *moved) stripe(ctx context.Context, m *mover, st *Stripe) error {
	if d.again(st) {
		return nil
	}
	if m.hopeless(st.ID) {
		return nil
	}
	todo := m.want(ctx, st)
	if len(todo) == 0 {
		return ctx.Err()
	}
	if err := m.pace.wait(ctx, int64(len(todo)*st.ShardBytes())); err != nil {
		return err
	}
	weight := min(int64(int(st.K)+2*len(todo))*int64(st.ShardBytes()), moveBytes)
	if err := m.room.Acquire(ctx, weight); err != nil {
		return err
	}
	defer m.room.Release(weight)
	if err := m.s.traffic.grant(ctx, weight); err != nil {
		return err
	}
	end, err := m.s.admit(ctx)
	if err != nil {
		return err
	}
	defer end()
	b := newRebuilding(m, st, todo)
	placed, err := b.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		m.s.host.Log.Warn("stripe not repaired", "stripe", fmt.Sprintf("%x", st.ID), "error", err)
	}
	d.add(st, b, placed)
	return nil
}

// again takes what was done for a stripe before its value changed, unless the stripe
// did: another mover has given shards of it places then, the old ones of which may
// be swept already, and the new ones on the same drives as ours.
func (d *moved) again(st *Stripe) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	done, ok := d.placed[st.ID]
	if !ok || !slices.Equal(st.Shards, done.from.Shards) {
		return false
	}
	*st = done.to
	d.changed++
	d.seen[st.ID] = true
	return true
}

func (d *moved) add(st *Stripe, b *rebuilding, placed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += b.bytes
	d.seen[st.ID] = len(b.todo) == 0
	if b.lost {
		d.lost[st.ID] = durability.Loss{Stripe: st.ID, Bytes: uint64(st.Bytes), Good: b.good, Needed: int(st.K), Cause: b.why()}
	}
	if placed == 0 {
		return
	}
	if len(b.todo) == 0 {
		if d.placed == nil {
			d.placed = map[[16]byte]replaced{}
		}
		d.placed[st.ID] = replaced{*st, b.stripe}
	}
	*st = b.stripe
	d.changed++
}
