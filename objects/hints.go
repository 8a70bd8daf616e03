package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tarnlake/tarn/objects/index"
)

// hintsMax bounds the values that are remembered; those beyond come when they are read again.
const hintsMax = 4 * swapsTogether

// hints are the values of packed blobs that were found to lie elsewhere than they say:
// the shard was rebuilt, or moved. They are read by a look at the stripe's entry
// until they say where it lies now.
type hints struct {
	due chan struct{} // holds a token when there are some
	mu  struct {
		sync.Mutex
		stale map[string]bool // keys
	}
}

func (h *hints) init() { h.due = make(chan struct{}, 1) }

// note is called by reads.
func (h *hints) note(owner []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.mu.stale) >= hintsMax {
		return
	}
	if h.mu.stale == nil {
		h.mu.stale = map[string]bool{}
	}
	h.mu.stale[string(owner)] = true
	tap(h.due)
}

func (h *hints) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := make([]string, 0, len(h.mu.stale))
	for key := range h.mu.stale {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	h.mu.stale = nil
	return keys
}

// hintLoop puts hints right a while after they were met, many at a time.
func (s *Store) hintLoop() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.hints.due:
		}
		if s.host.Clock.Sleep(s.life, s.o.RepairPause) != nil {
			return
		}
		if _, err := s.refreshHints(s.life); err != nil && s.life.Err() == nil {
			s.host.Log.Debug("hints of packed blobs not refreshed; reads go on without", "error", err)
		}
	}
}

// refreshHints swaps the values whose hints were found wrong, unless they changed. It
// counts those that it swapped.
func (s *Store) refreshHints(ctx context.Context) (refreshed int, err error) {
	var batch []*swap
	for _, key := range s.hints.take() {
		one, err := s.refreshed(ctx, []byte(key))
		if err != nil {
			return refreshed, err
		}
		if one != nil {
			batch = append(batch, one)
		}
		if len(batch) == swapsTogether/2 { // with as many guards: far below what a transaction may be
			n, err := s.swapHints(ctx, batch)
			if refreshed += n; err != nil {
				return refreshed, err
			}
			batch = nil
		}
	}
	n, err := s.swapHints(ctx, batch)
	return refreshed + n, err
}

func (s *Store) swapHints(ctx context.Context, batch []*swap) (won int, err error) {
	if len(batch) == 0 {
		return 0, nil
	}
	size := int64(0)
	for _, one := range batch {
		size += int64(len(one.value))
	}
	if err := s.traffic.grant(ctx, size); err != nil {
		return 0, err
	}
	applied, err := s.swapAll(ctx, batch)
	if err != nil {
		return 0, fmt.Errorf("refresh hints: %w", err)
	}
	for _, ok := range applied {
		if ok {
			won++
		}
	}
	return won, nil
}

// refreshed is the value of a key with the right hint; nil where it has that already, or
// is no packed blob any more.
func (s *Store) refreshed(ctx context.Context, key []byte) (*swap, error) {
	item, err := s.idx.Get(ctx, key)
	if errors.Is(err, index.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("refresh hint of key %q: %w", key, err)
	}
	blobs, payload, err := DecodeValue(item.Value)
	bucket, _, _, ok := parseOwned(key)
	if err != nil || len(blobs) != 1 || blobs[0].Packed == nil || !ok {
		return nil, nil // the audit tells of what does not decode
	}
	r := packedRead{s: s, blob: &blobs[0], key: stripeKey(string(bucket), blobs[0].Packed.Stripe)}
	st, err := r.stripe(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	at := blobs[0].Packed
	if err != nil || st.Shards[at.Shard] == at.Hint || st.Shards[at.Shard].Address.IsZero() {
		return nil, nil
	}
	moved := *at
	moved.Hint = st.Shards[at.Shard]
	blobs[0].Packed = &moved
	return &swap{item: item, value: EncodeValue(blobs, payload)}, nil
}
