package index

import (
	"context"
	"sync"
)

// views holds the view that serves, or why there is none at present.
type views struct {
	mu      sync.Mutex
	machine *Machine
	err     error
	changed chan struct{} // closed by the next set
}

func (v *views) set(m *Machine, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.machine, v.err = m, err
	if v.changed != nil {
		close(v.changed)
	}
	v.changed = make(chan struct{})
}

func (v *views) current() (*Machine, <-chan struct{}, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.machine, v.changed, v.err
}

// view is the one that serves. Where it failed, the sequencer makes another:
// the caller waits for it, or for the news that it cannot be made.
func (l *Local) view(ctx context.Context) (*Machine, error) {
	for tried := false; ; tried = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, changed, err := l.views.current()
		if m != nil && m.Failure() == nil {
			return m, nil
		}
		if err != nil && tried {
			return nil, err
		}
		select {
		case l.nudge <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-l.closing:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
