package quantize

import (
	"math"
	"math/bits"
	"sync"
)

// Rotation is a fixed orthogonal map of vectors of one dimension into Width numbers. Three
// things follow one another in each of four rounds: signs are flipped, a Walsh-Hadamard
// transform mixes the first (in odd rounds the last) 2^n numbers, and the halves are turned
// against each other by 45 degrees where 2^n is not the whole. The signs come from
// splitmix64, seeded with the width: they are part of the format of codes.
type Rotation struct {
	dim, width int
	power      int // the largest power of two that is not above width
	flips      [rotationRounds][]float32
}

const (
	rotationRounds = 4
	widthLeast     = 64 // fewer bits a code estimate too badly
	widthStep      = 16 // numbers of one step of the widest scan kernel
)

// Width is the number of bits of a code of vectors of dim numbers.
func Width(dim int) int { return max(widthLeast, (dim+widthStep-1)/widthStep*widthStep) }

var rotations sync.Map // of *Rotation by dimension

// RotationOf is the rotation of a dimension.
func RotationOf(dim int) *Rotation {
	if r, ok := rotations.Load(dim); ok {
		return r.(*Rotation)
	}
	r, _ := rotations.LoadOrStore(dim, newRotation(dim))
	return r.(*Rotation)
}

func newRotation(dim int) *Rotation {
	w := Width(dim)
	r := &Rotation{dim: dim, width: w, power: 1 << (bits.Len(uint(w)) - 1)}
	state := uint64(w)
	half := float32(1)
	if r.power < w {
		half = float32(math.Sqrt(0.5))
	}
	for round := range r.flips {
		begin := r.begin(round)
		f := make([]float32, w)
		for i := range f {
			f[i] = half // of the turn that follows
			if i >= begin && i < begin+r.power {
				f[i] *= float32(1 / math.Sqrt(float64(r.power)))
			}
			if splitmix(&state)&1 == 1 {
				f[i] = -f[i]
			}
		}
		r.flips[round] = f
	}
	return r
}

func splitmix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// begin is where the transform of a round begins.
func (r *Rotation) begin(round int) int {
	if round%2 == 1 {
		return r.width - r.power
	}
	return 0
}

// Dimension of the vectors that are rotated.
func (r *Rotation) Dimension() int { return r.dim }

// Width of rotated vectors.
func (r *Rotation) Width() int { return r.width }

// Turned is v rotated.
func (r *Rotation) Turned(v []float32) []float32 {
	out := make([]float32, r.width)
	r.Apply(v, out)
	return out
}

// Apply rotates v into out, which has Width numbers.
func (r *Rotation) Apply(v, out []float32) {
	out = out[:r.width]
	clear(out[copy(out, v[:r.dim]):])
	for round, flips := range &r.flips {
		flip(out, flips)
		begin := r.begin(round)
		hadamard(out[begin : begin+r.power])
		if r.power < r.width {
			turnHalves(out)
		}
	}
}

// turn turns the two halves against each other.
func turn(v []float32) {
	low, high := v[:len(v)/2], v[len(v)/2:]
	high = high[:len(low)]
	for i, x := range low {
		y := high[i]
		low[i], high[i] = x+y, x-y
	}
}

// hadamardPlain is the Walsh-Hadamard transform, without a factor.
func hadamardPlain(v []float32) {
	for h := 1; h < len(v); h *= 2 {
		for from := 0; from < len(v); from += 2 * h {
			turn(v[from : from+2*h])
		}
	}
}
