package vectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// Everything within a distance is found, as by comparing with every vector, and what certainly is farther is
// passed over: rows by their bytes, and once their radius is known whole blocks.
func TestAllWithinADistanceIsFoundWithoutComparingAll(t *testing.T) {
	const n, dim = 3000, 6
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		for _, cache := range []int64{0, 32 << 10} { // whole blocks fit, or fronts do not even
			if cache > 0 && metric != distance.Euclidean {
				continue
			}
			rng := rand.New(rand.NewPCG(71, uint64(metric)))
			e := openEngine(t, Options{Store: newMemoryStore(t, 71), CacheBytes: cache, Tuning: Tuning{YoungRows: 500, FoldRows: 1500, Target: 20}})
			create(t, e, Spec{Name: "docs", Dimension: dim, Metric: metric})
			data := clustered(rng, n, dim, 80)
			pushAll(t, e, "docs", data, func(i int) []byte { return fmt.Appendf(nil, `{"third":%d}`, i%3) })
			must(t, e.Flush(background))
			must(t, e.Delete(background, bucket, "docs", []string{"k1", "k2", "k3"}))
			var reranked, scanned, blocks, all int64
			for i := range 40 {
				q := slices.Clone(data[rng.IntN(n)])
				q[0] += 0.05
				near := query(t, e, "docs", Request{Values: q, TopK: 40, Exact: true})
				within := near.Hits[20+rng.IntN(19)].Distance
				r := Request{Values: q, Within: &within}
				if i%2 == 1 {
					r.Filter = []byte(`{"third":1}`)
				}
				got := query(t, e, "docs", r)
				r.Exact = true
				want := query(t, e, "docs", r)
				if len(want.Hits) == 0 || !slices.Equal(keysOf(got), keysOf(want)) {
					t.Fatalf("%v, within %v, filter %s: %d hits, %d by comparing all", metric, within, r.Filter, len(got.Hits), len(want.Hits))
				}
				if i >= 20 && r.Filter == nil {
					reranked, scanned = reranked+got.Explain.Reranked, scanned+got.Explain.Scanned
					blocks, all = blocks+got.Explain.Blocks, all+want.Explain.Blocks
				}
			}
			t.Logf("%v, cache of %d: %d of %d blocks, %d rows by their bytes, %d by full numbers of %d", metric, cache, blocks, all, scanned, reranked, 10*n)
			if reranked*10 > scanned {
				t.Errorf("%v: %d of %d rows were compared in full numbers", metric, reranked, scanned)
			}
			if metric != distance.DotProduct && blocks*3 > all*2 {
				t.Errorf("%v: %d of %d blocks were looked into", metric, blocks, all)
			}
		}
	}
}

// BenchmarkWithin asks for the ten nearest by their distance, beside comparing with every vector.
func BenchmarkWithin(b *testing.B) {
	data, queries, real := corpus(b)
	if !real {
		b.Log("no corpus (make data): synthetic vectors")
		data, queries = benchData()
	}
	e := openEngine(b, Options{Store: newMemoryStore(b, 72)})
	create(b, e, Spec{Name: "docs", Dimension: 384})
	pushAll(b, e, "docs", data, nil)
	must(b, e.Flush(background))
	withins := make([]float32, 100)
	for i := range withins {
		withins[i] = query(b, e, "docs", Request{Values: queries[i], TopK: 10, Exact: true}).Hits[9].Distance
	}
	for _, exact := range []bool{true, false} {
		b.Run(map[bool]string{true: "all", false: "bounds"}[exact], func(b *testing.B) {
			before := cpuTime()
			var blocks, reranked int64
			for i := range b.N {
				at := i % len(withins)
				a := query(b, e, "docs", Request{Values: queries[at], Within: &withins[at], Exact: exact})
				blocks, reranked = blocks+a.Explain.Blocks, reranked+a.Explain.Reranked
			}
			b.ReportMetric(float64(cpuTime()-before)/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(blocks)/float64(b.N), "blocks/op")
			b.ReportMetric(float64(reranked)/float64(b.N), "reranked/op")
		})
	}
}
