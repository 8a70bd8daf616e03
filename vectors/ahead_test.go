package vectors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// lagging is a store whose watchers yield nothing until they are let go.
type lagging struct {
	*memoryStore
	release func()
	gate    chan struct{}
}

func newLagging(s *memoryStore) *lagging {
	gate := make(chan struct{})
	return &lagging{s, sync.OnceFunc(func() { close(gate) }), gate}
}

func (l *lagging) Index() index.Index { return laggingIndex{l.memoryStore.ix, l.gate} }

type laggingIndex struct {
	index.Index
	gate chan struct{}
}

func (l laggingIndex) Watch(ctx context.Context, from index.Position) (index.Watcher, error) {
	w, err := l.Index.Watch(ctx, from)
	return laggingWatcher{w, l.gate}, err
}

type laggingWatcher struct {
	index.Watcher
	gate chan struct{}
}

func (w laggingWatcher) Next(ctx context.Context) (index.Entry, error) {
	select {
	case <-w.gate:
	case <-ctx.Done():
		return index.Entry{}, ctx.Err()
	}
	return w.Watcher.Next(ctx)
}

// An index that is loaded while its follower is behind has entries already that the follower
// brings afterwards: pushes, a fold, deletes.
func TestWhatWasLoadedIsNotTakenAgainFromTheFollower(t *testing.T) {
	s := newMemoryStore(t, 97)
	patient := Tuning{YoungRows: 60, Target: 12} // folds when it is told to
	writer := openEngine(t, Options{Store: s, Tuning: patient})
	create(t, writer, Spec{Name: "notes", Dimension: 2})
	slow := newLagging(s)
	t.Cleanup(slow.release)
	reader := openEngine(t, Options{Store: slow, Tuning: patient})
	fill(t, writer, 100)
	must(t, writer.Flush(background))
	for i := range 30 {
		must(t, writer.Put(background, bucket, "notes", []Vector{{Key: fmt.Sprint(i), Values: []float32{2, float32(i)}}}))
	}
	must(t, writer.Delete(background, bucket, "notes", []string{"40", "41"}))

	must(t, reader.Put(background, bucket, "notes", []Vector{{Key: "own", Values: []float32{3, 3}}})) // loads
	slow.release()
	for range 2 { // before and after a fold by the one that was behind
		n, err := reader.Count(background, bucket, "notes", nil)
		if err != nil || n != 99 {
			t.Fatalf("%d are counted, %v; 99 are there", n, err)
		}
		if a := query(t, reader, "notes", Request{Values: []float32{1, 0}, TopK: 1000}); len(a.Hits) != 99 {
			t.Fatalf("%d hits for 99 vectors", len(a.Hits))
		}
		must(t, reader.Flush(background))
	}
	again := openEngine(t, Options{Store: s, Tuning: patient})
	got, err := again.Get(background, bucket, "notes", []string{"7", "99", "40"}, true, false)
	if err != nil || len(got) != 2 {
		t.Fatalf("an engine opened anew reads %v, %v", got, err)
	}
}

// Should a push be in memory twice all the same, nothing of it is written, and the index is loaded anew.
func TestRowsThatAreInMemoryTwiceAreNotFolded(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 98)})
	create(t, e, Spec{Name: "notes", Dimension: 2})
	fill(t, e, 50)
	o, m, err := e.current(background, bucket, "notes")
	must(t, err)
	o.mu.Lock()
	o.mu.view.join(&o.rec.spec, m.tail[0])
	o.mu.Unlock()
	if err := o.keepUp(background, true); !errors.Is(err, errMemory) {
		t.Fatalf("folded with a push that is there twice: %v", err)
	}
	must(t, e.Flush(background))
	if n, err := e.Count(background, bucket, "notes", nil); err != nil || n != 50 {
		t.Fatalf("%d are counted, %v; 50 are there", n, err)
	}
}
