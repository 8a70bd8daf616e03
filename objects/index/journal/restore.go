package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tarnlake/tarn/objects/drive"
)

// restore reads the newest epoch from those of its drives that are present. Where
// all of them hold it whole, and no later number was reserved, it is gone on with, after
// what may have been under way was synced again; else everything goes to a new
// epoch first. A later epoch may bear a reserved number, named on the root of a
// drive that is away: what were acknowledged in this one would be lost when it returns.
func (j *Journal) restore(ctx context.Context) error {
	copies := j.scanAll(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(copies) == 0 {
		return fmt.Errorf("%w: none of the drives %v of epoch %d is present", ErrLost, j.write.state.Drives, j.write.state.Epoch)
	}
	h, err := recall(j.write.state, copies)
	if err != nil {
		return err
	}
	j.adopt(h, copies)
	if h.complete(copies, j.o.copies()) && j.write.state.resumable(j.o.copies()) {
		if err = j.resume(ctx, h); err == nil {
			return nil
		}
		j.o.Host.Log.Warn("the journal's epoch cannot be gone on with", "error", err)
	}
	j.seal(errors.New("journal: recovered from an epoch that cannot be gone on with"))
	j.mu.Lock()
	j.mu.doubt = h.last > h.acknowledged // some drive may come without what comes after
	j.mu.Unlock()
	if err := j.nextEpoch(ctx, nil); errors.Is(err, ErrLost) {
		return err
	} else if err != nil {
		j.o.Host.Log.Warn("the journal is read-only", "error", err)
	}
	return nil
}

func (h *history) complete(copies []scanned, want int) bool {
	ok := h.anchored && len(copies) == want
	for i, c := range copies {
		ok = ok && h.whole[i] && c.drive.Err() == nil
	}
	return ok
}

// adopt takes what was recalled as the journal's memory.
func (j *Journal) adopt(h history, copies []scanned) {
	drives, places := make([]Drive, len(copies)), make([]map[uint64]drive.Address, len(copies))
	for i, c := range copies {
		drives[i], places[i] = c.drive, map[uint64]drive.Address{}
		if c.rotten > 0 {
			j.mu.damaged[c.drive.Number()] = c.rotten
		}
	}
	l := newLedger(j.write.state, drives)
	for i, c := range copies {
		for _, r := range c.records {
			l.lanes[i].note(r.at, r.last(), recordHeaderBytes+int(r.contentBytes))
			if r.count > 0 {
				places[i][r.first] = r.at
			}
		}
	}
	for _, r := range h.records {
		at := make([]drive.Address, len(copies))
		for i := range copies {
			at[i] = places[i][r.first]
		}
		l.add(r, at)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.ledger, j.mu.trimmed, j.mu.last = l, h.base, h.last
	j.write.drives, j.write.chain, j.write.marked = drives, h.chain, h.acknowledged
}

// resume goes on with the epoch. The records after the last one that is known to
// have been acknowledged may be unsynced, or be on some drives only: they are
// written again, the same bytes, on every drive. The State too is saved again: it
// may have been seen on one root only.
func (j *Journal) resume(ctx context.Context, h history) error {
	for _, r := range h.records {
		if r.first <= h.acknowledged {
			continue
		}
		payload, _, err := j.fetch(ctx, r.first)
		if err != nil {
			return err
		}
		l, _ := j.top()
		results := j.appendAll(ctx, j.write.drives, l.identity(), payload)
		if err := j.failure(j.write.drives, results); err != nil {
			return err
		}
		j.mu.Lock()
		l.move(r, place(results, 0))
		j.mu.Unlock()
	}
	j.write.state.Base, j.write.pruned = h.base, h.base
	if err := j.o.Roots.Save(ctx, j.write.state); err != nil {
		return fmt.Errorf("save the state of epoch %d: %w", j.write.state.Epoch, err)
	}
	j.sweep(ctx)
	return nil
}

// scanAll reads the epoch's records from all of its drives that are present.
func (j *Journal) scanAll(ctx context.Context) []scanned {
	var present []Drive
	for _, n := range j.write.state.Drives {
		for _, d := range j.o.Drives() {
			if d.Number() == n {
				present = append(present, d)
				break
			}
		}
	}
	copies, done := make([]scanned, len(present)), make(chan struct{}, len(present))
	for i, d := range present {
		go func() {
			copies[i] = j.scan(ctx, d)
			done <- struct{}{}
		}()
	}
	for range present {
		<-done
	}
	for i, d := range present {
		copies[i].past = j.o.Roots.Past(d.Number())
	}
	return copies
}

// scan reads one drive, and gives up on it when it yields nothing for DriveTimeout.
func (j *Journal) scan(ctx context.Context, d Drive) scanned {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var progress atomic.Int64
	result, late := make(chan scanned, 1), make(chan struct{})
	j.tasks.Add(1)
	go func() {
		defer j.tasks.Done()
		result <- scanDrive(ctx, d, j.write.state, &progress)
	}()
	defer j.watch(&progress, late)()
	select {
	case s := <-result:
		return s
	case <-late:
		j.o.Events.driveFailed(d.Number(), fmt.Errorf("scan: %w", ErrSlow))
		return scanned{drive: d, rotten: 1, open: true}
	}
}

// watch closes late when progress stands still for DriveTimeout. The returned function ends it.
func (j *Journal) watch(progress *atomic.Int64, late chan struct{}) (stop func()) {
	var over atomic.Bool
	var arm func(seen int64)
	arm = func(seen int64) {
		j.o.Host.Clock.AfterFunc(j.o.DriveTimeout, func() {
			switch now := progress.Load(); {
			case over.Load():
			case now == seen:
				close(late)
			default:
				arm(now)
			}
		})
	}
	arm(0)
	return func() { over.Store(true) }
}

func scanDrive(ctx context.Context, d Drive, s State, progress *atomic.Int64) scanned {
	out := scanned{drive: d}
	var latest uint64  // session of the drive in which it was told last of the epoch
	var until []uint64 // before which sessions extents were written that cannot be read
	for f, err := range d.Scan(ctx, drive.Journal) {
		progress.Add(1)
		if err != nil {
			out.rotten, out.open = out.rotten+1, true
			return out
		}
		if f.Err != nil && f.Address.Sector == 0 { // a whole extent
			out.rotten++
			until = append(until, f.Session)
			continue
		}
		if out.take(f, s) {
			latest = f.Session
		}
	}
	unknown := func(session uint64) bool { return session == 0 || session > latest } // it may have held what comes after
	out.open = out.open || slices.ContainsFunc(until, unknown)
	return out
}

// take enters what lies next on the drive, if it is the epoch's or may be, and reports whether it is.
func (c *scanned) take(f drive.Found, s State) bool {
	if f.Identity.Stripe != s.ID && f.Identity != (drive.Identity{}) {
		return false
	}
	var h header
	err := f.Err
	if err == nil {
		h, err = decodeRecord(f.Payload)
	}
	if c.open = err != nil || h.epoch != s.Epoch; c.open {
		c.rotten++
		return false
	}
	c.records = append(c.records, found{h, f.Address})
	return true
}
