package main

import (
	"math"
	"math/rand/v2"
)

// mixture draws vectors from clusters of uneven size: their weights fall by a power law, and each
// spreads along a few directions of its own, with some noise in all.
type mixture struct {
	rng     *rand.Rand
	dim     int
	sums    []float64   // of the weights, rising to 1
	middles [][]float32 // of the clusters
	spreads [][]float32 // of each: [rank][dim]float32, row major
}

const mixtureRank = 12

// newMixture is one of n clusters; equal seeds give equal clusters and draws.
func newMixture(seed uint64, dim, n int) *mixture {
	m := &mixture{rng: rand.New(rand.NewPCG(seed, 1)), dim: dim}
	total := 0.0
	for i := range n {
		total += math.Pow(float64(i+1), -0.7)
		m.sums = append(m.sums, total)
		m.middles = append(m.middles, m.gauss(dim, 1))
		m.spreads = append(m.spreads, m.gauss(mixtureRank*dim, float32(0.3+0.5*m.rng.Float64())/float32(math.Sqrt(mixtureRank))*1.5))
	}
	for i := range m.sums {
		m.sums[i] /= total
	}
	return m
}

func (m *mixture) gauss(n int, scale float32) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = scale * float32(m.rng.NormFloat64())
	}
	return out
}

// drifted is the same kind of data about other middles: half of the way to new ones.
func (m *mixture) drifted(seed uint64) *mixture {
	other := newMixture(seed, m.dim, len(m.middles))
	for i, middle := range other.middles {
		for j := range middle {
			middle[j] = 0.7*m.middles[i][j] + 0.7*middle[j]
		}
	}
	return other
}

func (m *mixture) draw() []float32 {
	at := m.rng.Float64()
	lo, hi := 0, len(m.sums)-1
	for lo < hi {
		if mid := (lo + hi) / 2; m.sums[mid] < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	out := m.gauss(m.dim, 0.1)
	for j, v := range m.middles[lo] {
		out[j] += v
	}
	for r := range mixtureRank {
		z := float32(m.rng.NormFloat64())
		for j, v := range m.spreads[lo][r*m.dim : (r+1)*m.dim] {
			out[j] += z * v
		}
	}
	return out
}

func (m *mixture) draws(n int) [][]float32 {
	list := make([][]float32, n)
	for i := range list {
		list[i] = m.draw()
	}
	return list
}
