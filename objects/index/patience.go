package index

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tarnlake/tarn/host"
)

// errHung: a folder's drive did not answer in time.
var errHung = errors.New("index: the view's drive hangs")

// patience bounds the calls to the file system below one folder. While one of them is
// overdue the others are refused at once: so a view on a drive that hangs fails
// like one on a drive that is gone, and nothing else waits for that drive.
type patience struct {
	dir     string
	clock   host.Clock
	most    time.Duration
	overdue atomic.Int32
}

// call runs f, which may go on after call has returned errHung: it must share no
// memory with its caller but what it returns in time.
func (p *patience) call(what, name string, f func() error) error {
	if p.overdue.Load() > 0 {
		return fmt.Errorf("%s %s: %w", what, name, errHung)
	}
	done, late := make(chan error, 1), make(chan struct{})
	stop := p.clock.AfterFunc(p.most, func() { close(late) })
	go func() { done <- f() }()
	select {
	case err := <-done:
		stop()
		return err
	case <-late:
	}
	p.overdue.Add(1)
	go func() {
		<-done
		p.overdue.Add(-1)
	}()
	return fmt.Errorf("%s %s: %w: no answer in %v", what, name, errHung, p.most)
}

// patiences are those of all folders that may hold views.
type patiences []*patience

func newPatiences(clock host.Clock, most time.Duration, dirs []string) (all patiences) {
	for _, dir := range dirs {
		all = append(all, &patience{dir: dir, clock: clock, most: most})
	}
	return all
}

// of is that of the folder in which a path lies; nil where it lies in none.
func (all patiences) of(path string) *patience {
	for _, p := range all {
		if rest, ok := strings.CutPrefix(path, p.dir); ok && (rest == "" || rest[0] == '/' || rest[0] == '\\') {
			return p
		}
	}
	return nil
}

// asked runs f below a path, patiently.
func asked[T any](all patiences, what, path string, f func() (T, error)) (T, error) {
	p := all.of(path)
	if p == nil {
		return f()
	}
	var value T
	answer := make(chan T, 1) // value is not shared with an f that is late
	err := p.call(what, path, func() error {
		v, err := f()
		answer <- v
		return err
	})
	if !errors.Is(err, errHung) {
		value = <-answer
	}
	return value, err
}
