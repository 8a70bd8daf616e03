package navigate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// crowd draws centroids that gather, as those of real data do: around a few points, along a few directions.
func crowd(rng *rand.Rand, m distance.Metric, n, dim int) []float32 {
	const groups, along = 40, 12
	middles, ways := rowsOf(rng, m, groups, dim), rowsOf(rng, m, groups*along, dim)
	var rows []float32
	for range n {
		g := rng.IntN(groups)
		row := slices.Clone(middles[g*dim : (g+1)*dim])
		for w := range along {
			step := 0.3 * float32(rng.NormFloat64())
			for j, x := range ways[(g*along+w)*dim : (g*along+w+1)*dim] {
				row[j] += step * x
			}
		}
		if m == distance.Cosine {
			distance.Scale(row, distance.Inverse(row))
		}
		rows = append(rows, row...)
	}
	return rows
}

// atlasAround has no cells.
func atlasAround(c *Centroids) *Atlas { return NewAtlas(c, make([]*quantize.Cells, c.Len())) }

// both are the n nearest by the chart and by comparing with all.
func both(s *Search, a *Atlas, q *quantize.Query, n int) (charted, exact []int) {
	for _, h := range s.charted(a, q, n) {
		charted = append(charted, int(uint32(h)))
	}
	s.rank(a.centroids, q, a.centroids.metric == distance.DotProduct)
	for _, h := range s.firstHomes(n) {
		exact = append(exact, int(uint32(h)))
	}
	return charted, exact
}

func TestTheChartRulesOutNoNearNeighbourhood(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	for _, m := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		for _, dim := range []int{64, 384} {
			const homes, asked, n = 1500, 150, 30
			rows := crowd(rng, m, homes+asked, dim)
			ids := make([]uint32, homes)
			for i := range ids {
				ids[i] = uint32(3 * i)
			}
			a := atlasAround(After(nil, m, dim, ids, rows[:homes*dim]))
			var q quantize.Query
			var s Search
			found, first, scored := 0, 0, 0
			for i := range asked {
				q.Reset(m, rows[(homes+i)*dim:(homes+i+1)*dim])
				charted, exact := both(&s, a, &q, n)
				for at, home := range exact {
					if slices.Contains(charted, home) {
						found++
						if at == 0 {
							first++
						}
					}
				}
				s.charted(a, &q, n)
				scored += s.held
			}
			if first < asked || float64(found) < 0.997*asked*n {
				t.Errorf("%v of %d numbers: %d of %d nearest ones, %d of %d among the first", m, dim, first, asked, found, asked*n)
			}
			if scored > asked*homes/3 {
				t.Errorf("%v of %d numbers: the chart leaves %d of %d", m, dim, scored/asked, homes)
			}
		}
	}
}

// Dots of a neighbourhood that the chart ruled out are found when they are asked for.
func TestPlacesThatTheChartRuledOutHaveTheirScores(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	const dim, homes = 64, 1100
	rows := crowd(rng, distance.Cosine, homes+1, dim)
	ids := make([]uint32, homes)
	for i := range ids {
		ids[i] = uint32(i)
	}
	c := After(nil, distance.Cosine, dim, ids, rows[:homes*dim])
	var q quantize.Query
	q.Reset(distance.Cosine, rows[homes*dim:])
	var s Search
	s.charted(atlasAround(c), &q, 10)
	for home := range homes {
		if got, want := s.dot(c, &q, home), distance.Dot(q.Vector(), c.Row(home)); got < want-1e-5 || got > want+1e-5 {
			t.Fatalf("the product with %d is %v, not %v", home, got, want)
		}
	}
}

// Neighbourhoods come, go and move; the chart that follows has each once, and shares what stayed.
func TestTheChartFollowsItsCentroids(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	const dim = 64
	m := distance.Euclidean
	centroids, last := map[uint32][]float32{}, uint32(0)
	grow := func(n int) {
		rows := crowd(rng, m, n, dim)
		for i := range n {
			last++
			centroids[last] = rows[i*dim : (i+1)*dim]
		}
	}
	grow(1200)
	var c *Centroids
	for step := range 60 {
		var ids []uint32
		var rows []float32
		for id := range last + 1 {
			if row, ok := centroids[id]; ok {
				ids, rows = append(ids, id), append(rows, row...)
			}
		}
		old := c
		c = After(old, m, dim, ids, rows)
		seen := map[uint32]int{}
		for slot, place := range c.chart.places {
			if l := c.chart.leaves[slot/quantize.ChunkRows]; place >= 0 {
				seen[c.ids[place]]++
				if l.ids[slot%quantize.ChunkRows] != c.ids[place] {
					t.Fatalf("step %d: slot %d is %d, not %d", step, slot, c.ids[place], l.ids[slot%quantize.ChunkRows])
				}
			}
		}
		for _, id := range ids {
			if seen[id] != 1 {
				t.Fatalf("step %d: %d is there %d times", step, id, seen[id])
			}
		}
		if old != nil {
			shared := 0
			for _, l := range c.chart.leaves {
				if slices.Contains(old.chart.leaves, l) {
					shared++
				}
			}
			if shared+12 < len(old.chart.leaves) {
				t.Errorf("step %d: of %d leaves %d are as they were", step, len(old.chart.leaves), shared)
			}
		}
		var q quantize.Query
		var s Search
		for range 10 {
			q.Reset(m, crowd(rng, m, 1, dim))
			if charted, exact := both(&s, atlasAround(c), &q, 9); charted[0] != exact[0] {
				t.Errorf("step %d: the nearest is %d, not %d", step, charted[0], exact[0])
			}
		}
		for range 3 {
			delete(centroids, ids[rng.IntN(len(ids))])
			id := ids[rng.IntN(len(ids))]
			if centroids[id] != nil {
				centroids[id] = crowd(rng, m, 1, dim)
			}
		}
		grow(rng.IntN(8))
	}
}

func BenchmarkNearHomes(b *testing.B) {
	rng := rand.New(rand.NewPCG(24, 1))
	for _, dim := range []int{128, 384} {
		for _, homes := range []int{600, 1100, 2500, 25000} {
			rows := crowd(rng, distance.Cosine, homes+64, dim)
			ids := make([]uint32, homes)
			for i := range ids {
				ids[i] = uint32(i)
			}
			for name, c := range map[string]*Centroids{"all": New(distance.Cosine, dim, ids, rows[:homes*dim]), "chart": After(nil, distance.Cosine, dim, ids, rows[:homes*dim])} {
				b.Run(fmt.Sprintf("%d/%d/%s", dim, homes, name), func(b *testing.B) {
					var s Search
					queries := make([]quantize.Query, 64)
					for i := range queries {
						queries[i].Reset(distance.Cosine, rows[(homes+i)*dim:(homes+i+1)*dim])
					}
					a := atlasAround(c)
					left := 0
					for i := range b.N {
						s.nearHomes(a, &queries[i%64], 28, nil)
						left += s.held
					}
					b.ReportMetric(float64(left)/float64(b.N), "scored")
				})
			}
		}
	}
}
