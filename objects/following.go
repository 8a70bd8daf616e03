package objects

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tarnlake/tarn/objects/index"
)

// following gathers the keys that change after a position.
type following struct {
	due    chan struct{} // gets a token when there are many
	most   int           // that are remembered
	end    context.CancelFunc
	watch  index.Watcher
	closed chan struct{} // the goroutine has ended

	mu   sync.Mutex
	now  changes
	at   index.Position // through which they are gathered
	err  error          // why no more come
	news chan struct{}  // closed at the next change of what stands here
}

// changes are keys and ranges that may name something else than before, each with the
// position of its last change.
type changes struct {
	keys   map[string]index.Position
	ranges []changedRange
}

type changedRange struct {
	lo, hi []byte
	at     index.Position
}

func (c *changes) count() int { return len(c.keys) + len(c.ranges) }

func (s *Store) followFrom(from index.Position, due chan struct{}) (*following, error) {
	ctx, end := context.WithCancel(s.life)
	watch, err := s.idx.Watch(ctx, from)
	if err != nil {
		end()
		return nil, err
	}
	f := &following{due: due, most: s.tally.most, end: end, watch: watch, closed: make(chan struct{}), at: from, news: make(chan struct{})}
	f.now.keys = map[string]index.Position{}
	go f.run(ctx)
	return f, nil
}

func (f *following) stop() {
	f.end()
	_ = f.watch.Close()
	<-f.closed
}

func (f *following) run(ctx context.Context) {
	defer close(f.closed)
	for {
		e, err := f.watch.Next(ctx)
		room := f.note(&e, err)
		if err != nil {
			return
		}
		for room != nil {
			select {
			case <-room:
				room = f.full()
			case <-ctx.Done():
				return
			}
		}
	}
}

// note takes an entry. What it returns is not nil where there is no room for another.
func (f *following) note(e *index.Entry, err error) <-chan struct{} {
	f.mu.Lock()
	if err != nil {
		f.err = fmt.Errorf("follow the index: %w", err)
	} else {
		f.at = e.Position
	}
	for i := range e.Mutations {
		if m := &e.Mutations[i]; m.Kind == index.DeleteRange {
			f.now.ranges = append(f.now.ranges, changedRange{m.Key, m.End, e.Position})
		} else {
			f.now.keys[string(m.Key)] = e.Position
		}
	}
	if f.now.count() > f.most/2 {
		tap(f.due)
	}
	f.stir()
	f.mu.Unlock()
	return f.full()
}

// stir wakes who waits. It is called with mu held.
func (f *following) stir() {
	close(f.news)
	f.news = make(chan struct{})
}

func (f *following) full() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.count() < f.most {
		return nil
	}
	return f.news
}

// changed waits until everything through a position is gathered, and takes it. What
// changed again after that stays for the next time as well.
func (f *following) changed(ctx context.Context, through index.Position) (changes, error) {
	taken := changes{keys: map[string]index.Position{}}
	for {
		f.mu.Lock()
		maps.Copy(taken.keys, f.now.keys)
		taken.ranges = append(taken.ranges, f.now.ranges...)
		f.now = changes{keys: map[string]index.Position{}}
		done, err := f.at.Covers(through), f.err
		if done || err != nil {
			f.keepLater(&taken, through)
			f.mu.Unlock()
			if done {
				err = nil
			}
			return taken, err
		}
		f.stir() // there is room
		news := f.news
		f.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return taken, ctx.Err()
		}
	}
}

func (f *following) keepLater(taken *changes, through index.Position) {
	for key, at := range taken.keys {
		if !through.Covers(at) {
			f.now.keys[key] = at
		}
	}
	f.now.ranges = slices.Clone(taken.ranges)
	f.now.ranges = slices.DeleteFunc(f.now.ranges, func(r changedRange) bool { return through.Covers(r.at) })
	f.stir()
}
