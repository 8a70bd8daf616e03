package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
)

// queueMax is the number of transactions that wait for the log.
const queueMax = 1024

// Local is an Index over one Log, evaluated in this process.
type Local struct {
	opts   Options
	places places
	views  views
	feed   *Feed
	gate   gate // commits, checkpoints and reads of the log under way; Close waits

	queue   chan *proposal
	errands chan func()   // run between commits, by the goroutine that owns the log
	nudge   chan struct{} // somebody waits for a view
	closing chan struct{} // Close began
	stop    chan struct{} // nothing is under way any more
	end     context.CancelFunc
	tasks   sync.WaitGroup // sequencer and checkpointer; Close waits

	logged atomic.Int64 // bytes appended by this process
	image  atomic.Int64 // bytes of the latest checkpoint; 0: none was taken yet

	checkpointing sync.Mutex // one checkpoint at a time
	due           chan struct{}

	sequencer sequencer
}

var _ Index = (*Local)(nil)

// Open brings the view up to date and starts the index. On success the Log
// belongs to the index; on an error it stays the caller's.
func Open(ctx context.Context, o Options) (*Local, error) {
	o.setDefaults()
	l := &Local{
		opts:    o,
		queue:   make(chan *proposal, queueMax),
		errands: make(chan func()),
		nudge:   make(chan struct{}, 1),
		closing: make(chan struct{}),
		stop:    make(chan struct{}),
		due:     make(chan struct{}, 1),
	}
	l.gate.init()
	l.places.init(o.FS, append([]string{o.Dir}, o.Spares...))
	m, err := l.openView(ctx)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	l.views.set(m, nil)
	l.feed = NewFeed(o.Shard, m.Applied(), l.history)
	l.sequencer = sequencer{Local: l, log: o.Log, last: m.Applied(), rest: newResting(restAfter), quiet: newResting(shortenAfter)}
	l.sequencer.marks.add(o.Log.First()-1, 0)
	l.sequencer.marks.add(o.Log.Last(), o.Log.Bytes())
	l.sequencer.sinceCheckpoint = o.Log.Bytes() - o.WatchKeptBytes
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l.end = end
	l.tasks.Go(func() { l.sequencer.run(life) })
	l.tasks.Go(func() { l.checkpointWhenDue(life) })
	return l, nil
}

func (l *Local) openView(ctx context.Context) (*Machine, error) {
	m := l.findView(ctx)
	if m == nil {
		var err error
		if m, _, err = l.rebuild(ctx); err != nil {
			return nil, err
		}
	}
	l.tidy(m)
	return m, nil
}

func (l *Local) tidy(serving *Machine) {
	if err := l.places.removeOthers(serving.opts.Dir); err != nil {
		l.opts.Host.Log.Warn("old index views stay", "error", err)
	}
}

// told is the last sequence whose outcome was published.
func (l *Local) told() uint64 {
	if l.feed == nil {
		return l.opts.Log.Last() // at open nobody waits for an answer
	}
	return l.feed.last()
}

// proposal is a transaction on its way through the log.
type proposal struct {
	data   []byte
	taken  atomic.Bool // by the sequencer, or by its committer, who gave up
	answer chan Applied
}

// Commit makes txn durable and applies it. An error of ctx that is not
// ErrUnknown too means that it was not written.
func (l *Local) Commit(ctx context.Context, txn Txn) (Result, error) {
	if err := l.gate.enter(); err != nil {
		return Result{}, err
	}
	defer l.gate.leave()
	data, err := Proposal{Txn: txn, Proposed: l.opts.Host.Clock.Now()}.Encode(nil)
	if err != nil {
		return Result{}, err
	}
	p := &proposal{data: data, answer: make(chan Applied, 1)}
	select {
	case l.queue <- p:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("queue transaction: %w", ctx.Err())
	}
	select {
	case a := <-p.answer:
		return a.Result, a.Err
	case <-ctx.Done():
		if p.taken.CompareAndSwap(false, true) {
			return Result{}, fmt.Errorf("queue transaction: %w", ctx.Err())
		}
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// Get reads the latest committed value.
func (l *Local) Get(ctx context.Context, key []byte) (Item, error) {
	return reading(ctx, l, func(m *Machine) (Item, error) { return m.Get(key) })
}

// Snapshot pins the present state for at most Options.SnapshotMax, and until
// Options.SnapshotBytes of log came after it.
func (l *Local) Snapshot(ctx context.Context) (Snapshot, error) {
	return reading(ctx, l, func(m *Machine) (Snapshot, error) {
		return m.snapshot(l.opts.Host.Clock, l.opts.SnapshotMax, l.logged.Load())
	})
}

// reading runs read on the view, and again on the next one where it failed.
func reading[T any](ctx context.Context, l *Local, read func(*Machine) (T, error)) (T, error) {
	var none T
	for {
		m, err := l.view(ctx)
		if err != nil {
			return none, err
		}
		got, err := read(m)
		if err == nil || errors.Is(err, ErrNotFound) || !m.gone() {
			return got, err
		}
	}
}

// Scan yields the items of [lo, hi) as of the moment when it is ranged over.
// The index must not be closed within the loop. Where the view fails in the
// midst, the scan ends with an error; it never goes on in another state.
func (l *Local) Scan(ctx context.Context, lo, hi []byte, o ScanOptions) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for {
			m, err := l.view(ctx)
			if err != nil {
				yield(Item{}, err)
				return
			}
			if l.scanOnce(ctx, m, lo, hi, o, yield) {
				return
			}
		}
	}
}

// scanOnce reports false where the view failed before anything was yielded.
func (l *Local) scanOnce(ctx context.Context, m *Machine, lo, hi []byte, o ScanOptions, yield func(Item, error) bool) bool {
	yielded := false
	for item, err := range m.Scan(ctx, lo, hi, o) {
		if err != nil && !yielded && m.gone() {
			return false
		}
		yielded = true
		if !yield(item, err) {
			break
		}
	}
	return true
}

// Position covers every commit answered before the call, and all that was read.
func (l *Local) Position(ctx context.Context) (Position, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if l.gate.closed() {
		return "", ErrClosed
	}
	last := l.feed.last()
	if m, _, _ := l.views.current(); m != nil {
		last = max(last, m.Applied())
	}
	return At(l.opts.Shard, last), nil
}

// Watch delivers every entry after from.
func (l *Local) Watch(ctx context.Context, from Position) (Watcher, error) {
	return reading(ctx, l, func(m *Machine) (Watcher, error) {
		known, through, err := m.Known()
		if err != nil {
			return nil, err
		}
		return l.feed.Watch(from, max(l.opts.Log.First(), known+1), through)
	})
}

// history reads published entries from the log, for watchers that are behind.
func (l *Local) history(ctx context.Context, after uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := l.gate.enter(); err != nil {
			yield(Entry{}, err)
			return
		}
		defer l.gate.leave()
		m, err := l.view(ctx)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		m.Entries(ctx, l.opts.Log.Replay(ctx, after))(yield)
	}
}

// Close answers the commits under way, ends watchers and scans, and closes the
// view and the log.
func (l *Local) Close() error {
	if !l.gate.close() {
		return nil
	}
	l.feed.Close(ErrClosed)
	close(l.closing)
	l.gate.wait()
	l.end()
	close(l.stop)
	l.tasks.Wait()
	var err error
	if m, _, _ := l.views.current(); m != nil {
		err = m.Close()
	}
	l.views.set(nil, ErrClosed)
	return errors.Join(err, l.opts.Log.Close())
}
