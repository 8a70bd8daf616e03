package journal

import (
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
)

// Trim forgets entries up to through and gives whole extents of them back. Before
// anything is removed a mark on every drive says that it may be missing.
func (j *Journal) Trim(ctx context.Context, through uint64) error {
	j.write.Lock()
	defer j.write.Unlock()
	if !j.forget(through) {
		return j.closed()
	}
	err := j.turnExtents(ctx)
	if err != nil {
		j.seal(err)
		if err := j.nextEpoch(ctx, nil); err != nil {
			return fmt.Errorf("trim the journal through entry %d: %w", through, readOnly(err))
		}
		return nil
	}
	j.sweep(ctx)
	return nil
}

// forget drops entries from memory and reports whether there is something to
// gain on the drives.
func (j *Journal) forget(through uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	through = min(through, j.mu.last)
	if j.mu.closed || through <= j.mu.trimmed {
		return false
	}
	j.mu.trimmed = through
	j.mu.ledger.trim(through)
	if j.mu.sealed != nil {
		return false // the next epoch begins without them
	}
	for i := range j.mu.ledger.lanes {
		for n, use := range j.mu.ledger.lanes[i].extents {
			if use.bytes >= j.o.SealBytes || j.mu.ledger.lanes[i].unneeded(n, through) {
				return true
			}
		}
	}
	return false
}

// turnExtents ends the extents being written and opens the next ones with a mark.
func (j *Journal) turnExtents(ctx context.Context) error {
	for _, d := range j.write.drives {
		_, err := call(ctx, j, d, func(ctx context.Context) (any, error) { return nil, d.Seal(ctx, drive.Journal) })
		if err != nil {
			return j.exclude(d, fmt.Errorf("seal the journal's extent: %w", err))
		}
	}
	return j.mark()
}

// sweep gives back the extents that nothing needs: of the epoch's drives those
// that were trimmed whole, of all others every one. The present epoch, or the
// mark that says what was trimmed, must be durable. What fails here is tried again
// at the next sweep.
func (j *Journal) sweep(ctx context.Context) {
	mine := map[uint16]bool{}
	for i, d := range j.write.drives {
		mine[d.Number()] = true
		j.sweepDrive(ctx, d, func(x drive.ExtentInfo) bool { return j.giveBack(i, x.Number) })
	}
	for _, d := range j.o.Drives() {
		if mine[d.Number()] || j.write.excluded[d.Number()] || d.Err() != nil {
			continue
		}
		_, err := call(ctx, j, d, func(ctx context.Context) (any, error) { return nil, d.Seal(ctx, drive.Journal) })
		if err == nil {
			j.sweepDrive(ctx, d, func(drive.ExtentInfo) bool { return true })
		}
	}
}

func (j *Journal) giveBack(lane int, extent uint32) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := &j.mu.ledger.lanes[lane]
	if !n.unneeded(extent, j.write.pruned) {
		return false
	}
	delete(n.extents, extent)
	return true
}

func (j *Journal) sweepDrive(ctx context.Context, d Drive, unneeded func(drive.ExtentInfo) bool) {
	for _, x := range d.Extents() {
		if x.Class != drive.Journal || !x.Sealed || !unneeded(x) {
			continue
		}
		_, err := call(ctx, j, d, func(ctx context.Context) (any, error) { return nil, d.Remove(ctx, x.Number) })
		if err != nil {
			j.o.Host.Log.Warn("the journal could not give an extent back", "drive", d.Number(), "extent", x.Number, "error", err)
			return
		}
	}
}
