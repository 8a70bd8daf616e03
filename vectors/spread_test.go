package vectors

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestAFilterFarFromTheQueryIsNoLongWay: what a filter means lies behind most of the cells. Hardly a look is wasted on
// those, what is nearest is found, and so is a fresh row in a neighbourhood that holds nothing else of it.
func TestAFilterFarFromTheQueryIsNoLongWay(t *testing.T) {
	const n, dim, seed, probes = 4000, 32, 91, 12
	t.Logf("seed %d", seed)
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		rng := rand.New(rand.NewPCG(seed, uint64(metric)))
		// Rows lie in clusters around points; of the sixteen farthest from the first, every row is meant, of the others none.
		const clusters, far = 64, 16
		middles := make([][]float32, clusters)
		for i := range middles {
			middles[i] = randomVector(rng, dim)
		}
		slices.SortFunc(middles[1:], func(x, y []float32) int {
			return cmp.Compare(naiveDistance(metric, middles[0], y), naiveDistance(metric, middles[0], x))
		})
		data, near := make([][]float32, n), middles[0]
		for i := range data {
			data[i] = around(rng, middles[i%clusters])
		}
		e := openEngine(t, Options{Store: newMemoryStore(t, seed), Tuning: Tuning{YoungRows: 500, FoldRows: 5000, Target: 128}})
		create(t, e, Spec{Name: "docs", Dimension: dim, Metric: metric})
		pushAll(t, e, "docs", data, func(i int) []byte { return fmt.Appendf(nil, `{"far":%t}`, i%clusters >= 1 && i%clusters <= far) })
		must(t, e.Flush(background))
		r := Request{TopK: 10, Filter: []byte(`{"far":true}`), Probes: probes}
		sum, looked := 0.0, 0
		const tried = 30
		for range tried {
			r.Values, r.Exact = slices.Clone(near), false
			for j, x := range middles[1+rng.IntN(far)] {
				r.Values[j] += 0.3 * (x - r.Values[j])
			}
			a := query(t, e, "docs", r)
			if a.Explain.Plan != PlanBitmap {
				t.Fatalf("%v: the plan is %q of %d rows: nothing is tested", metric, a.Explain.Plan, a.Explain.Selected)
			}
			looked += a.Explain.Probed
			r.Exact = true
			sum += share(keysOf(a), keysOf(query(t, e, "docs", r)))
		}
		// 12 probes count for 22 where a quarter is meant; a walk past the others would be 50 to 60.
		if sum < 0.9*tried || looked > 42*tried {
			t.Errorf("%v: recall %.3f, %d places looked into", metric, sum/tried, looked/tried)
		}
		must(t, e.Put(background, bucket, "docs", []Vector{{Key: "fresh", Values: near, Metadata: []byte(`{"far":true}`)}}))
		r.Values, r.Exact = near, false
		if a := query(t, e, "docs", r); metric != distance.DotProduct && a.Hits[0].Key != "fresh" || !slices.Contains(keysOf(a), "fresh") && metric == distance.DotProduct && better(a, near) {
			t.Errorf("%v: the fresh row is not found: %v", metric, keysOf(a))
		}
	}
}

func around(rng *rand.Rand, middle []float32) []float32 {
	v := slices.Clone(middle)
	for j := range v {
		v[j] += float32(rng.NormFloat64()) * 0.3
	}
	return v
}

// better reports whether the product of a vector with itself is above that of the last hit.
func better(a Answer, v []float32) bool {
	return -distance.Dot(v, v) < a.Hits[len(a.Hits)-1].Distance
}

// TestAViewRemembersItsLastFilters: the last ones asked for, and no more than it may.
func TestAViewRemembersItsLastFilters(t *testing.T) {
	var s spreads
	for i := range spreadsMax + 3 {
		s.keep(&spread{filter: fmt.Sprint(i), rows: i})
		if s.find("1") == nil && i > 0 {
			t.Fatalf("after %d filters one that is asked for each time is forgotten", i+1)
		}
	}
	if s.find("0") != nil || s.find("2") != nil || s.find(fmt.Sprint(spreadsMax+2)).rows != spreadsMax+2 || len(s.list) != spreadsMax {
		t.Errorf("%d are remembered, the wrong ones", len(s.list))
	}
}
