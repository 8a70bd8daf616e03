package survival

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarnlake/tarn/objects"
)

// A drive hangs: its operations do not return until it is released. The store's
// patience is longer than any trial, so that no drive is late because the machine is
// busy; it ends when all that still goes on waits for the drive that hangs.

// hang is a drive that does not answer.
type hang struct {
	folder   string
	released chan struct{}
	waiting  atomic.Int64 // operations
	over     sync.WaitGroup
}

// quiet is how long nothing may go on before patience ends.
const quiet = 150 * time.Millisecond

// held are the timers of a store's patience, those too of what began before a drive hung: it may hang in
// their midst.
type held struct {
	mu     sync.Mutex
	timers map[*func()]bool
}

func (h *held) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timers = nil
}

func (h *held) after(f func()) (stop func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timers == nil {
		h.timers = map[*func()]bool{}
	}
	h.timers[&f] = true
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		was := h.timers[&f]
		delete(h.timers, &f)
		return was
	}
}

// fire ends the patience of all that waits now.
func (h *held) fire() {
	h.mu.Lock()
	due := h.timers
	h.timers = nil
	h.mu.Unlock()
	for f := range due {
		go (*f)()
	}
}

// hangs makes a drive hang until heal. It counts as all the harm that may be: until it
// was repaired what others lack, nothing further befalls any drive.
func (w *world) hangs() error {
	if w.heal(); w.harmed() > 0 {
		return w.mend()
	}
	d, _ := w.spareDrive()
	w.mu.Lock()
	w.mu.damaged["any other"] = true
	w.mu.Unlock()
	w.failing[d] = true
	h := &hang{folder: d + "/", released: make(chan struct{})}
	w.hung.Store(h)
	h.over.Go(func() { w.impatient(h) })
	w.layout.done["hangs"]++
	return nil
}

func (w *world) harmed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.damaged)
}

// impatient ends patience where nothing goes on but what hangs.
func (w *world) impatient(h *hang) {
	patience := &w.host.Clock.(*clock).patience
	seen, since := w.began.Load(), time.Now()
	for {
		select {
		case <-h.released:
			return
		case <-time.After(quiet / 10):
		}
		if now := w.began.Load(); now != seen || w.forking.Load() > 0 || h.waiting.Load() == 0 {
			seen, since = now, time.Now()
		}
		if time.Since(since) >= quiet {
			patience.fire()
			since = time.Now()
		}
	}
}

// wait is where operations of a drive that hangs are.
func (w *world) wait(path string) {
	w.began.Add(1)
	if h := w.hung.Load(); h != nil && strings.HasPrefix(path, h.folder) {
		h.waiting.Add(1)
		<-h.released
		h.waiting.Add(-1)
	}
}

// release lets the drive that hangs answer, and waits until the store has noticed.
func (w *world) release() {
	h := w.hung.Swap(nil)
	if h == nil {
		return
	}
	close(h.released)
	h.over.Wait()
	w.host.Clock.(*clock).patience.forget()
	for end := time.Now().Add(20 * time.Second); w.slow(); {
		if time.Now().After(end) {
			w.fatal("the drive in %s answers again, and is\n%s", h.folder, drivesOf(w.store))
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) slow() bool {
	for _, d := range w.store.Drives() {
		if d.State == objects.DriveSlow {
			return true
		}
	}
	return false
}
