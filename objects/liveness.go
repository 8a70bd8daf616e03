package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// liveness is what the index names, as of one moment.
type liveness struct {
	extents map[place]int64   // bytes of living records, as they lie on the drive
	dead    []deadStripe      // shared stripes of which no blob is alive
	sparse  map[[16]byte]bool // those of which few are
	small   int64             // bytes of blobs in whole copies
	shared  int64             // of packed blobs
}

// deadStripe is the entry of a shared stripe that nobody refers to. Nobody ever
// will: only the transaction that makes the entry, those of the blobs that were
// written jointly with that one's, and those that replace a value which refers to it,
// refer to a stripe. A stripe of which a blob may yet be committed is not dead.
type deadStripe struct {
	key     []byte
	version uint64
	stripe  Stripe
}

// What is alive of a shared stripe or an extent, in percent, where the living are
// copied out of it. Emptying extents at half would write more than it gives back
// where whole extents die by themselves: with everything overwritten, 7.9 bytes
// were written for each that was put, and 6.4 without (23 November 2026).
const (
	sparseShare  = 50 // of a stripe
	sparseExtent = 33
)

// liveness looks at the counts of what the index and the roots name. Where any value
// does not decode it is an error, for what that names is not known.
func (s *Store) liveness(ctx context.Context) (*liveness, error) {
	record := s.roots.get()
	named, err := s.checkpoint(ctx, &record)
	if err != nil {
		return nil, err
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.pins.lookJoint()
	c, state, err := s.tally.look(ctx)
	open := s.pins.lookedJoint()
	if err != nil {
		return nil, err
	}
	if c.hidden > 0 {
		return nil, fmt.Errorf("%d values of the index name what is not known: %w", c.hidden, c.example)
	}
	l := &liveness{extents: maps.Clone(c.extents), sparse: map[[16]byte]bool{}, small: c.small, shared: c.shared}
	for _, b := range named.blobs() {
		for i := range b.Stripes {
			l.add(&b.Stripes[i], 1)
		}
	}
	for id, st := range c.stripes {
		switch {
		case st.bucket == "" || open[id]: // some of its blobs may yet be committed
		case st.alive == 0:
			err = errors.Join(err, l.bury(ctx, state, stripeKey(st.bucket, id)))
		case st.alive*100 < st.bytes*sparseShare:
			l.sparse[id] = true
		}
	}
	return l, err
}

func (l *liveness) add(st *Stripe, sign int64) {
	size := sign * drive.RecordBytes(st.ShardBytes())
	for _, at := range st.places() {
		if l.extents[at] += size; l.extents[at] == 0 {
			delete(l.extents, at)
		}
	}
}

// bury notes a dead shared stripe, which does not count as alive any more.
func (l *liveness) bury(ctx context.Context, state readsIndex, key []byte) error {
	item, err := state.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("look at a dead stripe: %w", err)
	}
	st, _, err := decodeStripeRecord(item.Value)
	if err != nil {
		return fmt.Errorf("value of key %q: %w", key, err)
	}
	l.dead = append(l.dead, deadStripe{bytes.Clone(key), item.Version, st})
	l.add(&st, -1)
	return nil
}

// forgetStripes deletes the entries of dead shared stripes. One that was changed
// meanwhile, by repair, stays for now, and counts as alive.
func (s *Store) forgetStripes(ctx context.Context, l *liveness) error {
	for len(l.dead) > 0 {
		batch := l.dead[:min(len(l.dead), swapsTogether)]
		var txn index.Txn
		for i := range batch {
			txn.Mutations = append(txn.Mutations, index.Mutation{
				Kind: index.Delete, Key: batch[i].key,
				Guard: &index.Condition{Kind: index.KeyVersion, Key: batch[i].key, Version: batch[i].version},
			})
		}
		res, err := s.upkeep(ctx, txn)
		if err != nil {
			return fmt.Errorf("forget %d stripes: %w", len(batch), err)
		}
		for i, gone := range res.Applied {
			if !gone {
				l.add(&batch[i].stripe, 1)
			}
		}
		l.dead = l.dead[len(batch):]
	}
	return nil
}
