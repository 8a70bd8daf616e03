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
