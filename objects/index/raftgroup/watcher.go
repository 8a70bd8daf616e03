package raftgroup

import (
	"context"
	"errors"
	"sync"

	"github.com/tarnlake/tarn/objects/index"
)

// watcher goes on at another replica when the one that it watches stops.
type watcher struct {
	group   *Group
	closing sync.Once
	done    chan struct{}

	mu  sync.Mutex // held by Next
	at  index.Position
	now index.Watcher
}

func (w *watcher) Next(ctx context.Context) (index.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-w.done:
			cancel()
		case <-stop:
		}
	}()
	e, err := w.next(ctx)
	if err != nil && w.closed() {
		return index.Entry{}, index.ErrClosed
	}
	return e, err
}

func (w *watcher) next(ctx context.Context) (index.Entry, error) {
	for {
		if w.closed() {
			return index.Entry{}, index.ErrClosed
		}
		e, err := w.now.Next(ctx)
		if err == nil {
			w.at = e.Position
			return e, nil
		}
		if !errors.Is(err, index.ErrClosed) {
			return index.Entry{}, err
		}
		if err := w.move(ctx); err != nil {
			return index.Entry{}, err
		}
	}
}

// move begins again behind the last delivered entry. A watcher that had seen
// none begins with what the other replica keeps.
func (w *watcher) move(ctx context.Context) error {
	next, err := reading(ctx, w.group, func(r *replica) (index.Watcher, error) { return r.watch(w.at) })
	if err != nil {
		return err
	}
	_ = w.now.Close()
	w.now = next
	return nil
}

func (w *watcher) closed() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *watcher) Close() error {
	w.closing.Do(func() { close(w.done) })
	return nil
}
