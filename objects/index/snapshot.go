package index

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tarnlake/tarn/host"
)

// snapshotSet holds the open snapshots of one view, so that it can end them.
type snapshotSet struct {
	mu   sync.Mutex // taken before a snapshot's own
	open map[*viewSnapshot]struct{}
}

func (s *snapshotSet) add(v *viewSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*viewSnapshot]struct{})
	}
	s.open[v] = struct{}{}
}

func (s *snapshotSet) remove(v *viewSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, v)
}

func (s *snapshotSet) expireAll(cause error) {
	s.mu.Lock()
	var all []*viewSnapshot
	for v := range s.open {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		v.end(cause)
	}
}

// viewSnapshot pins one state of one view.
type viewSnapshot struct {
	m        *Machine
	position Position
	logged   int64       // bytes of log that had come when it was taken
	stop     func() bool // of the timer

	mu struct {
		sync.Mutex
		pinned *pebble.Snapshot
		users  int
		ended  error // why no more reads begin
	}
}

// expireBefore ends those that were taken before so many bytes of log had come.
func (s *snapshotSet) expireBefore(logged int64) {
	s.mu.Lock()
	var old []*viewSnapshot
	for v := range s.open {
		if v.logged < logged {
			old = append(old, v)
		}
	}
	s.mu.Unlock()
	for _, v := range old {
		v.end(ErrSnapshotExpired)
	}
}

// Snapshot pins the applied state for at most bound.
func (m *Machine) Snapshot(clock host.Clock, bound time.Duration) (Snapshot, error) {
	return m.snapshot(clock, bound, 0)
}

func (m *Machine) snapshot(clock host.Clock, bound time.Duration, logged int64) (Snapshot, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	v := &viewSnapshot{m: m, logged: logged}
	v.mu.pinned = m.db.NewSnapshot()
	s, err := m.stateOf(v.mu.pinned)
	if err != nil {
		v.end(err)
		return nil, err
	}
	v.position = At(m.opts.Shard, s.applied)
	m.snapshots.add(v)
	v.mu.Lock() // the timer may fire before stop is set
	v.stop = clock.AfterFunc(bound, func() { v.end(ErrSnapshotExpired) })
	v.mu.Unlock()
	if err := m.over(); err != nil {
		v.end(err)
	}
	return v, nil
}

func (m *Machine) stateOf(r reader) (state, error) {
	b, closer, err := r.Get(stateKey)
	if err != nil {
		return state{}, m.readError(err)
	}
	defer closer.Close()
	return decodeState(b)
}

func (v *viewSnapshot) Position() Position { return v.position }

func (v *viewSnapshot) Get(ctx context.Context, key []byte) (Item, error) {
	if err := ctx.Err(); err != nil {
		return Item{}, err
	}
	if err := v.begin(); err != nil {
		return Item{}, err
	}
	defer v.done()
	return v.m.get(v.mu.pinned, key)
}

func (v *viewSnapshot) Scan(ctx context.Context, lo, hi []byte, o ScanOptions) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if err := v.begin(); err != nil {
			yield(Item{}, err)
			return
		}
		defer v.done()
		v.m.scan(ctx, v.mu.pinned, lo, hi, o, v.ended, yield)
	}
}

func (v *viewSnapshot) begin() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.ended != nil {
		return v.mu.ended
	}
	v.mu.users++
	return nil
}

func (v *viewSnapshot) ended() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mu.ended
}

func (v *viewSnapshot) done() {
	v.mu.Lock()
	v.mu.users--
	last := v.mu.users == 0 && v.mu.ended != nil
	v.mu.Unlock()
	if last {
		v.release()
	}
}

// end lets no read begin any more; the last one under way unpins the state.
func (v *viewSnapshot) end(cause error) {
	v.mu.Lock()
	first := v.mu.ended == nil
	if first {
		v.mu.ended = cause
	}
	idle := v.mu.users == 0
	stop := v.stop
	v.mu.Unlock()
	if !first {
		return
	}
	if stop != nil {
		stop()
	}
	v.m.snapshots.remove(v)
	if idle {
		v.release()
	}
}

func (v *viewSnapshot) release() {
	if err := v.mu.pinned.Close(); err != nil {
		v.m.opts.Log.Warn("close snapshot", "error", err)
	}
	v.m.gate.leave()
}

// Close of a snapshot that ended by itself is no error.
func (v *viewSnapshot) Close() error {
	v.end(ErrClosed)
	return nil
}
