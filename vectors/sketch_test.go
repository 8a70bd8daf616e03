package vectors

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// What a sketch rules out is no neighbour: the tail is answered as if each of its rows had been compared in full.
func TestSketchesOfTheTailRuleOutNoNeighbour(t *testing.T) {
	const rows, k, seed = 700, 10, 83
	e := openEngine(t, Options{Store: newMemoryStore(t, seed)})
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		for _, dim := range []int{1, 7, 50, 384} {
			name := fmt.Sprintf("index-%d-%d", metric, dim)
			create(t, e, Spec{Name: name, Dimension: dim, Metric: metric})
			rng := rand.New(rand.NewPCG(seed, uint64(dim)))
			all := gathered(rng, rows, dim)
			for batch := range slices.Chunk(all, 100) {
				must(t, e.Put(background, bucket, name, batch))
			}
			for range 20 {
				q := slices.Clone(all[rng.IntN(rows)].Values)
				for j := range q {
					q[j] += float32(0.01 * rng.NormFloat64())
				}
				got := query(t, e, name, Request{TopK: k, Values: q})
				want := exactDistances(metric, all, q)[:k]
				for i, h := range got.Hits {
					if h.Distance != want[i] {
						t.Fatalf("metric %v, %d numbers: hit %d is at %v, neighbour %d at %v", metric, dim, i, h.Distance, i, want[i])
					}
				}
			}
		}
	}
}

// gathered are rows around a few points, some of them very near to each other.
func gathered(rng *rand.Rand, n, dim int) []Vector {
	points := make([][]float32, 5)
	for i := range points {
		points[i] = make([]float32, dim)
		for j := range points[i] {
			points[i][j] = float32(rng.NormFloat64())
		}
	}
	all := make([]Vector, n)
	for i := range all {
		wide := []float64{1, 0.1, 0.003}[rng.IntN(3)]
		all[i] = Vector{Key: strconv.Itoa(i), Values: make([]float32, dim)}
		for j, x := range points[rng.IntN(len(points))] {
			all[i].Values[j] = x + float32(wide*rng.NormFloat64())
		}
	}
	return all
}

func exactDistances(metric distance.Metric, all []Vector, q []float32) []float32 {
	query := distance.NewQuery(metric, q)
	out := make([]float32, len(all))
	for i := range all {
		out[i] = query.Row(all[i].Values, distance.Inverse(all[i].Values))
	}
	slices.SortFunc(out, cmp.Compare[float32])
	return out
}
