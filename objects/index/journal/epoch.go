package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// errDrive: a drive failed while an epoch was made; it is excluded now.
var errDrive = errors.New("journal: a drive failed")

// nextEpoch seals the present epoch and makes the next one, with everything kept
// and pending after it. It tries other drives while there are enough; each round
// excludes at least one. On an error nothing was acknowledged, and the epoch
// stays sealed: a naming that failed may be seen by a later start all the same.
func (j *Journal) nextEpoch(ctx context.Context, pending [][]byte) error {
	if j.reading {
		return fmt.Errorf("%w: %w", index.ErrReadOnly, errReading)
	}
	j.mu.Lock()
	if j.mu.sealed == nil {
		j.mu.sealed = errors.New("journal: epoch sealed")
	}
	j.mu.Unlock()
	for {
		drives := j.choose()
		if len(drives) < j.o.copies() {
			return fmt.Errorf("%w: %d well drives, of %d needed", index.ErrReadOnly, len(drives), j.o.copies())
		}
		if err := j.makeEpoch(ctx, drives, pending); !errors.Is(err, errDrive) {
			return err
		}
	}
}

func (j *Journal) choose() []Drive {
	exclude := maps.Clone(j.write.excluded)
	j.mu.Lock()
	for n := range j.mu.hung {
		exclude[n] = true
	}
	j.mu.Unlock()
	var chosen []Drive
	for _, d := range j.o.Choose(exclude) {
		if !exclude[d.Number()] && len(chosen) < j.o.copies() {
			chosen = append(chosen, d)
			exclude[d.Number()] = true
		}
	}
	return chosen
}

func (j *Journal) makeEpoch(ctx context.Context, drives []Drive, pending [][]byte) error {
	state, err := j.reserve(ctx, drives, len(pending))
	if err != nil {
		return err
	}
	for _, d := range drives { // what older epochs wrote gets extents of its own, to be removed later
		if _, err := call(ctx, j, d, func(ctx context.Context) (any, error) { return nil, d.Seal(ctx, drive.Journal) }); err != nil {
			return j.exclude(d, fmt.Errorf("seal the journal's extent: %w", err))
		}
	}
	c := newCopier(j, state, drives)
	if err := c.copyAll(ctx, pending); err != nil {
		return err
	}
	if err := j.o.Roots.Save(ctx, state); err != nil {
		return fmt.Errorf("name epoch %d in the roots: %w", state.Epoch, err)
	}
	j.install(state, drives, c)
	j.sweep(ctx)
	return nil
}

// reserve makes an epoch's number durable before anything bears it, so that two
// attempts never share one, although either may have been cut off unseen.
func (j *Journal) reserve(ctx context.Context, drives []Drive, pending int) (State, error) {
	j.write.state.Reserved++
	if err := j.o.Roots.Save(ctx, j.write.state); err != nil {
		return State{}, fmt.Errorf("reserve epoch %d in the roots: %w", j.write.state.Reserved, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s := State{
		Epoch: j.write.state.Reserved, Reserved: j.write.state.Reserved, Drives: numbersOf(drives),
		Base: j.mu.trimmed, Start: j.mu.last + uint64(pending),
	}
	if _, err := io.ReadFull(j.o.Host.Entropy, s.ID[:]); err != nil {
		return State{}, fmt.Errorf("draw an epoch's id: %w", err)
	}
	return s, nil
}

func (j *Journal) exclude(d Drive, err error) error {
	j.write.excluded[d.Number()] = true
	j.o.Events.driveFailed(d.Number(), err)
	return fmt.Errorf("%w: drive %d: %w", errDrive, d.Number(), err)
}

// install makes a durable epoch the present one.
func (j *Journal) install(s State, drives []Drive, c *copier) {
	j.mu.Lock()
	from, damaged := j.mu.ledger.number, j.mu.damaged
	j.mu.ledger, j.mu.last, j.mu.trimmed = c.ledger, s.Start, s.Base
	j.mu.sealed, j.mu.doubt, j.mu.damaged = nil, false, map[uint16]int{}
	j.write.state, j.write.drives, j.write.chain = s, drives, c.next.previous
	j.write.marked, j.write.pruned = s.Start, s.Base
	j.mu.Unlock()
	j.o.Events.epochSealed(from, s.Epoch, s.Drives)
	for d, n := range damaged {
		j.o.Events.repaired(d, n)
	}
}

// copier fills the drives of a new epoch.
type copier struct {
	j      *Journal
	ledger *ledger
	drives []Drive
	next   header // of the record that comes next
	queue  [][]byte
	queued int
}

func newCopier(j *Journal, s State, drives []Drive) *copier {
	return &copier{j: j, ledger: newLedger(s, drives), drives: drives, next: header{
		previous: seed(s.ID), epoch: s.Epoch, first: s.Base + 1, acknowledged: s.Start, trimmed: s.Base,
	}}
}

// copyAll writes the epoch's opening mark, everything kept, and pending.
func (c *copier) copyAll(ctx context.Context, pending [][]byte) error {
	if err := c.write(ctx, nil); err != nil {
		return err
	}
	for at, last := c.next.first, c.j.Last(); at <= last; {
		payload, s, err := c.j.fetch(ctx, at)
		if err != nil {
			return fmt.Errorf("copy entry %d into epoch %d: %w", at, c.next.epoch, err)
		}
		for sequence, e := range entriesOf(payload) {
			if sequence >= at {
				if err := c.add(ctx, e); err != nil {
					return err
				}
			}
		}
		at = s.last() + 1
	}
	for _, e := range pending {
		if err := c.add(ctx, e); err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

func (c *copier) add(ctx context.Context, entry []byte) error {
	if c.queued+len(entry)+lengthBytes+recordHeaderBytes > recordBytesMax {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	c.queue, c.queued = append(c.queue, entry), c.queued+lengthBytes+len(entry)
	return nil
}

func (c *copier) flush(ctx context.Context) error {
	if len(c.queue) == 0 {
		return nil
	}
	err := c.write(ctx, c.queue)
	c.queue, c.queued = nil, 0
	return err
}

func (c *copier) write(ctx context.Context, entries [][]byte) error {
	h := c.next
	payload := encodeRecord(&h, entries)
	results := c.j.appendAll(ctx, c.drives, c.ledger.identity(), payload)
	if err := c.j.failure(c.drives, results); err != nil {
		return fmt.Errorf("%w: %w", errDrive, err)
	}
	c.ledger.add(h, place(results, 0))
	c.next.first, c.next.previous = h.last()+1, h.after()
	return nil
}
