package index

import (
	"context"
	"errors"
	"fmt"
)

// sequencer is the one goroutine that appends to the log and applies to the
// view. It takes whatever is queued, appends it in one call, applies it in the
// log's order as one batch, and answers; what comes meanwhile is the next batch.
type sequencer struct {
	*Local
	log  Log
	last uint64 // sequence of the last entry known to stand in the log
	open bool   // an append failed, and what it left is not known yet

	marks           marks
	sinceCheckpoint int64
	rest, quiet     resting
}

func (s *sequencer) run(ctx context.Context) {
	defer s.rest.end()
	defer s.quiet.end()
	for {
		m, _, _ := s.views.current()
		var failed <-chan struct{}
		if m != nil {
			failed = m.Failed()
		}
		select {
		case p := <-s.queue:
			s.serve(ctx, s.gather(p))
		case errand := <-s.errands:
			errand()
		case <-failed:
			_ = s.heal(ctx, m) // kept in views, where readers find it
		case <-s.nudge:
			if m == nil || m.Failure() != nil {
				_ = s.heal(ctx, m)
			}
		case <-s.rest.due:
			s.mayRest(ctx)
		case <-s.quiet.due:
			s.mayShorten()
		case <-s.stop:
			return
		}
	}
}

// gather takes what else is queued, without waiting for any.
func (s *sequencer) gather(p *proposal) []*proposal {
	var batch []*proposal
	size := 0
	for {
		if p.taken.CompareAndSwap(false, true) {
			batch = append(batch, p)
			size += len(p.data)
		}
		if size >= groupBytesMax-EncodedBytesMax || len(batch) == queueMax {
			return batch
		}
		select {
		case p = <-s.queue:
		default:
			return batch
		}
	}
}

func (s *sequencer) serve(ctx context.Context, batch []*proposal) {
	if len(batch) == 0 {
		return
	}
	if err := s.ready(ctx); err != nil {
		refuse(batch, fmt.Errorf("%w: %w", ErrReadOnly, err))
		return
	}
	data := make([][]byte, len(batch))
	for i, p := range batch {
		data[i] = p.data
	}
	first, err := s.log.Append(ctx, data)
	if errors.Is(err, ErrReadOnly) {
		refuse(batch, err)
		return
	}
	if err != nil {
		s.settleBatch(ctx, batch, err)
		return
	}
	s.appended(first, data)
	s.answer(batch, s.apply(ctx, first, data))
}

// ready brings log and view to where the next entry may be appended.
func (s *sequencer) ready(ctx context.Context) error {
	m, _, _ := s.views.current()
	if m == nil || m.Failure() != nil {
		return s.heal(ctx, m)
	}
	if !s.open {
		return nil
	}
	_, err := s.settle(ctx)
	return err
}

// appended keeps count of what was written.
func (s *sequencer) appended(first uint64, data [][]byte) {
	if first != s.last+1 {
		panic(fmt.Sprintf("index: log gave sequence %d after %d", first, s.last))
	}
	s.last += uint64(len(data))
	size := int64(0)
	for _, d := range data {
		size += int64(len(d))
	}
	s.marks.add(s.last, size)
	s.rest.later(s.opts.Host.Clock, s.last)
	if m, _, _ := s.views.current(); m != nil {
		m.snapshots.expireBefore(s.logged.Add(size) - s.opts.SnapshotBytes)
	}
	s.sinceCheckpoint += size
	if s.mayBeShorter() {
		s.quiet.later(s.opts.Host.Clock, s.last)
	}
	if s.sinceCheckpoint >= s.checkpointAfter() {
		s.askCheckpoint()
	}
}

func (s *sequencer) askCheckpoint() {
	if s.opts.Checkpoints == nil {
		return
	}
	s.sinceCheckpoint = s.checkpointAfter() / 2 // should it fail, the next try comes earlier
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// apply gives what the appended entries did. Where the view fails under them it
// is rebuilt, and the entries, which are durable, are evaluated there.
func (s *sequencer) apply(ctx context.Context, first uint64, data [][]byte) []Applied {
	entries := make([]LogEntry, len(data))
	for i, d := range data {
		entries[i] = LogEntry{Sequence: first + uint64(i), Data: d}
	}
	m, _, _ := s.views.current()
	done, err := m.Apply(entries)
	if err == nil {
		s.publish(done)
		return done
	}
	return s.healFor(ctx, m)
}

func (s *sequencer) publish(done []Applied) {
	entries := make([]Entry, len(done))
	for i := range done {
		entries[i] = done[i].Entry
	}
	s.feed.Publish(entries)
}

// answer tells each committer what its entry did. Entries beyond done are
// durable, but there is no view that could tell.
func (s *sequencer) answer(batch []*proposal, done []Applied) {
	for i, p := range batch {
		if i < len(done) {
			p.answer <- done[i]
			continue
		}
		_, _, err := s.views.current()
		p.answer <- Applied{Err: fmt.Errorf("%w: %v", ErrUnknown, err)} // never ErrReadOnly too
	}
}

func refuse(batch []*proposal, err error) {
	for _, p := range batch {
		p.answer <- Applied{Err: err}
	}
}

// settleBatch answers a batch whose append failed. The log tells which of its
// entries stand; those that do not will never appear.
func (s *sequencer) settleBatch(ctx context.Context, batch []*proposal, cause error) {
	s.open = true
	last := s.last
	done, err := s.settle(ctx)
	stand := map[uint64]Applied{}
	for _, a := range done {
		stand[a.Entry.Position.Sequence(s.opts.Shard)] = a
	}
	otherwise := fmt.Errorf("%w: %w", ErrReadOnly, cause)
	if err != nil {
		otherwise = fmt.Errorf("%w: %w: %v", ErrUnknown, cause, err) // err may be ErrReadOnly, which this is not
	}
	for i, p := range batch {
		if a, ok := stand[last+uint64(i)+1]; ok {
			p.answer <- a
		} else {
			p.answer <- Applied{Err: otherwise}
		}
	}
}

// settle asks the log what stands, and applies it. It returns what those entries
// did of which nobody was told, also where the view failed meanwhile.
func (s *sequencer) settle(ctx context.Context) ([]Applied, error) {
	m, _, _ := s.views.current()
	if m == nil || m.Failure() != nil {
		return s.healFor(ctx, m), s.viewError()
	}
	done, err := s.catchUp(ctx, m)
	s.publish(done)
	if m.Failure() != nil {
		return append(done, s.healFor(ctx, m)...), s.viewError()
	}
	if err == nil {
		s.settled(m)
	}
	return done, err
}

func (s *sequencer) settled(m *Machine) {
	s.open = false
	s.last = max(s.last, m.Applied())
	s.marks.add(s.last, 0)
}

func (s *sequencer) viewError() error {
	_, _, err := s.views.current()
	return err
}

// heal replaces a failed view.
func (s *sequencer) heal(ctx context.Context, failed *Machine) error {
	s.healFor(ctx, failed)
	return s.viewError()
}

// healFor replaces a failed view and returns what the entries did that had not
// been published.
func (s *sequencer) healFor(ctx context.Context, failed *Machine) []Applied {
	if failed != nil {
		s.opts.Host.Log.Warn("index view failed, making another", "dir", failed.opts.Dir, "error", failed.Failure())
		s.opts.Events.ViewLost(failed.Failure())
		failed.Abandon()
	}
	m, done, err := s.rebuild(ctx)
	if err != nil {
		s.views.set(nil, err)
		return nil
	}
	s.publish(done)
	s.settled(m)
	s.views.set(m, nil)
	s.tidy(m)
	return done
}
