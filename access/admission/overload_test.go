package admission_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarnlake/tarn/access/admission"
)

// world is a server that does a thousand requests a second, all that are at work
// sharing it evenly, and clients that want an answer in 250 ms and try three times.
type world struct {
	gate *admission.Gate // nil: no protection

	mu   sync.Mutex
	busy time.Time // until then the server has work
	good []int     // answers in time, by second
	from time.Time
}

const (
	capacity = 1000 // a second
	patience = 250 * time.Millisecond
	tries    = 3
)

// serve does the work of a request whether or not anyone still waits for it.
func (w *world) serve(ctx context.Context) bool {
	p, err := w.gate.Admit(ctx, admission.Ask{Class: admission.Writes})
	if err != nil {
		return false
	}
	defer p.Done()
	w.mu.Lock()
	now := time.Now()
	if w.busy.Before(now) {
		w.busy = now
	}
	w.busy = w.busy.Add(time.Second / capacity)
	until := w.busy
	w.mu.Unlock()
	time.Sleep(until.Sub(now))
	return ctx.Err() == nil
}

func (w *world) client() {
	for try := range tries {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		answered := make(chan bool, 1)
		go func() { answered <- w.serve(ctx) }()
		ok := false
		select {
		case ok = <-answered:
		case <-ctx.Done():
		}
		cancel()
		if ok {
			w.count()
			return
		}
		time.Sleep(time.Duration(try+1) * 50 * time.Millisecond)
	}
}

func (w *world) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := int(time.Since(w.from) / time.Second); at < len(w.good) {
		w.good[at]++
	}
}

// run offers base load, five times the capacity from second 5 to 15, base again.
func (w *world) run(seed uint64) []int {
	const seconds = 25
	w.good, w.from = make([]int, seconds+10), time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	for time.Since(w.from) < seconds*time.Second {
		rate := 800.0
		if at := time.Since(w.from); at >= 5*time.Second && at < 15*time.Second {
			rate = 5 * capacity
		}
		time.Sleep(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
		go w.client()
	}
	time.Sleep(time.Until(w.busy) + time.Second) // whatever is left
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good[:seconds]
}

func TestOverloadCostsNothingAndPassesAtOnce(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := &world{gate: gate(admission.Options{})}
		good := w.run(seed)
		t.Logf("answered in time, by second: %v", good)
		for at := 6; at < 15; at++ {
			if good[at] < capacity*90/100 {
				t.Errorf("second %d of the overload: %d answers in time, at least %d are wanted", at-5, good[at], capacity*90/100)
			}
		}
		for at := 17; at < 25; at++ {
			if good[at] < 800*90/100 {
				t.Errorf("%d s after the overload: %d answers in time", at-15, good[at])
			}
		}
	})
}

// The same world without a gate shows that the test above can fail.
func TestWithoutAGateOverloadStays(t *testing.T) {
	const seed = 7
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		good := w.run(seed)
		t.Logf("seed %d, answered in time, by second: %v", seed, good)
		for at := 7; at < 25; at++ {
			if good[at] > capacity/10 {
				t.Errorf("second %d: %d answers in time: the simulation overloads nothing", at, good[at])
			}
		}
	})
}
