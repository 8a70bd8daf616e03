package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"sync"
)

// What a feed holds in memory. Older entries come from the log.
const (
	ringEntriesMax = 4096
	ringBytesMax   = 8 << 20
	refillEntries  = 1024 // that a watcher takes from the log at a time
	refillBytesMax = 4 << 20
)

// Feed hands applied entries to any number of watchers, each at its own pace.
// The latest ones are shared in a ring; a watcher that wants older ones reads
// the log by itself, together with the outcomes that the view keeps, so that
// nobody who commits ever waits for a watcher.
type Feed struct {
	shard   uint32
	history func(ctx context.Context, after uint64) iter.Seq2[Entry, error]

	mu struct {
		sync.Mutex
		ring   []Entry // every published entry with a sequence above after
		bytes  int
		after  uint64
		last   uint64        // sequence of the latest published
		more   chan struct{} // closed at the next publication; nil while nobody waits
		closed error
	}
}

// NewFeed begins just after sequence last. history yields published entries
// above a sequence, in order, or ErrCompacted; it may go beyond them.
func NewFeed(shard uint32, last uint64, history func(ctx context.Context, after uint64) iter.Seq2[Entry, error]) *Feed {
	f := &Feed{shard: shard, history: history}
	f.mu.after, f.mu.last = last, last
	return f
}

// Publish adds applied entries, in order. Their memory is the feed's from now on.
func (f *Feed) Publish(entries []Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		sequence := e.Position.Sequence(f.shard)
		if sequence <= f.mu.last {
			continue
		}
		f.mu.ring = append(f.mu.ring, e)
		f.mu.bytes += entryBytes(&e)
		f.mu.last = sequence
	}
	f.shrink()
	f.wake()
}

// Skip moves the feed to a view that was replaced by one through last:
// watchers read what they missed from the log.
func (f *Feed) Skip(last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last <= f.mu.last {
		return
	}
	f.mu.ring, f.mu.bytes = nil, 0
	f.mu.after, f.mu.last = last, last
	f.wake()
}

func (f *Feed) shrink() {
	drop := 0
	for len(f.mu.ring)-drop > ringEntriesMax || f.mu.bytes > ringBytesMax && len(f.mu.ring)-drop > 1 {
		f.mu.bytes -= entryBytes(&f.mu.ring[drop])
		f.mu.after = f.mu.ring[drop].Position.Sequence(f.shard)
		f.mu.ring[drop] = Entry{} // append moves the array on only now and then
		drop++
	}
	f.mu.ring = f.mu.ring[drop:]
}

func (f *Feed) wake() {
	if f.mu.more != nil {
		close(f.mu.more)
		f.mu.more = nil
	}
}

func entryBytes(e *Entry) int {
	n := 64
	for i := range e.Mutations {
		m := &e.Mutations[i]
		n += 96 + len(m.Key) + len(m.End) + len(m.Value)
	}
	return n
}

// Close ends every watcher with cause.
func (f *Feed) Close(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed == nil {
		f.mu.closed = cause
	}
	f.wake()
}

// Watch begins after a position; an empty one is before first, the first entry
// that is kept. One that lies ahead of applied, and so of every entry, is
// refused: it is another store's, or entries were lost.
func (f *Feed) Watch(from Position, first, applied uint64) (Watcher, error) {
	after := from.Sequence(f.shard)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed != nil {
		return nil, f.mu.closed
	}
	if after > max(f.mu.last, applied) {
		return nil, fmt.Errorf("%w: sequence %d lies after the last one, %d", ErrPosition, after, max(f.mu.last, applied))
	}
	if from == "" && first > 0 {
		after = first - 1
	}
	return &watcher{feed: f, after: after, done: make(chan struct{})}, nil
}

// next finds the first entry after a sequence. behind: it is no longer in the
// ring. Otherwise wait is closed when there may be one.
func (f *Feed) next(after uint64) (e Entry, ok, behind bool, wait <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed != nil {
		return Entry{}, false, false, nil, f.mu.closed
	}
	if after < f.mu.after {
		return Entry{}, false, true, nil, nil
	}
	i := sort.Search(len(f.mu.ring), func(i int) bool { return f.mu.ring[i].Position.Sequence(f.shard) > after })
	if i < len(f.mu.ring) {
		return f.mu.ring[i], true, false, nil, nil
	}
	if f.mu.more == nil {
		f.mu.more = make(chan struct{})
	}
	return Entry{}, false, false, f.mu.more, nil
}

func (f *Feed) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.last
}

type watcher struct {
	feed    *Feed
	closing sync.Once
	done    chan struct{}

	mu     sync.Mutex // held by Next
	after  uint64
	buffer []Entry // read ahead from the log
	failed error
}

func (w *watcher) Next(ctx context.Context) (Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.failed == nil {
		e, ok, err := w.step(ctx)
		if err != nil {
			return Entry{}, err
		}
		if ok {
			w.after = e.Position.Sequence(w.feed.shard)
			return e, nil
		}
	}
	return Entry{}, w.failed
}

// step takes one entry, or makes one come nearer.
func (w *watcher) step(ctx context.Context) (Entry, bool, error) {
	select {
	case <-w.done:
		return Entry{}, false, ErrClosed
	default:
	}
	if len(w.buffer) > 0 {
		e := w.buffer[0]
		w.buffer = w.buffer[1:]
		return e, true, nil
	}
	e, ok, behind, wait, err := w.feed.next(w.after)
	if err != nil {
		w.failed = err
		return Entry{}, false, err
	}
	if behind {
		return Entry{}, false, w.refill(ctx)
	}
	if ok {
		return e, true, nil
	}
	select {
	case <-wait:
	case <-w.done:
	case <-ctx.Done():
		return Entry{}, false, ctx.Err()
	}
	return Entry{}, false, nil
}

// refill reads a piece of the log. Nothing of it stays open while the watcher's
// owner takes its time. Only ErrCompacted is final; other errors are told, and
// the next call tries again.
func (w *watcher) refill(ctx context.Context) error {
	last := w.feed.last()
	size := 0
	for e, err := range w.feed.history(ctx, w.after) {
		if err != nil {
			return w.historyError(err)
		}
		if e.Position.Sequence(w.feed.shard) > last {
			break
		}
		w.buffer = append(w.buffer, e)
		if size += entryBytes(&e); size >= refillBytesMax || len(w.buffer) >= refillEntries {
			break
		}
	}
	if len(w.buffer) == 0 {
		w.failed = ErrCompacted // the log ends before what was published: it was trimmed
		return w.failed
	}
	return nil
}

// historyError drops nothing that was read before the error.
func (w *watcher) historyError(err error) error {
	if len(w.buffer) > 0 {
		return nil
	}
	if errors.Is(err, ErrCompacted) {
		w.failed = err
	}
	return err
}

func (w *watcher) Close() error {
	w.closing.Do(func() { close(w.done) })
	return nil
}
