package objects

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarnlake/tarn/objects/index"
)

// committing is the index as everybody sees it but the store's own upkeep: its
// transactions name no bytes that a sweep gave back, and a sweep gives back no
// bytes that they name.
type committing struct {
	index.Index
	pins    *pins
	backlog *backlog
	reads   *tickets
}

// Snapshot pins the present state, and what it names: sweeps give none of that back
// until it is closed or expires.
func (c committing) Snapshot(ctx context.Context) (index.Snapshot, error) {
	ticket := c.reads.enter()
	snap, err := c.Index.Snapshot(ctx)
	if err != nil {
		c.reads.leave(ticket)
		return nil, err
	}
	return &heldSnapshot{snap, c.reads, ticket}, nil
}

// heldSnapshot is a reader of everything that the snapshot names.
type heldSnapshot struct {
	index.Snapshot
	reads  *tickets
	ticket uint64
}

func (h *heldSnapshot) Get(ctx context.Context, key []byte) (index.Item, error) {
	if !h.reads.good(h.ticket) {
		return index.Item{}, index.ErrSnapshotExpired
	}
	item, err := h.Snapshot.Get(ctx, key)
	return item, h.ended(err)
}

func (h *heldSnapshot) Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error] {
	return func(yield func(index.Item, error) bool) {
		for item, err := range h.Snapshot.Scan(ctx, lo, hi, o) {
			if err == nil && !h.reads.good(h.ticket) {
				item, err = index.Item{}, index.ErrSnapshotExpired
			}
			if !yield(item, h.ended(err)) || err != nil {
				return
			}
		}
	}
}

// ended lets sweeps go on where the snapshot expired by itself.
func (h *heldSnapshot) ended(err error) error {
	if errors.Is(err, index.ErrSnapshotExpired) {
		h.reads.leave(h.ticket)
	}
	return err
}

func (h *heldSnapshot) Close() error {
	h.reads.leave(h.ticket)
	return h.Snapshot.Close()
}

// Commit makes txn durable. ErrStageTooOld: it names bytes that were not
// committed within Options.StageKept, and are gone.
func (c committing) Commit(ctx context.Context, txn index.Txn) (res index.Result, err error) {
	err = c.pins.naming(txn.Mutations, func() error {
		res, err = c.Index.Commit(ctx, txn)
		return err
	})
	if err == nil {
		c.backlog.noted(txn.Mutations)
	}
	return res, err
}

// naming commits mutations of which a sweep gives back nothing that they name, from
// before the look at what was given back until their fate is known. ErrStageTooOld:
// it was given back, and nothing was committed.
func (p *pins) naming(mutations []index.Mutation, commit func() error) error {
	ticket := p.commits.enter()
	defer p.commits.leave(ticket)
	n := namedBy(mutations)
	if err := p.claim(&n); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	err := commit()
	p.settled(&n, err)
	return err
}
