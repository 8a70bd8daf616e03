package quantize

import (
	"encoding/binary"
	"math"
)

// The kernels in use. They are chosen once, before main runs.
var (
	hadamard  = hadamardPlain
	fillTable = fillTablePlain
	scan      = scanPlain
	dotWide   = dotWidePlain
	measure   = measurePlain
	roundWide = roundWidePlain

	flip       = flipPlain
	turnHalves = turn
	weigh      = weighPlain
	putSigns   = putSignsPlain
	roundBytes = roundBytesPlain
)

func scanPlain(chunk, table []byte, s scanning, out *[ChunkRows]float32) (mask uint32) {
	var sums [ChunkRows]uint16
	steps := len(table) / 32
	for j := range steps {
		codes, t := chunk[32*j:32*j+32], table[32*j:32*j+32]
		for i := range 16 {
			low, high := codes[i], codes[16+i]
			sums[i] += uint16(t[low&15]) + uint16(t[16+(high&15)])
			sums[16+i] += uint16(t[low>>4]) + uint16(t[16+(high>>4)])
		}
	}
	at := chunk[32*steps:]
	for i, sum := range sums {
		t := float32(sum)*s.scale + s.offset
		estimate := s.base + factor(at, i) + factor(at, ChunkRows+i)*t
		out[i] = estimate - factor(at, 2*ChunkRows+i)*s.width
		if out[i] < s.limit {
			mask |= 1 << i
		}
	}
	return mask
}

func factor(b []byte, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
}

func dotWidePlain(row []int8, q []int16) int32 {
	sum := int32(0)
	for i, x := range row[:len(q)] {
		sum += int32(x) * int32(q[i])
	}
	return sum
}

// spread is what the rounding of a query asks about its numbers; assembly knows its layout.
type spread struct {
	total float32 // their sum
	sizes float32 // the sum of their absolutes
	most  float32 // the largest absolute
	four  float32 // the largest sum of four absolutes that follow one another
}

// measurePlain takes a multiple of 8 numbers.
func measurePlain(x []float32, out *spread) {
	*out = spread{}
	for at := 0; at < len(x); at += 4 {
		four := float32(0)
		for _, y := range x[at : at+4] {
			size := max(y, -y)
			out.total += y
			out.most = max(out.most, size)
			four += size
		}
		out.sizes += four
		out.four = max(out.four, four)
	}
}

// roundWidePlain rounds numbers times factor, which fit into 16 bits.
func roundWidePlain(x []float32, factor float32, out []int16) {
	for i, y := range x {
		out[i] = int16(math.RoundToEven(float64(y * factor)))
	}
}

// flipPlain multiplies numbers by factors.
func flipPlain(v, factors []float32) {
	for i, f := range factors[:len(v)] {
		v[i] *= f
	}
}

// weights are what the factors of a row are made of; assembly knows its layout.
type weights struct {
	sum    float64 // of the absolutes of y
	signed float64 // of c, with the signs of y
	square float64 // |y|²
	most   float32 // the largest absolute of y
}

// weighPlain makes y·scale - c·less of y, and weighs it.
func weighPlain(y, c []float32, scale, less float32, out *weights) {
	*out = weights{}
	for j, x := range c[:len(y)] {
		z := float32(y[j]*scale) - float32(x*less) // rounded twice on every processor: codes are alike
		y[j] = z
		if z > 0 {
			out.sum += float64(z)
			out.signed += float64(x)
		} else {
			out.sum -= float64(z)
			out.signed -= float64(x)
		}
		out.square += float64(z) * float64(z)
		out.most = max(out.most, z, -z)
	}
}

// putSignsPlain writes the signs of a row into a zeroed place of a chunk.
func putSignsPlain(y []float32, chunk []byte, at int) {
	shift := at / 16 * 4
	for j := 0; j < len(y); j += 4 {
		half := byte(0)
		for b, x := range y[j : j+4] {
			if x > 0 {
				half |= 1 << b
			}
		}
		chunk[j/8*32+j/4%2*16+at%16] |= half << shift
	}
}

// roundBytesPlain rounds numbers times factor, which fit into 8 bits.
func roundBytesPlain(x []float32, factor float32, out []int8) {
	for i, y := range x {
		out[i] = int8(math.RoundToEven(float64(y * factor)))
	}
}
