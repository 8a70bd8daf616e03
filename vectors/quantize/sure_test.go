package quantize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// exactly is the score by float64.
func exactly(metric distance.Metric, o, q []float32) float64 {
	dot, oo, qq, apart := 0.0, 0.0, 0.0, 0.0
	for i := range o {
		a, b := float64(o[i]), float64(q[i])
		dot, oo, qq, apart = dot+a*b, oo+a*a, qq+b*b, apart+(a-b)*(a-b)
	}
	switch metric {
	case distance.Cosine:
		return 1 - dot/math.Sqrt(oo*qq)
	case distance.Euclidean:
		return apart
	}
	return -dot
}

// No row is nearer than these bounds say, whatever its shape: also rows with one large number, far from
// zero, equal to the centroid, or nearly so.
func TestNoRowIsNearerThanItsBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 1))
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		for _, d := range []int{1, 2, 7, 64, 100, 384, 1536} {
			for _, shift := range []float64{0, 1, 100} {
				middle := randomVector(rng, d, nil, 1)
				for i := range middle {
					middle[i] += float32(shift)
				}
				centroid := unit(metric, middle)
				rows := [][]float32{middle}
				for i := range 40 {
					row := randomVector(rng, d, middle, []float64{1e-3, 0.3, 1, 5}[i%4])
					if i%5 == 0 {
						row[i%d] += 30
					}
					rows = append(rows, row)
				}
				n, tight := encode(metric, centroid, rows), 0.0
				for range 5 {
					query := unit(metric, randomVector(rng, d, middle, 2))
					var q Query
					q.Reset(metric, query)
					p := q.At(centroid)
					radius := float32(0)
					for i := range rows {
						radius = max(radius, Reach(metric, n.wide[i*n.width:(i+1)*n.width], n.mul[i]))
					}
					for i, row := range rows {
						truth := exactly(metric, unit(metric, row), query)
						sure := float64(p.Sure(n.wide[i*n.width:(i+1)*n.width], n.add[i], n.mul[i]))
						if sure > truth {
							t.Errorf("%v, %d numbers, shift %v: row %d has %v, certainly not below %v", metric, d, shift, i, truth, sure)
						}
						if least := float64(p.Least(centroid, radius)); least > truth {
							t.Errorf("%v, %d numbers, shift %v: row %d has %v, within its radius not below %v", metric, d, shift, i, truth, least)
						}
						tight += (truth - sure) / (math.Abs(truth) + 1) / float64(5*len(rows))
					}
				}
				if shift == 0 && d > 7 && tight > 0.2 {
					t.Errorf("%v, %d numbers: the bound is off by %.3f of the score on average", metric, d, tight)
				}
			}
		}
	}
}
