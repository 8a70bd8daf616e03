package vectors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// flakyStore is a memoryStore whose watchers break, or lose entries.
type flakyStore struct {
	*memoryStore
	mu      sync.Mutex
	watches []chan struct{} // closed to break a watcher
	refuse  int             // watches that are refused from now on
	drop    func(*index.Entry) bool
	lost    int
}

var errFlaky = errors.New("the watch broke")

func (s *flakyStore) Index() index.Index { return flakyIndex{s.memoryStore.Index(), s} }

// breakAll ends all watchers, and lets the next ones fail to begin.
func (s *flakyStore) breakAll(refuse int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		close(w)
	}
	s.watches, s.refuse = nil, refuse
}

type flakyIndex struct {
	index.Index
	s *flakyStore
}

func (i flakyIndex) Watch(ctx context.Context, from index.Position) (index.Watcher, error) {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	if i.s.refuse > 0 {
		i.s.refuse--
		return nil, errFlaky
	}
	w, err := i.Index.Watch(ctx, from)
	broken := make(chan struct{})
	i.s.watches = append(i.s.watches, broken)
	return flakyWatcher{w, i.s, broken}, err
}

type flakyWatcher struct {
	index.Watcher
	s      *flakyStore
	broken chan struct{}
}

func (w flakyWatcher) Next(ctx context.Context) (index.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	e, err := w.Watcher.Next(ctx)
	select {
	case <-w.broken: // what it had taken is lost
		return index.Entry{}, errFlaky
	default:
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if err == nil && w.s.drop != nil && w.s.drop(&e) {
		w.s.lost++
		e.Mutations = nil
	}
	return e, err
}

// TestABrokenWatchMissesNothing: whatever another engine does while this one does
// not hear of it, pushes, deletes, folds and moves, is seen afterwards.
func TestABrokenWatchMissesNothing(t *testing.T) {
	s := newMemoryStore(t, 3)
	flaky := &flakyStore{memoryStore: s}
	deaf, other := openEngine(t, Options{Store: flaky, Tuning: small}), openEngine(t, Options{Store: s, Tuning: small})
	create(t, other, Spec{Name: "notes", Dimension: 2})
	alive := map[string]bool{}
	for round := range 12 {
		query(t, deaf, "notes", Request{Values: []float32{1, 0}, TopK: 1}) // it is in memory
		flaky.breakAll(round % 2)
		var batch []Vector
		for i := range 20 {
			key := fmt.Sprintf("%d-%d", round%5, i)
			batch = append(batch, Vector{Key: key, Values: []float32{1, float32(round)}})
			alive[key] = true
		}
		must(t, other.Put(background, bucket, "notes", batch))
		if round%3 == 1 {
			must(t, other.Delete(background, bucket, "notes", []string{batch[0].Key}))
			delete(alive, batch[0].Key)
		}
		if round%3 == 2 {
			must(t, other.Flush(background))
			s.repair(t)
		}
		a := query(t, deaf, "notes", Request{Values: []float32{1, 0}, TopK: 1000, Exact: true})
		if len(a.Hits) != len(alive) {
			t.Fatalf("round %d: %d hits, %d vectors are alive", round, len(a.Hits), len(alive))
		}
		must(t, deaf.Flush(background))
	}
}

// TestUpkeepEndsThoughAnEntryWasMissed: were a publish of another engine ever lost on
// the way, upkeep would race against it for ever; it loads the index again instead.
func TestUpkeepEndsThoughAnEntryWasMissed(t *testing.T) {
	s := newMemoryStore(t, 4)
	flaky := &flakyStore{memoryStore: s}
	deaf, other := openEngine(t, Options{Store: flaky}), openEngine(t, Options{Store: s})
	create(t, other, Spec{Name: "notes", Dimension: 2})
	fill(t, other, 200)
	query(t, deaf, "notes", Request{Values: []float32{1, 0}, TopK: 1})
	flaky.mu.Lock()
	flaky.drop = func(e *index.Entry) bool {
		for _, m := range e.Mutations {
			if key, ok := parseKey(m.Key); ok && key.kind == keyUpkeep {
				return true
			}
		}
		return false
	}
	flaky.mu.Unlock()
	must(t, other.Flush(background))
	fill(t, other, 200)
	must(t, deaf.Flush(background))
	if a := query(t, deaf, "notes", Request{Values: []float32{1, 0}, TopK: 1000}); len(a.Hits) != 200 {
		t.Errorf("%d hits for 200 vectors", len(a.Hits))
	}
	flaky.mu.Lock()
	defer flaky.mu.Unlock()
	if flaky.lost == 0 {
		t.Error("no publish was lost: the test shows nothing")
	}
}
