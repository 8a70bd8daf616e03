package index

import (
	"context"
	"time"

	"github.com/tarnlake/tarn/host"
)

// How long no entry must have come before the log is told to rest, and before it is shortened.
const (
	restAfter    = time.Second
	shortenAfter = time.Minute
)

// resting notices pauses between appends. A timer is set once a pause may have
// begun, not at every append.
type resting struct {
	after time.Duration
	due   chan struct{}
	stop  func() bool
	last  uint64 // sequence when the timer was set
}

func newResting(after time.Duration) resting {
	return resting{after: after, due: make(chan struct{}, 1)}
}

// later has the log looked at again, unless that is so already.
func (r *resting) later(c host.Clock, last uint64) {
	if r.stop != nil {
		return
	}
	r.last = last
	r.stop = c.AfterFunc(r.after, func() { r.due <- struct{}{} })
}

func (r *resting) end() {
	if r.stop != nil {
		r.stop()
	}
}

// over reports whether nothing was appended since the timer was set; else it is set again.
func (r *resting) over(c host.Clock, last uint64) bool {
	r.stop = nil
	if last == r.last {
		return true
	}
	r.later(c, last)
	return false
}

// mayRest lets the log rest in a pause.
func (s *sequencer) mayRest(ctx context.Context) {
	if !s.rest.over(s.opts.Host.Clock, s.last) || s.open {
		return
	}
	if err := s.log.Rest(ctx); err != nil {
		s.opts.Host.Log.Warn("the index's log did not rest", "error", err)
	}
}

// mayShorten has a checkpoint taken in a long pause, so that the log takes little room where it is, and
// there is little to replay.
func (s *sequencer) mayShorten() {
	if s.quiet.over(s.opts.Host.Clock, s.last) && s.mayBeShorter() {
		s.askCheckpoint()
	}
}

// mayBeShorter: a quarter of what makes a checkpoint due is in the log.
func (s *sequencer) mayBeShorter() bool {
	return s.sinceCheckpoint >= s.checkpointAfter()/4 && s.opts.Checkpoints != nil
}
