package quantize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// someCells are n cells around a centroid, and the points that they were made of, not rotated.
func someCells(rng *rand.Rand, metric distance.Metric, d, n int) (c *Cells, centroid []float32, points [][]float32) {
	centroid = unit(metric, randomVector(rng, d, nil, 1))
	scale := 0.5 * float64(distance.Norm(centroid)) / math.Sqrt(float64(d))
	var turned []float32
	for range n {
		p := unit(metric, randomVector(rng, d, centroid, scale))
		points = append(points, p)
		turned = append(turned, RotationOf(d).Turned(p)...)
	}
	return NewCells(metric, centroid, turned), centroid, points
}

// TestCellsAreWhatTheirBytesSay: the score of a cell is that of the point which its bytes mean, which lies near
// the one it was made of; and a query at the cell is where that score says.
func TestCellsAreWhatTheirBytesSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, d := range []int{1, 3, 64, 100, 384, 1000} {
		for _, metric := range metrics {
			made, centroid, points := someCells(rng, metric, d, 40)
			c := OpenCells(metric, centroid, made.Data())
			if c.Len() != 40 || c.Dimension() != d {
				t.Fatalf("%d cells of %d numbers", c.Len(), c.Dimension())
			}
			q, v := Query{}, unit(metric, randomVector(rng, d, centroid, 0.1))
			q.Reset(metric, v)
			turned, point, at := RotationOf(d).Turned(v), make([]float32, Width(d)), q.At(centroid)
			for i, p := range points {
				c.Point(i, point)
				if off := distance.L2(point, RotationOf(d).Turned(p)); float64(off) > float64(distance.L2(p, centroid))*float64(Width(d))/60_000+1e-9 {
					t.Errorf("%v of %d numbers: cell %d lies %v from its point", metric, d, i, off)
				}
				square := float64(distance.L2(turned, point))
				want := map[distance.Metric]float64{distance.Cosine: square / 2, distance.Euclidean: square, distance.DotProduct: -float64(distance.Dot(turned, point))}[metric]
				size := float64(q.square + distance.Dot(point, point))
				score := c.Score(&at, i)
				if math.Abs(float64(score)-want) > 1e-4*size {
					t.Errorf("%v of %d numbers: cell %d scores %v, want %v", metric, d, i, score, want)
				}
				if got := c.Probe(&q, i, score).distance; math.Abs(float64(got*got)-square) > 4e-4*size {
					t.Errorf("%v of %d numbers: cell %d is %v away, want %v", metric, d, i, got*got, square)
				}
			}
		}
	}
}

// TestRowsOfACellAreBounded: codes relative to a cell tell distances as those relative to a centroid do.
func TestRowsOfACellAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	const d = 200
	for _, metric := range metrics {
		c, centroid, points := someCells(rng, metric, d, 5)
		w := Width(d)
		below, tried := 0, 0
		for cell, p := range points {
			chunk := make([]byte, ChunkBytes(w))
			e := c.Encoder(cell)
			var rows [][]float32
			wide := make([]int8, w)
			var adds, muls []float32
			var wides [][]int8
			for at := range ChunkRows {
				v := randomVector(rng, d, p, 0.02)
				clear(wide)
				add, mul := e.Encode(v, distance.Inverse(v), Row{Chunk: chunk, At: at, Wide: wide})
				rows, adds, muls, wides = append(rows, v), append(adds, add), append(muls, mul), append(wides, append([]int8(nil), wide...))
			}
			var q Query
			v := unit(metric, randomVector(rng, d, p, 0.03))
			q.Reset(metric, v)
			home := q.At(centroid)
			probe := c.Probe(&q, cell, c.Score(&home, cell))
			var lower [ChunkRows]float32
			probe.Scan(chunk, 2, float32(math.Inf(1)), &lower)
			for i, row := range rows {
				want := score(metric, v, row)
				tried++
				if float64(lower[i]) > want+1e-4 {
					below++
				}
				if s, err := probe.Wide(wides[i], adds[i], muls[i]); math.Abs(float64(s)-want) > float64(err)+2e-4*math.Abs(want)+1e-3 {
					t.Errorf("%v: row %d scores %v ± %v by its bytes, want %v", metric, i, s, err, want)
				}
			}
		}
		if below*10 > tried {
			t.Errorf("%v: of %d scores %d lie under two errors", metric, tried, below)
		}
	}
}
