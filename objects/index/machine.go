package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/tarnlake/tarn/host"
)

// errView: the view's bytes make no sense. It can always be rebuilt.
var errView = errors.New("index: view is damaged")

// MachineOptions say where a view lies and whose it is.
type MachineOptions struct {
	FS         host.FS
	Dir        string       // of this view alone
	Shard      uint32       // whose positions it gives
	Identity   [16]byte     // of the store; a view or image of another is refused
	CacheBytes int64        // of blocks in memory; default 64 MiB
	Log        *slog.Logger // default: none

	requestsMax uint64 // default: the constant; tests take less
}

func (o *MachineOptions) setDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.requestsMax == 0 {
		o.requestsMax = requestsMax
	}
}

// Machine is the deterministic state machine: a view of the log in Pebble. Two
// machines that applied the same entries hold the same bytes.
//
// Pebble's own log is off. After a crash the view holds a prefix of what was
// applied, and Applied tells which; the rest comes from the log again.
//
// Reads may be called by many goroutines beside one that calls Apply.
type Machine struct {
	opts MachineOptions
	db   *pebble.DB

	gate    gate          // open reads; Close waits for them
	leaving atomic.Bool   // another answers those who come
	ending  atomic.Bool   // reads end at their next step
	failed  chan struct{} // closed by the first failure
	failure atomic.Pointer[error]
	failing sync.Once
	stuck   chan struct{} // closed by the first stop
	sticks  sync.Once

	applied   atomic.Uint64 // published after the batch is visible
	state     state         // of the applying goroutine
	recent    *recent       // likewise
	snapshots snapshotSet
}

// OpenMachine opens the view in its folder; an empty or absent folder becomes
// the view of an empty log. Any other error means: not usable, rebuild it.
func OpenMachine(o MachineOptions) (*Machine, error) {
	o.setDefaults()
	names, err := o.FS.List(o.Dir)
	if err != nil || len(names) == 0 {
		return RestoreMachine(o, nil)
	}
	m, err := openPebble(o)
	if err != nil {
		return nil, err
	}
	if err := m.loadState(); err != nil {
		return nil, errors.Join(fmt.Errorf("open view %s: %w", o.Dir, err), m.discard())
	}
	return m, nil
}

// RestoreMachine replaces whatever lies in the folder by a view made from an
// image, or by an empty one where image is nil. A crash on the way leaves a
// folder that OpenMachine refuses.
func RestoreMachine(o MachineOptions, image io.Reader) (*Machine, error) {
	o.setDefaults()
	if err := o.FS.RemoveAll(o.Dir); err != nil {
		return nil, fmt.Errorf("clear view %s: %w", o.Dir, err)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make view %s: %w", o.Dir, err)
	}
	m, err := openPebble(o)
	if err != nil {
		return nil, err
	}
	if err := m.guard(func() error { return m.fill(image) }); err != nil {
		return nil, errors.Join(fmt.Errorf("restore view %s: %w", o.Dir, err), m.discard())
	}
	return m, nil
}

// fill writes the state last: Pebble keeps the order of batches across a crash,
// so that a view with a state is whole.
func (m *Machine) fill(image io.Reader) error {
	m.state = state{identity: m.opts.Identity}
	if image != nil {
		s, err := readImage(image, m.opts.Identity, m.db)
		if err != nil {
			return err
		}
		m.state = s
	}
	if err := m.db.Set(stateKey, m.state.encode(), pebble.NoSync); err != nil {
		return err
	}
	m.applied.Store(m.state.applied)
	return m.flush()
}

func (m *Machine) loadState() error {
	b, closer, err := m.db.Get(stateKey)
	if err != nil {
		return fmt.Errorf("%w: read state: %w", errView, err)
	}
	defer closer.Close()
	if m.state, err = decodeState(b); err != nil {
		return fmt.Errorf("%w: %w", errView, err)
	}
	if m.state.identity != m.opts.Identity {
		return fmt.Errorf("%w: it belongs to store %x, this is %x", errView, m.state.identity, m.opts.Identity)
	}
	m.applied.Store(m.state.applied)
	return nil
}

func openPebble(o MachineOptions) (*Machine, error) {
	m := &Machine{opts: o, failed: make(chan struct{}), stuck: make(chan struct{})}
	m.gate.init()
	err := m.guard(func() (err error) { // where a background goroutine was stopped, Pebble waits for it
		m.db, err = pebble.Open(o.Dir, m.pebbleOptions())
		return err
	})
	if err = errors.Join(err, m.Failure()); err != nil {
		return nil, fmt.Errorf("open view %s: %w: %w", o.Dir, errView, err)
	}
	return m, nil
}

func (m *Machine) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 viewFS{m.opts.FS, m.stop},
		CacheSize:          m.opts.CacheBytes,
		DisableWAL:         true, // the log in front is durable
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       16 << 20,
		// Loading statistics in the background met a file cache that was closed when an
		// open of a view on a failing drive was given up, and panicked (Pebble v2.1.7).
		DisableTableStats: true,
		Logger:            pebbleLog{m},
		EventListener: &pebble.EventListener{
			BackgroundError: m.stop,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { m.fail(fmt.Errorf("%w: %s", errView, i)) },
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// pebbleLog hears Pebble's fatal errors, of which it must not return: the
// goroutine ends, the view counts as failed and is abandoned, the store lives.
type pebbleLog struct{ m *Machine }

func (pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.m.opts.Log.Warn("index view", "dir", l.m.opts.Dir, "error", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) { l.m.stop(fmt.Errorf(format, args...)) }

// errStuck: one of Pebble's goroutines was ended on the spot, so that closing it
// would wait for ever.
var errStuck = errors.New("pebble stopped")

// stop fails the view and ends the calling goroutine of Pebble, which would
// otherwise try a flush that failed again and again without a pause.
func (m *Machine) stop(err error) {
	m.sticks.Do(func() { close(m.stuck) })
	m.fail(fmt.Errorf("%w: %w", errStuck, err))
	runtime.Goexit()
}

// guard runs what writes to Pebble, and does not wait for it once the view
// failed: Pebble's writers wait for ever where its flushes fail.
func (m *Machine) guard(write func() error) error {
	done := make(chan error, 1)
	go func() { done <- write() }()
	select {
	case err := <-done:
		return err
	case <-m.failed:
		return m.Failure()
	}
}

// Applied is the sequence of the last entry in the view.
func (m *Machine) Applied() uint64 { return m.applied.Load() }

// Failed is closed when the view became unusable: its drive failed or its bytes
// are rotten. It answers no more and must be replaced.
func (m *Machine) Failed() <-chan struct{} { return m.failed }

// Failure is the cause once Failed is closed.
func (m *Machine) Failure() error {
	if p := m.failure.Load(); p != nil {
		return *p
	}
	return nil
}

func (m *Machine) fail(err error) {
	m.failing.Do(func() {
		m.failure.Store(&err)
		close(m.failed)
	})
}

// readError passes an error of Pebble on; anything unexpected fails the view.
func (m *Machine) readError(err error) error {
	if errors.Is(err, pebble.ErrNotFound) {
		return ErrNotFound
	}
	err = fmt.Errorf("%w: %w", errView, err)
	m.fail(err)
	return err
}

// Apply evaluates entries in order and makes their effects visible together.
// Sequences must rise; entries at or below Applied are passed over, with a zero
// Applied. An error fails the view; what was applied before stands.
func (m *Machine) Apply(entries []LogEntry) ([]Applied, error) {
	var done []Applied
	err := m.guard(func() (err error) {
		done, err = m.apply(entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

func (m *Machine) apply(entries []LogEntry) ([]Applied, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.gate.leave()
	if m.recent == nil {
		m.recent = recentSince(m.state)
	}
	a := &applier{batch: m.db.NewIndexedBatch(), state: m.state, shard: m.opts.Shard, requestsMax: m.opts.requestsMax, recent: m.recent}
	defer a.batch.Close()
	done := make([]Applied, len(entries))
	for i, e := range entries {
		if e.Sequence <= a.state.applied {
			continue
		}
		var err error
		if done[i], err = a.apply(e); err != nil {
			m.fail(err)
			return nil, err
		}
	}
	return done, m.commit(a.batch, a.state)
}

func (m *Machine) commit(b *pebble.Batch, s state) error {
	err := b.Set(stateKey, s.encode(), nil)
	if err == nil {
		err = b.Commit(pebble.NoSync)
	}
	if err != nil {
		err = fmt.Errorf("write view: %w", err)
		m.fail(err)
		return err
	}
	m.state = s
	m.applied.Store(s.applied)
	return nil
}

// Forget drops the outcomes of entries up to a sequence, which the log keeps no
// more. It is called by the goroutine that applies.
func (m *Machine) Forget(through uint64) error {
	if through <= m.state.knownAfter {
		return nil
	}
	return m.guard(func() error { return m.forget(through) })
}

func (m *Machine) forget(through uint64) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.gate.leave()
	s := m.state
	s.knownAfter = min(through, s.applied)
	b := m.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange(outcomeKey(0), outcomeKey(s.knownAfter+1), nil); err != nil {
		return err
	}
	return m.commit(b, s)
}

// Known are the entries of which the view knows what they did: those after a sequence, through another one. It is
// where a snapshot taken before may stand, even one that saw a batch a moment before Applied tells of it.
func (m *Machine) Known() (after, through uint64, err error) {
	if err := m.enter(); err != nil {
		return 0, 0, err
	}
	defer m.gate.leave()
	s, err := m.stateOf(m.db)
	return s.knownAfter, s.applied, err
}

// flush makes what was applied so far survive a crash of the view.
func (m *Machine) flush() error {
	return m.guard(func() error {
		if err := m.db.Flush(); err != nil {
			return fmt.Errorf("flush view: %w", err)
		}
		return nil
	})
}

// Flush makes what was applied so far survive a crash of the view, which spares
// the next open the replay. Durability does not depend on it.
func (m *Machine) Flush() error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.gate.leave()
	return m.flush()
}

func (m *Machine) enter() error {
	if err := m.Failure(); err != nil {
		return err
	}
	return m.gate.enter()
}

// Close ends reads and snapshots, waits for them, and leaves a view that the
// next open need not rebuild.
func (m *Machine) Close() error {
	m.ending.Store(true)
	if !m.gate.close() {
		return nil
	}
	m.snapshots.expireAll(ErrClosed)
	m.gate.wait()
	if m.Failure() == nil {
		if err := m.flush(); err != nil {
			m.opts.Log.Warn("index view not flushed", "dir", m.opts.Dir, "error", err)
		}
	}
	return m.discard()
}

// Abandon closes a view that failed or is replaced, without waiting for its
// readers, each of which ends at its next step. Its snapshots expire.
func (m *Machine) Abandon() {
	m.fail(errReplaced)
	if !m.gate.close() {
		return
	}
	m.snapshots.expireAll(fmt.Errorf("%w: %w", ErrSnapshotExpired, m.Failure()))
	go func() {
		m.gate.wait()
		if err := m.discard(); err != nil {
			m.opts.Log.Warn("close failed index view", "dir", m.opts.Dir, "error", err)
		}
	}()
}

var errReplaced = errors.New("index: view was replaced")

// How often, and each time how long, a view waits for its readers before they end at their next step: many
// short waits, so that a process that stood still meanwhile has not used them up.
const (
	retireWaits = 60
	retireWait  = time.Second
)

// retire closes a sound view that is replaced, once those who read it have ended. Others are turned away to the next one at
// once. What is returned is closed when it is done.
func (m *Machine) retire(clock host.Clock, closing <-chan struct{}) (done chan struct{}) {
	done = make(chan struct{})
	m.leaving.Store(true)
	if !m.gate.close() {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		for range retireWaits {
			if !m.occupied(clock, closing) {
				break
			}
		}
		m.fail(errReplaced)
		m.snapshots.expireAll(fmt.Errorf("%w: %w", ErrSnapshotExpired, errReplaced))
		m.gate.wait()
		if err := m.discard(); err != nil {
			m.opts.Log.Warn("close replaced index view", "dir", m.opts.Dir, "error", err)
		}
	}()
	return done
}

// occupied waits a little, and reports whether it was of no avail.
func (m *Machine) occupied(clock host.Clock, closing <-chan struct{}) bool {
	over := make(chan struct{})
	stop := clock.AfterFunc(retireWait, func() { close(over) })
	defer stop()
	select {
	case <-m.gate.empty:
		return false
	case <-closing:
		return false
	case <-over:
		return true
	}
}

// gone reports whether another view answers in place of this one.
func (m *Machine) gone() bool { return m.leaving.Load() || m.Failure() != nil }

// discard closes Pebble, unless it is stuck: then its memory and its folder's
// lock are left until the process ends.
func (m *Machine) discard() error {
	closed := make(chan error, 1)
	select {
	case <-m.stuck:
		return nil
	default:
		go func() { closed <- m.db.Close() }()
	}
	select {
	case err := <-closed:
		return err
	case <-m.stuck:
		return nil
	}
}

// Entries turns log entries into what watchers see of them. It ends with
// ErrCompacted at an entry whose outcome is no longer known.
func (m *Machine) Entries(ctx context.Context, log func(yield func(LogEntry, error) bool)) func(yield func(Entry, error) bool) {
	return func(yield func(Entry, error) bool) {
		for e, err := range log {
			var entry Entry
			if err == nil {
				entry, err = m.entry(e)
			}
			if err == nil {
				err = ctx.Err()
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func (m *Machine) entry(e LogEntry) (Entry, error) {
	p, err := DecodeProposal(append([]byte(nil), e.Data...))
	if err != nil {
		return Entry{}, fmt.Errorf("entry %d: %w", e.Sequence, err)
	}
	applied, err := m.outcome(e.Sequence, len(p.Mutations))
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Position:  At(m.opts.Shard, e.Sequence),
		Version:   e.Sequence,
		RequestID: p.RequestID,
		Mutations: effects(p.Mutations, applied),
	}, nil
}

// outcome of an entry. The state is read after it: had the outcome been dropped
// before the read, the state would say so.
func (m *Machine) outcome(sequence uint64, mutations int) ([]bool, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.gate.leave()
	b, err := m.read(outcomeKey(sequence))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	now, stateErr := m.stateOf(m.db)
	if stateErr != nil {
		return nil, stateErr
	}
	if sequence <= now.knownAfter {
		return nil, ErrCompacted
	}
	if err == nil {
		return decodeOutcome(b)
	}
	whole := make([]bool, mutations)
	for i := range whole {
		whole[i] = true
	}
	return whole, nil
}

func (m *Machine) read(key []byte) ([]byte, error) {
	b, closer, err := m.db.Get(key)
	if err != nil {
		return nil, m.readError(err)
	}
	defer closer.Close()
	return append([]byte(nil), b...), nil
}
