package main

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is many clients at work: each calls its step again and again, with numbers
// that all clients share, until the time is over or the steps are.
type load struct {
	clients int
	span    time.Duration // 0: until steps are done
	steps   int64         // 0: until the time is over
	start   func() (step func(i int64) error, end func(), err error)
}

// timing is what a load saw.
type timing struct {
	span time.Duration
	took []time.Duration // of each step, sorted
}

func (t timing) perSecond() float64 { return float64(len(t.took)) / t.span.Seconds() }

// quantile of the steps' times, q in [0, 1].
func (t timing) quantile(q float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[min(int(q*float64(len(t.took))), len(t.took)-1)]
}

// run ends at the first error of any client.
func (l load) run() (timing, error) {
	var (
		next   atomic.Int64
		failed atomic.Bool
		group  sync.WaitGroup
	)
	took, errs := make([][]time.Duration, l.clients), make([]error, l.clients)
	steps := make([]func(int64) error, l.clients)
	for c := range l.clients {
		step, end, err := l.start()
		if err != nil {
			return timing{}, err
		}
		defer end()
		steps[c] = step
	}
	began := time.Now()
	for c := range l.clients {
		group.Go(func() {
			for !failed.Load() {
				i, at := next.Add(1)-1, time.Now()
				if l.steps > 0 && i >= l.steps || l.span > 0 && at.Sub(began) >= l.span {
					return
				}
				if errs[c] = steps[c](i); errs[c] != nil {
					failed.Store(true)
					return
				}
				took[c] = append(took[c], time.Since(at))
			}
		})
	}
	group.Wait()
	t := timing{span: time.Since(began), took: slices.Concat(took...)}
	slices.Sort(t.took)
	return t, errors.Join(errs...)
}
