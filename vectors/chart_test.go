package vectors

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// An index of so many neighbourhoods that queries and upkeep find them by a chart: it grows, is polished, and loses rows, and is
// searched as well as one of few.
func TestAnIndexOfManyNeighbourhoodsFindsWhatItShould(t *testing.T) {
	const dim, rows, step = 24, 16_000, 500
	rng := rand.New(rand.NewPCG(81, 0))
	e := openEngine(t, Options{Store: newMemoryStore(t, 81), Tuning: Tuning{YoungRows: 500, FoldRows: 4 * step, Target: 8, Cell: 2}})
	create(t, e, Spec{Name: "docs", Dimension: dim, Metric: distance.Cosine})
	var middles [][]float32
	for range 60 {
		middles = append(middles, randomVector(rng, dim))
	}
	draw := func() []float32 {
		v := randomVector(rng, dim)
		for i, x := range middles[rng.IntN(len(middles))] {
			v[i] = x + 0.6*v[i]
		}
		return v
	}
	for first := 0; first < rows; first += step {
		var list []Vector
		for i := range step {
			list = append(list, Vector{Key: fmt.Sprint(first + i), Values: draw()})
		}
		must(t, e.Put(background, bucket, "docs", list))
		last := list[step-1]
		if got := keysOf(query(t, e, "docs", Request{Values: last.Values, TopK: 1, Probes: 1})); len(got) != 1 || got[0] != last.Key {
			t.Errorf("with %d rows the last one finds %q", first+step, got)
		}
	}
	must(t, e.Flush(background))
	if homes := len(rowsOfView(t, e).homes); homes < 1100 {
		t.Fatalf("%d neighbourhoods are too few for a chart", homes)
	}
	found, missed := 0, 0
	for range 200 {
		v := draw()
		exact := map[string]bool{}
		for _, key := range keysOf(query(t, e, "docs", Request{Values: v, TopK: 10, Exact: true})) {
			exact[key] = true
		}
		for _, key := range keysOf(query(t, e, "docs", Request{Values: v, TopK: 10})) {
			if exact[key] {
				found++
			}
		}
		if got := keysOf(query(t, e, "docs", Request{LikeKey: fmt.Sprint(rng.IntN(rows)), TopK: 1})); len(got) != 1 {
			missed++
		}
	}
	if found < 1900 || missed > 0 {
		t.Errorf("%d of 2000 neighbours were found, %d queries like a stored one found nothing", found, missed)
	}
}
