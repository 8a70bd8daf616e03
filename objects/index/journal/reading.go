package journal

import (
	"context"
	"errors"
	"fmt"
)

// errReading: the journal was opened by Read.
var errReading = errors.New("journal: opened to be read only")

// Read recalls the journal and writes nothing: no epoch is made, none is gone on with,
// and nothing can be appended. What an append that was cut off left behind is yielded by
// Replay as Open would recover it. partial are the epoch's drives of which the
// copy lacks something, or is not there at all.
func Read(ctx context.Context, o Options) (j *Journal, partial []uint16, err error) {
	if err := o.complete(); err != nil {
		return nil, nil, err
	}
	j = &Journal{o: o}
	j.write.excluded = map[uint16]bool{}
	j.mu.damaged, j.mu.hung = map[uint16]int{}, map[uint16]int{}
	states := o.Roots.Load()
	state, err := newest(states)
	if err == nil && state.Epoch == 0 {
		err = ErrNoState
	}
	if err == nil && len(states) < o.Members-o.Parity {
		err = fmt.Errorf("%w: %d of %d drives", ErrTooFewRoots, len(states), o.Members)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read journal: %w", err)
	}
	j.write.state = state
	j.seal(errReading)
	j.reading = true
	if partial, err = j.recallAll(ctx); err != nil {
		return nil, nil, fmt.Errorf("read journal: %w", err)
	}
	return j, partial, nil
}

func (j *Journal) recallAll(ctx context.Context) (partial []uint16, err error) {
	copies := j.scanAll(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := recall(j.write.state, copies)
	if err != nil {
		return nil, err
	}
	j.adopt(h, copies)
	whole := map[uint16]bool{}
	for i, c := range copies {
		whole[c.drive.Number()] = h.whole[i]
	}
	for _, n := range j.write.state.Drives {
		if !whole[n] {
			partial = append(partial, n)
		}
	}
	return partial, nil
}
