package vectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// upkeepRetry is the pause after a step of upkeep failed.
const upkeepRetry = 2 * time.Second

// upkeepNotes are what upkeep of one index remembers between steps.
type upkeepNotes struct {
	stubborn map[uint32]int  // neighbourhoods that would not divide, and their rows then
	swept    uint32          // the last neighbourhood that was swept of superseded rows
	polished map[uint32]bool // neighbourhoods that were polished, while that is not over
	listed   map[uint64]bool // segments whose lexicon has all that it should
	joined   int             // rows that had been pushed
	since    time.Time       // at that time; few came after it
}

// hold leaves a neighbourhood undivided until it has twice as many rows.
func (n *upkeepNotes) hold(id uint32, rows int) {
	if n.stubborn == nil {
		n.stubborn = map[uint32]int{}
	}
	n.stubborn[id] = rows
}

// upkeepLoop keeps the open indexes in order, one at a time, and lets go of idle ones.
func (e *Engine) upkeepLoop() {
	stop := e.host.Clock.AfterFunc(e.o.Idle, e.wake)
	defer func() { stop() }()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.kick:
		}
		failed := false
		for _, o := range e.opens() {
			if err := o.keepUp(e.ctx, false); err != nil && e.ctx.Err() == nil {
				failed = true
				e.host.Log.Warn("vectors: upkeep failed and is tried again", "bucket", o.bucket, "index", o.rec.spec.Name, "err", err)
			}
			e.leaveIdle(o)
		}
		stop()
		pause := e.o.Idle
		switch soon := e.soon.Swap(false); {
		case failed:
			pause = upkeepRetry
		case soon:
			pause = min(pause, calmAfter)
		}
		stop = e.host.Clock.AfterFunc(pause, e.wake)
	}
}

// leaveIdle drops an index that nobody asked for in a while.
func (e *Engine) leaveIdle(o *opened) {
	select {
	case <-o.ready:
	default:
		return
	}
	used := time.Unix(0, o.usedNS.Load())
	if e.host.Clock.Now().Sub(used) >= e.o.Idle {
		e.forget(o)
		e.cache.evict(o.rec.inc)
		e.shelf.evict(o.rec.inc)
	}
}

// keepUp takes steps until the index is in order; with all, the tail is folded
// however short it is.
func (o *opened) keepUp(ctx context.Context, all bool) error {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-o.work:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { o.work <- struct{}{} }()
	if err := o.reap(ctx); err != nil {
		return err
	}
	defer o.owe(0)
	for !o.isStale() && o.loadErr == nil {
		m := o.moment()
		o.owe(o.overdue(&m))
		p := o.plan(&m, all)
		var err error
		if p == nil {
			p = &plan{name: "list"}
			var some bool
			if some, err = o.takeList(ctx, &m); !some && err == nil {
				return nil
			}
		} else {
			err = o.take(ctx, &m, p)
		}
		o.e.o.Events.Upkeep(o.bucket, o.rec.spec.Name, p.name, m.rows+m.size.rows, err)
		var failed *index.ConditionError
		switch {
		case errors.As(err, &failed) && failed.Condition == 0:
			o.e.forget(o) // the index was deleted
			return nil
		case errors.As(err, &failed): // another process did upkeep: see what is left
			if err := o.e.barrier(ctx); err != nil {
				return err
			}
			if o.moment().upkeepVersion == m.upkeepVersion { // memory is behind for good
				o.e.forget(o)
			}
		case err != nil:
			if errors.Is(err, errMemory) {
				o.e.forget(o) // what is loaded anew is right
			}
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// take carries out one step and waits until this engine sees it.
func (o *opened) take(ctx context.Context, m *moment, p *plan) error {
	step := o.step
	if p.calibrate {
		step = o.calibrate
	}
	at, err := step(ctx, m, p)
	if err != nil || at == "" {
		return err
	}
	return o.e.follower.wait(ctx, o.e.ctx, at)
}

// takeList writes a lexicon that is lacking; some is false where none is.
func (o *opened) takeList(ctx context.Context, m *moment) (some bool, err error) {
	at, some, err := o.relist(ctx, m)
	if err != nil || !some {
		return some, err
	}
	return true, o.e.follower.wait(ctx, o.e.ctx, at)
}

// Flush folds all tails and does all upkeep of the indexes that are open.
func (e *Engine) Flush(ctx context.Context) error {
	if err := e.barrier(ctx); err != nil {
		return err
	}
	for _, o := range e.opens() {
		if err := e.flush(ctx, o); err != nil {
			return fmt.Errorf("flush index %s of bucket %s: %w", o.rec.spec.Name, o.bucket, err)
		}
	}
	return nil
}

// flush opens the index again where it left memory meanwhile.
func (e *Engine) flush(ctx context.Context, o *opened) error {
	for {
		if err := o.keepUp(ctx, true); err != nil || !o.isStale() {
			return err
		}
		again, err := e.use(ctx, o.bucket, o.rec.spec.Name)
		if errors.Is(err, ErrNoIndex) || errors.Is(err, objects.ErrNoBucket) {
			return nil
		}
		if err != nil {
			return err
		}
		o = again
	}
}

// random is a generator seeded by the host's entropy.
func (o *opened) random() (*rand.Rand, error) {
	var seed [32]byte
	if _, err := io.ReadFull(o.e.host.Entropy, seed[:]); err != nil {
		return nil, fmt.Errorf("draw a seed: %w", err)
	}
	return rand.New(rand.NewChaCha8(seed)), nil
}
