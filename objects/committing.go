package objects

import (
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// committing is the index as everybody sees it but the store's own upkeep: its
// transactions name no bytes that a sweep gave back, and a sweep gives back no
// bytes that they name.
type committing struct {
	index.Index
	pins    *pins
	backlog *backlog
}

// Commit makes txn durable. ErrStageTooOld: it names bytes that were not
// committed within Options.StageKept, and are gone.
func (c committing) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	ticket := c.pins.commits.enter()
	defer c.pins.commits.leave(ticket)
	stripes := stripesNamed(txn.Mutations)
	if len(stripes) == 0 {
		return c.Index.Commit(ctx, txn)
	}
	if err := c.pins.claim(stripes); err != nil {
		return index.Result{}, fmt.Errorf("commit: %w", err)
	}
	res, err := c.Index.Commit(ctx, txn)
	if err == nil {
		c.pins.committed(stripes)
		c.backlog.noted(txn.Mutations)
	}
	return res, err
}
