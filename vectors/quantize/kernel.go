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
)

func scanPlain(chunk, table []byte, s *scanning, out *[ChunkRows]float32) (mask uint32) {
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
