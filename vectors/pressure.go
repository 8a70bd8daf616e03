package vectors

import (
	"context"
	"fmt"
	"time"
)

// Rows can be pushed quicker than they are put in order. What holds writers back is the tail, which queries
// compare with, and neighbourhoods that are long overdue to be written anew, in which queries compare with too many rows.

// overdueFolds is how many folds' rows may lie in neighbourhoods that must be written anew before writers wait.
const overdueFolds = 2

// tailShare: writers wait while the tail has more than one in so many of the vectors that are in order: a query compares with
// those near to it in full numbers, or, while the index is young, with all.
const tailShare = 16

// calmShare: one fold's rows in so many within calmAfter are few.
const calmShare = 8

// pressed reports whether rows stream in: then upkeep does only what cannot wait.
func (o *opened) pressed(m *moment) bool {
	t := &o.e.o.Tuning
	return m.owing || 4*m.size.rows > t.FoldRows || 4*m.size.bytes > t.FoldBytes
}

// calmAfter is how long few rows must have come before neighbourhoods are polished.
const calmAfter = 5 * time.Second

// calm reports whether few rows come. Where it does not yet, upkeep looks again.
func (o *opened) calm(m *moment) bool {
	now, n := o.e.host.Clock.Now(), &o.upkeep
	if calmShare*(m.joined-n.joined) > o.e.o.Tuning.FoldRows {
		n.joined, n.since = m.joined, now
	}
	if now.Sub(n.since) >= calmAfter {
		return true
	}
	o.e.soon.Store(true)
	return false
}

// overdue is how many rows lie in neighbourhoods that are to be written anew even while rows stream in.
func (o *opened) overdue(m *moment) (rows int) {
	for _, h := range m.homes {
		if o.tooLarge(h) || o.tooLoose(h, partsPressed, 1) {
			rows += h.rows
		}
	}
	return rows
}

// owe tells writers how much is overdue. They wait until it is half of what it may be.
func (o *opened) owe(rows int) {
	most := overdueFolds * o.e.o.Tuning.FoldRows
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case rows > most:
		o.mu.owing = true
	case o.mu.owing && 2*rows <= most:
		o.mu.owing = false
		o.makeRoom()
	}
}

// makeRoom lets writers look again. It needs mu.
func (o *opened) makeRoom() {
	if o.mu.room != nil {
		close(o.mu.room)
		o.mu.room = nil
	}
}

// full reports whether writers must wait. It needs mu.
func (o *opened) full() bool {
	t, v := &o.e.o.Tuning, o.mu.view
	share := v.tailBytes / int64(max(1, v.tailRows)) * int64(v.rows) / tailShare
	return o.mu.owing || v.tailBytes > min(t.TailBytesMax, max(share, t.YoungBytes+t.FoldBytes))
}

// awaitRoom waits while too much is to be put in order.
func (o *opened) awaitRoom(ctx context.Context) error {
	for {
		o.mu.Lock()
		if !o.full() {
			o.mu.Unlock()
			return nil
		}
		if o.mu.room == nil {
			o.mu.room = make(chan struct{})
		}
		room := o.mu.room
		o.mu.Unlock()
		o.e.wake()
		select {
		case <-room:
		case <-o.stale:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for upkeep to put rows in order: %w", ctx.Err())
		case <-o.e.ctx.Done():
			return ErrClosed
		}
	}
}
