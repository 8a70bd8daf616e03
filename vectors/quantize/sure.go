package quantize

import (
	"math"

	"github.com/tarnlake/tarn/vectors/distance"
)

// Sure is a score below which that of a row by its bytes, with their factors, certainly is not. Where Wide
// tells three standard errors, this takes the widest that rounding can do: bytes are off by half a
// step each, and the query's numbers likewise, so that by Cauchy and Schwarz their products are off by no
// more than the product of the lengths. The slack is for float32.
func (p *Probe) Sure(row []int8, add, mul float32) (least float32) {
	q := p.q
	dot := float32(dotWide(row, q.wide)) * q.wideStep
	root := float32(math.Sqrt(float64(len(row))))
	size := float32(math.Sqrt(float64(q.square)))
	steps := max(mul, -mul) / 2 // of the bytes, doubled or not, as the score has it
	rounding := steps*root*size + max(mul, -mul)*root*root*127*q.wideStep/2
	slack := 2e-5 * (q.square + max(add, -add) + max(p.base, -p.base) + max(mul*dot, -mul*dot))
	return p.base + add + mul*dot - rounding - slack
}

// Reach is a bound of how far a row, of which the bytes and their mul are given, lies from its centroid.
func Reach(metric distance.Metric, row []int8, mul float32) float32 {
	sum := int64(0)
	for _, x := range row {
		sum += int64(x) * int64(x)
	}
	step := max(mul, -mul)
	if metric == distance.Euclidean {
		step /= 2
	}
	return 1.0001 * step * float32(math.Sqrt(float64(sum))+math.Sqrt(float64(len(row)))/2)
}

// Least is a score below which that of a row certainly is not that lies within a radius of the
// probe's centroid: by the triangle inequality.
func (p *Probe) Least(centroid []float32, radius float32) float32 {
	if p.q.metric == distance.DotProduct {
		size := float32(math.Sqrt(float64(p.q.square)))
		product := distance.Dot(p.q.vector, centroid)
		return -product - size*radius - 1e-4*(max(product, -product)+size*(radius+distance.Norm(centroid)))
	}
	between := max(0, p.distance-radius-1e-4*(p.distance+radius+distance.Norm(centroid)))
	if p.q.metric == distance.Cosine {
		return between * between / 2
	}
	return between * between
}

// At is the query at a cell, to the last bit; scratch has the width of codes.
func (c *Cells) At(q *Query, i int, scratch []float32) Probe {
	c.Point(i, scratch)
	return q.Away(distance.L2(q.rotated, scratch))
}

// Off is a bound of how far a cell is from its neighbourhood's centroid.
func (c *Cells) Off(i int, scratch []float32) float32 {
	c.Point(i, scratch)
	return 1.0001 * float32(math.Sqrt(float64(distance.L2(scratch, c.home.turned))))
}
