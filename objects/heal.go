package objects

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/erasure"
	"github.com/tarnlake/tarn/objects/placement"
)

// healing is what was done for one value.
type healing struct {
	stripes map[[16]byte]Stripe // healed before, for a value that changed meanwhile
	changed int                 // stripes with new shards
	whole   int64               // stripes that lack nothing now
	lost    int64
	bytes   int64
}

// apply heals every damaged stripe of blobs in place.
func (h *healing) apply(ctx context.Context, r *repair, blobs []Blob) error {
	h.changed, h.whole, h.lost = 0, 0, 0
	if h.stripes == nil {
		h.stripes = map[[16]byte]Stripe{}
	}
	for i := range blobs {
		for j := range blobs[i].Stripes {
			if err := h.stripe(ctx, r, &blobs[i].Stripes[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *healing) stripe(ctx context.Context, r *repair, st *Stripe) error {
	if done, ok := h.stripes[st.ID]; ok {
		*st = done
		h.changed++
		h.whole++
		return nil
	}
	bad := r.inspect(ctx, st)
	if len(bad) == 0 {
		return ctx.Err()
	}
	b := &rebuilding{s: r.s, hold: r.hold, stripe: *st, bad: map[int]bool{}}
	b.stripe.Shards = append([]Shard(nil), st.Shards...)
	for _, i := range bad {
		b.bad[i] = true
	}
	placed, err := b.run(ctx)
	h.bytes += b.bytes
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.s.host.Log.Warn("stripe not repaired", "stripe", fmt.Sprintf("%x", st.ID), "error", err)
		if b.lost {
			h.lost++
		}
		return nil
	case placed > 0:
		*st = b.stripe
		h.changed++
	}
	if len(b.bad) == 0 {
		h.whole++
		h.stripes[st.ID] = b.stripe
	}
	return nil
}

// rebuilding makes the bad shards of one stripe anew.
type rebuilding struct {
	s      *Store
	hold   *hold
	stripe Stripe
	bad    map[int]bool // not placed yet
	layout placement.Layout
	lost   bool // fewer than k shards are good
	bytes  int64
}

// run returns the number of shards that found a place, each read back. An error
// is one of a stripe that could have been healed, and was not at all.
func (b *rebuilding) run(ctx context.Context) (placed int, err error) {
	b.layout = b.s.drives.layout()
	if _, targets := b.targets(); len(targets) == 0 {
		return 0, nil // there is no drive for it, so it is not even read
	}
	shards, err := b.gather(ctx)
	if err != nil {
		return 0, err
	}
	for range repairRounds {
		n, e := b.round(ctx, shards)
		placed += n
		if err = e; err == nil {
			break
		}
	}
	if placed > 0 {
		err = nil
	}
	return placed, err
}

// repairRounds is how often other drives are tried where one did not take a shard.
const repairRounds = 3

// round gives the bad shards drives. One that fails is not chosen again.
func (b *rebuilding) round(ctx context.Context, shards [][]byte) (placed int, err error) {
	todo, targets := b.targets()
	for k, number := range targets {
		i := todo[k]
		before := b.stripe.Shards[i]
		if e := b.place(ctx, i, shards[i], number); e != nil {
			b.stripe.Shards[i], err = before, e
			b.exclude(number)
			continue
		}
		delete(b.bad, i)
		placed++
	}
	return placed, err
}

func (b *rebuilding) exclude(number uint16) {
	for i := range b.layout {
		if b.layout[i].Number == number {
			b.layout[i].Well = false
		}
	}
}

// targets are the bad shards, and drives for as many of them as there are.
func (b *rebuilding) targets() (todo []int, drives []uint16) {
	var held []uint16
	for i, sh := range b.stripe.Shards {
		if b.bad[i] {
			todo = append(todo, i)
		} else {
			held = append(held, sh.Drive)
		}
	}
	return todo, b.layout.Choose(b.stripe.ID, len(todo), int(b.stripe.M), held...)
}

// gather reads k good shards and rebuilds the bad ones. One that turns out to be
// bad joins them.
func (b *rebuilding) gather(ctx context.Context) ([][]byte, error) {
	st := &b.stripe
	shards := make([][]byte, len(st.Shards))
	good, silent := 0, 0
	for i, sh := range st.Shards {
		m := b.s.drives.find(sh.Drive)
		if b.bad[i] || good == int(st.K) {
			continue
		}
		if !m.readable() {
			silent++ // slow: neither good nor bad
			continue
		}
		p, err := b.s.readShard(ctx, m, st, i)
		if err != nil {
			b.bad[i] = true
			continue
		}
		shards[i], good = p, good+1
	}
	if good < int(st.K) {
		b.lost = good+silent < int(st.K)
		return nil, fmt.Errorf("%w: %d good shards, %d are needed", ErrUnavailable, good, st.K)
	}
	code, err := erasure.New(int(st.K), int(st.M))
	if err != nil {
		return nil, err
	}
	wanted := make([]bool, len(shards))
	for i := range b.bad {
		wanted[i] = true
	}
	return shards, code.Reconstruct(shards, wanted)
}

// place writes a shard to a drive and reads it back.
func (b *rebuilding) place(ctx context.Context, i int, p []byte, number uint16) error {
	m := b.s.drives.find(number)
	if m == nil {
		return fmt.Errorf("drive %d went away", number)
	}
	ticket := b.s.pins.appends.enter()
	at, err := b.s.append(ctx, m, b.stripe.class(), drive.Record{Identity: b.stripe.identity(i), Payload: p})
	if err == nil {
		b.hold.add(place{number, at.Extent})
	}
	b.s.pins.appends.leave(ticket)
	if err != nil {
		return err
	}
	b.stripe.Shards[i] = Shard{Drive: number, Address: at}
	back, err := b.s.readShard(ctx, m, &b.stripe, i)
	if err == nil && !bytes.Equal(back, p) {
		err = fmt.Errorf("shard %d reads back from drive %d as something else", i, number)
	}
	if err == nil {
		b.s.repairs.forget(shardID{b.stripe.ID, uint8(i)})
		b.bytes += int64(len(p))
	}
	return err
}
