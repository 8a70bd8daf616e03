package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

var errDoubt = errors.New("the fate of an earlier append is open: replay first")

// Append makes entries durable on m+1 drives. Where a drive fails under way, it
// carries them into a new epoch. Its time is bounded by Options.DriveTimeout, not
// by ctx. An entry larger than EntryBytesMax is refused with index.ErrTooLarge.
func (j *Journal) Append(ctx context.Context, entries [][]byte) (uint64, error) {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.admit(ctx, entries); err != nil {
		return 0, fmt.Errorf("append to the journal: %w", err)
	}
	first := j.Last() + 1
	why := j.appendBatch(ctx, entries)
	if why == nil {
		return first, nil
	}
	j.seal(why)
	if err := j.nextEpoch(ctx, entries); err != nil {
		j.mu.Lock()
		j.mu.doubt = true
		j.mu.Unlock()
		return 0, fmt.Errorf("append to the journal: %w: %v; then: %v", index.ErrUnknown, why, err)
	}
	return first, nil
}

// admit refuses an append of which nothing is written, and readies the epoch for another.
func (j *Journal) admit(ctx context.Context, entries [][]byte) error {
	for i, e := range entries {
		if len(e) > EntryBytesMax {
			return fmt.Errorf("%w: entry %d has %d bytes, of at most %d", index.ErrTooLarge, i, len(e), EntryBytesMax)
		}
	}
	j.mu.Lock()
	closed, doubt, sealed, damaged := j.mu.closed, j.mu.doubt, j.mu.sealed, len(j.mu.damaged) > 0
	j.mu.Unlock()
	switch {
	case closed:
		return index.ErrClosed
	case doubt:
		return readOnly(errDoubt)
	case sealed != nil || damaged:
		return readOnly(j.nextEpoch(ctx, nil))
	}
	return nil
}

// entered is a record that is on every drive of the epoch.
type entered struct {
	header
	at []drive.Address
}

func (j *Journal) appendBatch(ctx context.Context, entries [][]byte) error {
	l, h := j.top()
	var done []entered
	for len(entries) > 0 {
		n := cut(entries)
		payload := encodeRecord(&h, entries[:n])
		results := j.appendAll(ctx, j.write.drives, l.identity(), payload)
		if err := j.failure(j.write.drives, results); err != nil {
			return err
		}
		done = append(done, entered{h, place(results, 0)})
		h.first, h.previous, entries = h.last()+1, h.chain, entries[n:]
	}
	j.enter(done)
	return nil
}

// top is the present ledger, and the header of the record that comes next.
func (j *Journal) top() (*ledger, header) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.ledger, header{
		previous: j.write.chain, epoch: j.mu.ledger.number,
		first: j.mu.last + 1, acknowledged: j.mu.last, trimmed: j.mu.trimmed,
	}
}

func (j *Journal) enter(records []entered) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range records {
		j.mu.ledger.add(r.header, r.at)
		j.mu.last, j.write.chain, j.write.pruned = r.last(), r.after(), r.trimmed
	}
}

// Rest marks the tail: what was acknowledged is then known to more than its own
// records, and rot of the last one on all copies is noticed. A drive that fails
// the mark is avoided by the next append.
func (j *Journal) Rest(context.Context) error {
	j.write.Lock()
	defer j.write.Unlock()
	if j.closed() != nil || !j.healthy() || j.write.marked >= j.Last() {
		return nil
	}
	if err := j.mark(); err != nil {
		j.seal(err)
		return fmt.Errorf("mark the journal's tail: %w", err)
	}
	return nil
}

// mark tells every drive what is acknowledged and what was trimmed.
func (j *Journal) mark() error {
	l, h := j.top()
	payload := encodeRecord(&h, nil)
	results := j.appendAll(context.Background(), j.write.drives, l.identity(), payload)
	if err := j.failure(j.write.drives, results); err != nil {
		return err
	}
	j.enter([]entered{{h, place(results, 0)}})
	j.write.marked = h.acknowledged
	return nil
}
