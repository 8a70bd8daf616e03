package vectors

import (
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestIDsAreGivenOnceHoweverAnIndexIsOpened: the ids that were reserved when an index was made are given away
// by the engine that made it, once; others, and itself after it let the index go, reserve their own.
func TestIDsAreGivenOnceHoweverAnIndexIsOpened(t *testing.T) {
	s := newMemoryStore(t, 1)
	maker, other := openEngine(t, Options{Store: s}), openEngine(t, Options{Store: s})
	create(t, maker, Spec{Name: "docs", Dimension: 2, Metric: distance.Euclidean})
	seen := map[uint64]bool{}
	take := func(e *Engine) uint64 {
		t.Helper()
		o, err := e.use(background, bucket, "docs")
		must(t, err)
		id, err := o.takeIDs(background, 1)
		must(t, err)
		if seen[id] {
			t.Errorf("id %d was given away twice", id)
		}
		seen[id] = true
		return id
	}
	take(other)
	if first := take(maker); first != 1 {
		t.Errorf("the first id of its maker is %d", first)
	}
	take(maker)
	for range 2 {
		for _, o := range maker.opens() {
			maker.forget(o)
		}
		take(maker)
		take(other)
	}
}
