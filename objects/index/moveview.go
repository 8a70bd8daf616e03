package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// SetDirs names anew the folders that may hold the view, best first. A view that
// serves elsewhere goes on until MoveView, or until it fails.
func (l *Local) SetDirs(dirs []string) { l.places.set(dirs) }

// FailView gives the serving view up where it lies in dir: its drive hangs or is
// gone, and another is made at once.
func (l *Local) FailView(dir string, cause error) {
	if m, _, _ := l.views.current(); m != nil && l.opts.FS.PathDir(m.opts.Dir) == dir {
		m.fail(fmt.Errorf("%w: %w", errView, cause))
	}
}

// MoveView makes another view where the serving one does not lie in one of the
// folders that may hold it, while that one goes on, and then lets it go, once those who read it have ended.
func (l *Local) MoveView(ctx context.Context) error {
	if err := l.gate.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	for {
		old, err := l.view(ctx)
		if err != nil || l.places.holds(l.opts.FS.PathDir(old.opts.Dir)) {
			return err
		}
		if err := l.moveFrom(ctx, old); !errors.Is(err, errViewFailed) {
			return err
		}
	}
}

// errViewFailed: the view that was to be moved failed meanwhile. The one that is made in its place lies elsewhere.
var errViewFailed = errors.New("it failed meanwhile")

func (l *Local) moveFrom(ctx context.Context, old *Machine) error {
	m, err := l.another(ctx)
	if now, _, _ := l.views.current(); err != nil && now != old {
		return errViewFailed // what was made in its place may have taken the folder
	}
	if err != nil {
		return fmt.Errorf("move the index's view off %s: %w", old.opts.Dir, err)
	}
	if err := l.replaceView(ctx, old, m); err != nil {
		m.Abandon()
		return fmt.Errorf("move the index's view off %s: %w", old.opts.Dir, err)
	}
	<-old.retire(l.opts.Host.Clock, l.closing)
	l.removeLeft(old.opts.Dir)
	return nil
}

// removeLeft is an errand: meanwhile the next view may have failed, and another one be made where this one was.
func (l *Local) removeLeft(dir string) {
	done := make(chan struct{})
	errand := func() {
		defer close(done)
		if m, _, _ := l.views.current(); m == nil || m.opts.Dir == dir {
			return
		}
		if err := l.opts.FS.RemoveAll(dir); err != nil {
			l.opts.Host.Log.Warn("an old index view stays", "dir", dir, "error", err)
		}
	}
	select {
	case l.errands <- errand:
		<-done
	case <-l.closing: // the next open removes it
	}
}

// another is a view in the first place that takes one, at most a little behind.
func (l *Local) another(ctx context.Context) (*Machine, error) {
	var errs []error
	for _, place := range l.places.list() {
		dir := l.places.fresh(place)
		m, _, err := l.rebuildIn(ctx, dir)
		if err == nil {
			return m, nil
		}
		errs = append(errs, err, l.opts.FS.RemoveAll(dir))
	}
	return nil, fmt.Errorf("%w: %w", ErrView, errors.Join(errs...))
}

// replaceView is an errand: nothing is appended while the last entries are applied.
func (l *Local) replaceView(ctx context.Context, old, m *Machine) error {
	done := make(chan error, 1)
	errand := func() {
		if err := l.sequencer.ready(ctx); err != nil {
			done <- err
			return
		}
		if now, _, _ := l.views.current(); now != old {
			done <- errViewFailed
			return
		}
		if _, err := l.catchUp(ctx, m); err != nil {
			done <- err
			return
		}
		l.views.set(m, nil)
		l.opts.Events.ViewRebuilt(m.opts.Dir, m.Applied())
		done <- nil
	}
	select {
	case l.errands <- errand:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return ErrClosed
	}
}

func (p *places) set(dirs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirs = slices.Clone(dirs)
}

func (p *places) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dirs // never changed in place
}

func (p *places) holds(dir string) bool { return slices.Contains(p.list(), dir) }
