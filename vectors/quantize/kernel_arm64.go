package quantize

import "golang.org/x/sys/cpu"

var accelerated = cpu.ARM64.HasASIMD

func init() {
	if !accelerated {
		return
	}
	hadamard = func(v []float32) { hadamardNEON(&v[0], len(v)) }
	fillTable = func(x []float32, factor float32, table []byte) {
		_ = table[4*len(x)-1]
		fillTableNEON(&x[0], len(x), factor, &table[0])
	}
	scan = func(chunk, table []byte, s scanning, out *[ChunkRows]float32) uint32 {
		_ = chunk[len(table)+3*4*ChunkRows-1]
		return scanNEON(&chunk[0], &table[0], len(table)/32, &s, out)
	}
	dotWide = func(row []int8, q []int16) int32 {
		_ = row[len(q)-1]
		return dotWideNEON(&row[0], &q[0], len(q))
	}
	measure = func(x []float32, out *spread) { measureNEON(&x[0], len(x), out) }
	roundWide = func(x []float32, factor float32, out []int16) {
		_ = out[len(x)-1]
		roundWideNEON(&x[0], len(x), factor, &out[0])
	}
	flip = func(v, factors []float32) {
		_ = factors[len(v)-1]
		flipNEON(&v[0], &factors[0], len(v))
	}
	turnHalves = func(v []float32) { turnNEON(&v[0], len(v)) }
	weigh = func(y, c []float32, scale, less float32, out *weights) {
		_ = c[len(y)-1]
		weighNEON(&y[0], &c[0], len(y), scale, less, out)
	}
	putSigns = func(y []float32, chunk []byte, at int) {
		_ = chunk[4*len(y)-1]
		putSignsNEON(&y[0], len(y), &chunk[at%16], at/16*4)
	}
	roundBytes = func(x []float32, factor float32, out []int8) {
		_ = out[len(x)-1]
		roundBytesNEON(&x[0], len(x), factor, &out[0])
	}
}

// hadamardNEON transforms n numbers in place; n is a power of two, 64 or more.
//
//go:noescape
func hadamardNEON(v *float32, n int)

// fillTableNEON is fillTablePlain of n numbers, a multiple of 4.
//
//go:noescape
func fillTableNEON(x *float32, n int, factor float32, table *byte)

// scanNEON is scanPlain of steps of 32 bytes.
//
//go:noescape
func scanNEON(chunk, table *byte, steps int, s *scanning, out *[ChunkRows]float32) uint32

// dotWideNEON is dotWidePlain of n numbers, a multiple of 16.
//
//go:noescape
func dotWideNEON(row *int8, q *int16, n int) int32

// measureNEON is measurePlain of n numbers, a multiple of 8.
//
//go:noescape
func measureNEON(x *float32, n int, out *spread)

// roundWideNEON is roundWidePlain of n numbers, a multiple of 16.
//
//go:noescape
func roundWideNEON(x *float32, n int, factor float32, out *int16)

// flipNEON is flipPlain of n numbers, a multiple of 16.
//
//go:noescape
func flipNEON(v, factors *float32, n int)

// turnNEON is turn of n numbers, a multiple of 16.
//
//go:noescape
func turnNEON(v *float32, n int)

// weighNEON is weighPlain of n numbers, a multiple of 8.
//
//go:noescape
func weighNEON(y, c *float32, n int, scale, less float32, out *weights)

// putSignsNEON is putSignsPlain of n numbers, a multiple of 8; to is the row's first byte, and shift that of its half.
//
//go:noescape
func putSignsNEON(y *float32, n int, to *byte, shift int)

// roundBytesNEON is roundBytesPlain of n numbers, a multiple of 16.
//
//go:noescape
func roundBytesNEON(x *float32, n int, factor float32, out *int8)
