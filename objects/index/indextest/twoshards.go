package indextest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"sort"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// The shards of TwoShards. Their numbers are neither 0 nor neighbours, so that
// whoever takes a position for one sequence fails.
const (
	lowShard   = 3
	highShard  = 900
	shardBound = "n" // keys from here on are the high shard's
)

// TwoShards is a fake of an index whose keys lie in two shards: every position
// has a record for each, and a transaction over both moves both. A caller that
// works on it does not assume one shard. It is in memory, and slow.
type TwoShards struct {
	mu       sync.Mutex
	items    map[string]index.Item
	version  uint64
	entries  []index.Entry
	requests map[index.RequestID]index.Result
	more     chan struct{} // closed at the next entry
	closed   bool
}

var _ index.Index = (*TwoShards)(nil)

// NewTwoShards is an empty fake, closed with the test.
func NewTwoShards(t testing.TB) index.Index {
	s := &TwoShards{
		items: map[string]index.Item{}, requests: map[index.RequestID]index.Result{}, more: make(chan struct{}),
		version: 1000, // versions are no sequences
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func position(low, high uint64) index.Position {
	b := binary.LittleEndian.AppendUint32(nil, lowShard)
	b = binary.LittleEndian.AppendUint64(b, low)
	b = binary.LittleEndian.AppendUint32(b, highShard)
	return index.Position(binary.LittleEndian.AppendUint64(b, high))
}

func (s *TwoShards) position() index.Position {
	if len(s.entries) == 0 {
		return position(0, 0)
	}
	return s.entries[len(s.entries)-1].Position
}

// touches tells the shards in which a transaction has something to do. One with
// nothing to do goes to the low one.
func touches(txn index.Txn) (low, high bool) {
	for _, m := range txn.Mutations {
		end := m.Key
		if m.Kind == index.DeleteRange {
			end = m.End
		}
		low = low || string(m.Key) < shardBound
		high = high || string(end) >= shardBound || m.Kind == index.DeleteRange && len(end) == 0
	}
	return low || !high, high
}

// Commit evaluates the transaction under one lock over both shards.
func (s *TwoShards) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	b, err := index.Proposal{Txn: txn}.Encode(nil) // the limits are the real ones
	if err != nil {
		return index.Result{}, err
	}
	p, err := index.DecodeProposal(b) // and the caller's slices stay his
	if err != nil {
		return index.Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return index.Result{}, err
	}
	return s.evaluate(p.Txn)
}

func (s *TwoShards) usable(ctx context.Context) error {
	if s.closed {
		return index.ErrClosed
	}
	return ctx.Err()
}

func (s *TwoShards) evaluate(txn index.Txn) (index.Result, error) {
	if r, known := s.requests[txn.RequestID]; known && txn.RequestID != (index.RequestID{}) {
		s.append(txn, nil)
		r.Repeated = true
		return r, nil
	}
	m := &model{items: s.items}
	failed, applied := m.decide(txn)
	if failed >= 0 {
		s.append(txn, nil)
		return index.Result{}, &index.ConditionError{Condition: failed, Key: txn.Conditions[failed].Key}
	}
	var effects []index.Mutation
	for i, mutation := range txn.Mutations {
		if applied[i] {
			mutation.Guard = nil
			effects = append(effects, mutation)
		}
	}
	s.append(txn, effects)
	m.apply(txn, applied, s.version)
	r := index.Result{Position: s.position(), Version: s.version, Applied: applied}
	s.requests[txn.RequestID] = r
	return r, nil
}

func (s *TwoShards) append(txn index.Txn, effects []index.Mutation) {
	s.version += 3
	at := s.position()
	seqLow, seqHigh := at.Sequence(lowShard), at.Sequence(highShard)
	low, high := touches(txn)
	if low {
		seqLow++
	}
	if high {
		seqHigh += 2 // sequences of a shard may have gaps
	}
	s.entries = append(s.entries, index.Entry{
		Position: position(seqLow, seqHigh), Version: s.version, RequestID: txn.RequestID, Mutations: effects,
	})
	close(s.more)
	s.more = make(chan struct{})
}

func clone(i index.Item) index.Item {
	i.Key, i.Value = bytes.Clone(i.Key), append([]byte{}, i.Value...)
	return i
}

// Get reads the latest value.
func (s *TwoShards) Get(ctx context.Context, key []byte) (index.Item, error) {
	pinned, err := s.pin(ctx)
	if err != nil {
		return index.Item{}, err
	}
	return pinned.Get(ctx, key)
}

// Scan copies the state when it is ranged over.
func (s *TwoShards) Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error] {
	return func(yield func(index.Item, error) bool) {
		pinned, err := s.pin(ctx)
		if err != nil {
			yield(index.Item{}, err)
			return
		}
		pinned.Scan(ctx, lo, hi, o)(yield)
	}
}

// Snapshot copies the state.
func (s *TwoShards) Snapshot(ctx context.Context) (index.Snapshot, error) { return s.pin(ctx) }

func (s *TwoShards) pin(ctx context.Context) (*pinned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	p := &pinned{of: s, position: s.position()}
	for _, item := range s.items {
		p.items = append(p.items, clone(item))
	}
	sort.Slice(p.items, func(i, j int) bool { return string(p.items[i].Key) < string(p.items[j].Key) })
	return p, nil
}

// Position has a record for each shard.
func (s *TwoShards) Position(ctx context.Context) (index.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	return s.position(), nil
}

// Watch delivers what from does not cover.
func (s *TwoShards) Watch(ctx context.Context, from index.Position) (index.Watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	next := sort.Search(len(s.entries), func(i int) bool { return !from.Covers(s.entries[i].Position) })
	return &shardsWatcher{of: s, next: next, done: make(chan struct{})}, nil
}

// Close ends watchers.
func (s *TwoShards) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.more)
	}
	return nil
}

func (s *TwoShards) entry(n int) (e index.Entry, more <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return index.Entry{}, nil, index.ErrClosed
	}
	if n < len(s.entries) {
		return s.entries[n], nil, nil
	}
	return index.Entry{}, s.more, nil
}

type shardsWatcher struct {
	of      *TwoShards
	closing sync.Once
	done    chan struct{}

	mu   sync.Mutex
	next int
}

func (w *shardsWatcher) Next(ctx context.Context) (index.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		select {
		case <-w.done:
			return index.Entry{}, index.ErrClosed
		default:
		}
		e, more, err := w.of.entry(w.next)
		if err != nil {
			return index.Entry{}, err
		}
		if more == nil {
			w.next++
			return e, nil
		}
		select {
		case <-more:
		case <-w.done:
		case <-ctx.Done():
			return index.Entry{}, ctx.Err()
		}
	}
}

func (w *shardsWatcher) Close() error {
	w.closing.Do(func() { close(w.done) })
	return nil
}

// pinned is a copy of the state.
type pinned struct {
	of       *TwoShards
	position index.Position
	items    []index.Item

	mu     sync.Mutex
	closed bool
}

func (p *pinned) Position() index.Position { return p.position }

func (p *pinned) usable(ctx context.Context) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if closed {
		return index.ErrClosed
	}
	return p.of.usable(ctx)
}

func (p *pinned) Get(ctx context.Context, key []byte) (index.Item, error) {
	if err := p.usable(ctx); err != nil {
		return index.Item{}, err
	}
	i := sort.Search(len(p.items), func(i int) bool { return string(p.items[i].Key) >= string(key) })
	if i == len(p.items) || !bytes.Equal(p.items[i].Key, key) {
		return index.Item{}, index.ErrNotFound
	}
	return clone(p.items[i]), nil
}

func (p *pinned) Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error] {
	return func(yield func(index.Item, error) bool) {
		if err := p.walk(ctx, lo, hi, o, yield); err != nil && !errors.Is(err, errLeft) {
			yield(index.Item{}, err)
		}
	}
}

var errLeft = errors.New("the loop was left")

func (p *pinned) walk(ctx context.Context, lo, hi []byte, o index.ScanOptions, yield func(index.Item, error) bool) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	for n := range p.items {
		item := p.items[n]
		if o.Reverse {
			item = p.items[len(p.items)-1-n]
		}
		if string(item.Key) < string(lo) || len(hi) > 0 && string(item.Key) >= string(hi) {
			continue
		}
		if err := p.usable(ctx); err != nil {
			return err
		}
		if o.KeysOnly {
			item.Value = nil
		}
		if !yield(item, nil) {
			return errLeft
		}
	}
	return nil
}

func (p *pinned) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}
