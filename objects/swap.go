package objects

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// Bounds of one transaction of swaps.
const (
	swapsTogether   = 500
	swapBytesMax    = 512 << 10
	swapTries       = 5 // to learn the fate of a transaction
	swapsWaitingMax = 4 * swapsTogether
)

// swaps replace values of the index that name moved shards. Many of them share a
// transaction; each is applied only where its value has not changed meanwhile.
type swaps struct {
	s       *Store
	waiting chan *swap
	lead    chan struct{} // holds a token while one of those who wait commits for all
}

// swap is one value to be replaced.
type swap struct {
	item  index.Item // as it was read
	value []byte
	done  chan struct{}
	won   bool
	err   error
}

func newSwaps(s *Store) *swaps {
	return &swaps{s: s, waiting: make(chan *swap, swapsWaitingMax), lead: make(chan struct{}, 1)}
}

// replace reports whether the value was swapped in; false where it has changed.
func (w *swaps) replace(ctx context.Context, item index.Item, value []byte) (bool, error) {
	one := &swap{item: item, value: value, done: make(chan struct{})}
	w.waiting <- one
	for {
		select {
		case <-one.done:
			return one.won, one.err
		case w.lead <- struct{}{}:
			w.commit(ctx)
			<-w.lead
		}
	}
}

// commit swaps what waits.
func (w *swaps) commit(ctx context.Context) {
	batch := w.take()
	if len(batch) == 0 {
		return
	}
	applied, err := w.s.swapAll(ctx, batch)
	for i, one := range batch {
		one.won, one.err = err == nil && applied[i], err
		close(one.done)
	}
}

func (w *swaps) take() (batch []*swap) {
	bytes := 0
	for len(batch) < swapsTogether && bytes < swapBytesMax {
		select {
		case one := <-w.waiting:
			batch = append(batch, one)
			bytes += len(one.item.Key) + len(one.value)
		default:
			return batch
		}
	}
	return batch
}

// swapAll commits one transaction, and learns its fate.
func (s *Store) swapAll(ctx context.Context, batch []*swap) ([]bool, error) {
	var txn index.Txn
	for _, one := range batch {
		txn.Mutations = append(txn.Mutations, index.Mutation{
			Kind: index.Put, Key: one.item.Key, Value: one.value, Moved: true,
			Guard: &index.Condition{Kind: index.KeyVersion, Key: one.item.Key, Version: one.item.Version},
		})
	}
	res, err := s.upkeep(ctx, txn)
	if errors.Is(err, ErrStageTooOld) {
		return s.swapEach(ctx, batch)
	}
	if err != nil {
		return nil, fmt.Errorf("swap %d values: %w", len(batch), err)
	}
	return res.Applied, nil
}

// swapEach swaps one by one where some name bytes that a sweep gave back. The values
// of those have changed: what a value names is not given back.
func (s *Store) swapEach(ctx context.Context, batch []*swap) ([]bool, error) {
	if len(batch) == 1 {
		return []bool{false}, nil
	}
	var applied []bool
	for _, one := range batch {
		won, err := s.swapAll(ctx, []*swap{one})
		if err != nil {
			return nil, err
		}
		applied = append(applied, won...)
	}
	return applied, nil
}
