package drive

import (
	"io"
	"sync"

	"github.com/tarnlake/tarn/host"
)

// directBytes are worth a read past the operating system's memory.
const directBytes = 256 << 10

// warmth decides which large reads leave a copy in the operating system's memory: those of
// records that were read a short while ago. What is read once, by an audit, a
// repair or a long scan, pushes nothing out. The zero value is ready.
type warmth struct {
	mu     sync.Mutex
	latest map[place]struct{} // read since the last turn
	before map[place]struct{} // read in the turn before
}

// warmthRecords is how many records a turn has.
const warmthRecords = 2048

// source is where to read n bytes at off, of the record at p.
func (w *warmth) source(h *handle, p place, off, n int64) io.ReaderAt {
	if w.again(p) || host.InMemory(h.file, off, n) {
		return h.file
	}
	return h.pastMemory()
}

// again notes a read of a record, and reports whether there was one a short while ago.
func (w *warmth) again(p place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, late := w.latest[p]
	_, early := w.before[p]
	if late {
		return true
	}
	if len(w.latest) >= warmthRecords || w.latest == nil {
		w.before, w.latest = w.latest, make(map[place]struct{}, warmthRecords)
	}
	w.latest[p] = struct{}{}
	return early
}
