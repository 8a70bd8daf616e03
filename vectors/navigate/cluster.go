package navigate

import (
	"context"
	"math/rand/v2"

	"github.com/tarnlake/tarn/vectors/distance"
)

// rowsPerCentroid bounds the work of Cluster: more rows than this for each
// centroid hardly move it.
const (
	rowsPerCentroid = 100
	rounds          = 12
	roundsEven      = 6 // of these: the first ones, in which sizes are evened; then centroids settle
)

// Cluster makes k centroids for rows ([n][dim]float32, row major; of length 1
// under Cosine) by k-means. Clusters far below the mean size are given up each
// round, and the largest are divided in their place, so that sizes stay even. It
// looks at no more than 100·k rows, drawn by rng.
func Cluster(ctx context.Context, metric distance.Metric, rows []float32, dim, k int, rng *rand.Rand) ([]float32, error) {
	n := len(rows) / dim
	if n == 0 {
		return nil, nil
	}
	k = max(1, min(k, n))
	c := clustering{metric: metric, dim: dim, k: k, rng: rng, rows: draw(rows, dim, min(n, k*rowsPerCentroid), rng)}
	c.n = len(c.rows) / dim
	c.member = make([]int, c.n)
	c.centroids = append([]float32(nil), draw(c.rows, dim, k, rng)...)
	turns := rounds
	if k == 1 {
		turns = 1 // all there is to do
	}
	for round := range turns {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.assign()
		c.average()
		if round < roundsEven {
			c.even()
		}
	}
	return c.centroids, nil
}

type clustering struct {
	metric    distance.Metric
	dim, k, n int
	rng       *rand.Rand
	rows      []float32
	centroids []float32
	member    []int // of each row: its cluster
	sizes     []int
}

// draw copies count different rows, in random order.
func draw(rows []float32, dim, count int, rng *rand.Rand) []float32 {
	n := len(rows) / dim
	if count >= n {
		return rows
	}
	out := make([]float32, 0, count*dim)
	for _, i := range rng.Perm(n)[:count] {
		out = append(out, rows[i*dim:(i+1)*dim]...)
	}
	return out
}

func (c *clustering) row(i int) []float32      { return c.rows[i*c.dim : (i+1)*c.dim] }
func (c *clustering) centroid(i int) []float32 { return c.centroids[i*c.dim : (i+1)*c.dim] }

func (c *clustering) assign() {
	halves, scratch := make([]float32, c.k), make([]float32, c.k)
	for i := range c.k {
		halves[i] = distance.Dot(c.centroid(i), c.centroid(i)) / 2
	}
	c.sizes = make([]int, c.k)
	for i := range c.n {
		m := nearest(c.row(i), c.centroids, halves, scratch)
		c.member[i] = m
		c.sizes[m]++
	}
}

// average moves each centroid to the mean of its rows; one without rows stays.
func (c *clustering) average() {
	sums := make([]float32, len(c.centroids))
	for i, m := range c.member {
		sum := sums[m*c.dim : (m+1)*c.dim]
		for j, x := range c.row(i) {
			sum[j] += x
		}
	}
	for m, size := range c.sizes {
		sum := sums[m*c.dim : (m+1)*c.dim]
		if size == 0 {
			continue
		}
		factor := 1 / float32(size)
		if c.metric == distance.Cosine {
			factor = distance.Inverse(sum)
		}
		if factor == 0 {
			continue // opposite rows that cancel out
		}
		distance.Scale(sum, factor)
		copy(c.centroid(m), sum)
	}
}

// even moves the centroid of each very small cluster to a row of a very large one.
func (c *clustering) even() {
	mean := c.n / c.k
	var large []int // rows of large clusters
	for i, m := range c.member {
		if c.sizes[m] > 2*mean {
			large = append(large, i)
		}
	}
	for m, size := range c.sizes {
		if 4*size >= mean || len(large) == 0 {
			continue
		}
		copy(c.centroid(m), c.row(large[c.rng.IntN(len(large))]))
	}
}
