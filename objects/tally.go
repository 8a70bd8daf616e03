package objects

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// tally keeps the counts of what is alive up to date, so that a look at it costs what
// changed since the last one, and not what there is:
//
//	snapshot 1 ── counted whole
//	    │ keys that changed, from the watch
//	snapshot 2 ── for each of them: what it named in 1 taken off, what it names in 2 put on
//
// The keys may be too many, never too few: the watch has no gaps. What went wrong on
// the way, a snapshot that expired, a watch that fell behind, has everything counted anew.
type tally struct {
	s    *Store
	most int           // keys that are remembered; beyond, the watch waits
	due  chan struct{} // holds a token when many keys changed

	mu     sync.Mutex // held across I/O: one look at a time
	snap   index.Snapshot
	counts *counts // of snap; nil: nothing is counted yet
	proved time.Time
	follow *following
}

const (
	changedMax = 1 << 17
	tallyProof = 24 * time.Hour // after which the counts are compared with everything
)

func (t *tally) init(s *Store) { t.s, t.most, t.due = s, changedMax, make(chan struct{}, 1) }

// look is called with mu held. It gives the counts of a moment after the call began,
// and the state of which they are. Both are good until mu is released.
func (t *tally) look(ctx context.Context) (*counts, readsIndex, error) {
	if t.counts != nil {
		err := t.advance(ctx)
		if err == nil {
			err = t.prove(ctx)
		}
		if err == nil {
			return t.counts, t.snap, nil
		}
		t.drop()
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		t.s.host.Log.Debug("what is alive is counted anew", "cause", err)
	}
	err := t.begin(ctx)
	if err == nil {
		return t.counts, t.snap, nil
	}
	t.drop()
	if !errors.Is(err, index.ErrSnapshotExpired) {
		return nil, nil, err
	}
	all, err := countAll(ctx, t.s.idx) // it takes longer than a snapshot is kept
	return all, t.s.idx, err
}

// begin counts everything.
func (t *tally) begin(ctx context.Context) (err error) {
	if t.snap, err = t.s.idx.Snapshot(ctx); err != nil {
		return fmt.Errorf("count what is alive: %w", err)
	}
	if t.follow, err = t.s.followFrom(t.snap.Position(), t.due); err != nil {
		return fmt.Errorf("count what is alive: %w", err)
	}
	if t.counts, err = countAll(ctx, t.snap); err != nil {
		return fmt.Errorf("count what is alive: %w", err)
	}
	t.proved = t.s.host.Clock.Now()
	return nil
}

// drop forgets what is counted.
func (t *tally) drop() {
	if t.follow != nil {
		t.follow.stop()
	}
	if t.snap != nil {
		_ = t.snap.Close() // it only pinned
	}
	t.snap, t.follow, t.counts = nil, nil, nil
}

// advance brings the counts to the present state.
func (t *tally) advance(ctx context.Context) error {
	next, err := t.s.idx.Snapshot(ctx)
	if err != nil {
		return err
	}
	changed, err := t.follow.changed(ctx, next.Position())
	if err == nil {
		err = t.apply(ctx, next, changed)
	}
	if err != nil {
		_ = next.Close()
		return err
	}
	_ = t.snap.Close()
	t.snap = next
	return nil
}

func (t *tally) apply(ctx context.Context, next index.Snapshot, changed changes) error {
	for _, r := range changed.ranges {
		for _, state := range []index.Snapshot{t.snap, next} {
			for item, err := range state.Scan(ctx, r.lo, r.hi, index.ScanOptions{KeysOnly: true}) {
				if err != nil {
					return err
				}
				changed.keys[string(item.Key)] = r.at
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(changed.keys)) {
		if err := t.key(ctx, next, []byte(key)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) key(ctx context.Context, next index.Snapshot, key []byte) error {
	before, errBefore := t.snap.Get(ctx, key)
	after, errAfter := next.Get(ctx, key)
	for _, err := range []error{errBefore, errAfter} {
		if err != nil && !errors.Is(err, index.ErrNotFound) {
			return err
		}
	}
	if errBefore == nil && errAfter == nil && before.Version == after.Version {
		return nil
	}
	if errBefore == nil {
		t.counts.take(before)
	}
	if errAfter == nil {
		t.counts.put(after)
	}
	return nil
}

// prove compares the counts with everything, now and then.
func (t *tally) prove(ctx context.Context) error {
	now := t.s.host.Clock.Now()
	if now.Sub(t.proved) < tallyProof && !t.s.o.proveCounts {
		return nil
	}
	all, err := countAll(ctx, t.snap)
	if err != nil {
		return err
	}
	if !all.equal(t.counts) {
		t.s.tidy.miscounted()
		t.s.host.Log.Error("the counts of what is alive had gone wrong; they are made anew")
		return errors.New("objects: the counts of what is alive had gone wrong")
	}
	t.proved = now
	return nil
}

// tallyLoop moves the counts on before the snapshot expires, or the keys that changed
// become too many.
func (s *Store) tallyLoop() {
	for {
		stop := s.host.Clock.AfterFunc(s.tallyPause(), func() { tap(s.tally.due) })
		select {
		case <-s.life.Done():
			stop()
			return
		case <-s.tally.due:
		}
		stop()
		s.tally.mu.Lock()
		if s.tally.counts != nil {
			if err := s.tally.advance(s.life); err != nil {
				s.tally.drop() // the next look counts anew
			}
		}
		s.tally.mu.Unlock()
	}
}

func (s *Store) tallyPause() time.Duration {
	if s.o.SnapshotKept > 0 {
		return s.o.SnapshotKept / 4
	}
	return 2 * time.Minute
}
