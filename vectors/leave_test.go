package vectors

import (
	"math/rand/v2"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestBlocksThatWereWrittenAnewLeaveMemory: after upkeep the cache has no block that no view names, so that
// churn does not fill it.
func TestBlocksThatWereWrittenAnewLeaveMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	e := openEngine(t, Options{Store: newMemoryStore(t, 5), Tuning: Tuning{YoungRows: 300, FoldRows: 400, Target: 60}})
	create(t, e, Spec{Name: "docs", Dimension: 16, Metric: distance.Euclidean})
	for range 4 {
		pushAll(t, e, "docs", clustered(rng, 1500, 16, 20), func(int) []byte { return nil })
		must(t, e.Flush(background))
		query(t, e, "docs", Request{Values: clustered(rng, 1, 16, 20)[0], TopK: 10, Exact: true})
	}
	o, err := e.use(background, bucket, "docs")
	must(t, err)
	named := map[blockName]bool{}
	m := o.moment()
	for _, h := range m.homes {
		for i := range h.parts {
			named[nameOf(&h.parts[i])] = true
		}
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	bytes := int64(0)
	for name, it := range e.cache.mu.blocks {
		bytes += int64(it.block.Bytes())
		if !named[name] {
			t.Errorf("the block %+v is in memory, and no neighbourhood has it", name)
		}
	}
	if bytes != e.cache.mu.bytes || len(e.cache.mu.blocks) == 0 {
		t.Errorf("%d blocks have %d bytes, the cache says %d", len(e.cache.mu.blocks), bytes, e.cache.mu.bytes)
	}
}
