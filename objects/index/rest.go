package index

import (
	"context"
	"time"

	"github.com/tarnlake/tarn/host"
)

// restAfter is how long no entry must have come before the log is told to rest.
const restAfter = time.Second

// resting notices pauses between appends. A timer is set once a pause may have
// begun, not at every append.
type resting struct {
	due  chan struct{}
	stop func() bool
	last uint64 // sequence when the timer was set
}

func newResting() resting { return resting{due: make(chan struct{}, 1)} }

// later has the log looked at again, unless that is so already.
func (r *resting) later(c host.Clock, last uint64) {
	if r.stop != nil {
		return
	}
	r.last = last
	r.stop = c.AfterFunc(restAfter, func() { r.due <- struct{}{} })
}

func (r *resting) end() {
	if r.stop != nil {
		r.stop()
	}
}

// mayRest lets the log rest where nothing was appended since the timer was set.
func (s *sequencer) mayRest(ctx context.Context) {
	s.rest.stop = nil
	if s.last != s.rest.last {
		s.rest.later(s.opts.Host.Clock, s.last)
		return
	}
	if s.open {
		return
	}
	if err := s.log.Rest(ctx); err != nil {
		s.opts.Host.Log.Warn("the index's log did not rest", "error", err)
	}
}
