package drive

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	groupBytes   = 4 << 20  // of what one group commit takes together
	queuedMax    = 1024     // requests
	requestBytes = 64 << 20 // of one request
)

// request is one Append, or one Seal where it has no records.
type request struct {
	class     Class
	records   []Record
	addresses []Address
	bytes     int64
	left      int // records not yet synced; the writer's
	err       error
	claimed   atomic.Bool // by the writer, which then finishes it, or by its caller, who gave up
	done      chan struct{}
	then      func([]Address, error) // in place of done
}

func (r *request) finish(err error) {
	if r.then != nil {
		r.then(r.addresses, err)
		return
	}
	r.err = err
	close(r.done)
}

// queue holds the requests that wait for the writer.
type queue struct {
	slots   chan struct{} // one a request, so that the queue has a length
	arrived chan struct{}

	mu      sync.Mutex
	waiting []*request
	closed  bool
}

func newQueue() *queue {
	return &queue{slots: make(chan struct{}, queuedMax), arrived: make(chan struct{}, 1)}
}

// put queues a request and waits until it is finished. When ctx ends before the
// writer took it, it is not written.
func (q *queue) put(ctx context.Context, r *request) error {
	select {
	case q.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !q.push(r) {
		<-q.slots
		return ErrClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-r.done // the writer reads the caller's payloads: it must end first
	}
	return r.err
}

func (q *queue) push(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}

// take waits for requests and takes what is queued, up to groupBytes. nil: closed and drained.
func (q *queue) take() []*request {
	for {
		runtime.Gosched() // whoever is about to queue something may do it first
		batch, closed := q.takeNow()
		if len(batch) > 0 || closed {
			return batch
		}
		<-q.arrived
	}
}

func (q *queue) takeNow() (batch []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var bytes int64
	for len(q.waiting) > 0 {
		r := q.waiting[0]
		if len(batch) > 0 && bytes+r.bytes > groupBytes {
			break
		}
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		<-q.slots
		if r.claimed.CompareAndSwap(false, true) {
			batch, bytes = append(batch, r), bytes+r.bytes
		}
	}
	return batch, q.closed && len(batch) == 0
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// Append writes records and returns their addresses once they are synced. Many
// callers' records share one sync. On an error none of them was acknowledged:
// ErrFull, ErrWrite (try again: another extent will be used), ErrFailed, ErrClosed, or
// ctx's, in which case nothing was written.
func (d *Drive) Append(ctx context.Context, class Class, records []Record) ([]Address, error) {
	r, err := d.request(class, records)
	if err != nil {
		return nil, fmt.Errorf("append to %s: %w", d.dir, err)
	}
	r.done = make(chan struct{})
	if err := d.queues[class].put(ctx, r); err != nil {
		return nil, fmt.Errorf("append %d records (%s) to %s: %w", len(records), class, d.dir, err)
	}
	return r.addresses, nil
}

// Begin is Append for those who wait elsewhere: where it returns nil, the drive's writer
// will call then, once, with what Append would have returned. then must not wait.
// ErrBusy: the queue is full.
func (d *Drive) Begin(class Class, records []Record, then func([]Address, error)) error {
	r, err := d.request(class, records)
	if err != nil {
		return fmt.Errorf("append to %s: %w", d.dir, err)
	}
	r.then = func(a []Address, err error) {
		if err != nil {
			a, err = nil, fmt.Errorf("append %d records (%s) to %s: %w", len(records), class, d.dir, err)
		}
		then(a, err)
	}
	q := d.queues[class]
	select {
	case q.slots <- struct{}{}:
	default:
		return fmt.Errorf("append to %s: %w", d.dir, ErrBusy)
	}
	if !q.push(r) {
		<-q.slots
		return fmt.Errorf("append to %s: %w", d.dir, ErrClosed)
	}
	return nil
}

func (d *Drive) request(class Class, records []Record) (*request, error) {
	if class < Journal || class > Joint {
		return nil, fmt.Errorf("no such class: %d", class)
	}
	r := &request{class: class, records: records, addresses: make([]Address, len(records)), left: len(records)}
	for i := range records {
		n := len(records[i].Payload)
		if n == 0 || n > PayloadBytesMax {
			return nil, fmt.Errorf("record %d has %d bytes, limit 1 to %d: %w", i, n, PayloadBytesMax, ErrTooLarge)
		}
		if need := recordBytes(n) + firstRecord + SectorBytes; need > d.options.ExtentBytes {
			return nil, fmt.Errorf("record %d needs an extent of %d bytes, they have %d: %w", i, need, d.options.ExtentBytes, ErrTooLarge)
		}
		r.bytes += recordBytes(n)
	}
	if len(records) == 0 || r.bytes > requestBytes {
		return nil, fmt.Errorf("%d records of %d bytes, limit 1 record to %d bytes: %w", len(records), r.bytes, requestBytes, ErrTooLarge)
	}
	return r, d.writable()
}

// Seal ends the active extent of a class, so that it can be removed. Records that
// are appended later go to a new one.
func (d *Drive) Seal(ctx context.Context, class Class) error {
	if err := d.writable(); err != nil {
		return fmt.Errorf("seal %s extent of %s: %w", class, d.dir, err)
	}
	return d.queues[class].put(ctx, &request{class: class, done: make(chan struct{})})
}
