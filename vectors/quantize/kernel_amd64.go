package quantize

import "golang.org/x/sys/cpu"

var accelerated = cpu.X86.HasAVX2 && cpu.X86.HasFMA

func init() {
	if !accelerated {
		return
	}
	hadamard = func(v []float32) { hadamardAVX2(&v[0], len(v)) }
	fillTable = func(x []float32, factor float32, table []byte) {
		_ = table[4*len(x)-1]
		fillTableAVX2(&x[0], len(x), factor, &table[0])
	}
	scan = func(chunk, table []byte, s scanning, out *[ChunkRows]float32) uint32 {
		_ = chunk[len(table)+3*4*ChunkRows-1]
		return scanAVX2(&chunk[0], &table[0], len(table)/32, &s, out)
	}
	dotWide = func(row []int8, q []int16) int32 {
		_ = row[len(q)-1]
		return dotWideAVX2(&row[0], &q[0], len(q))
	}
	measure = func(x []float32, out *spread) { measureAVX2(&x[0], len(x), out) }
	roundWide = func(x []float32, factor float32, out []int16) {
		_ = out[len(x)-1]
		roundWideAVX2(&x[0], len(x), factor, &out[0])
	}
	flip = func(v, factors []float32) {
		_ = factors[len(v)-1]
		flipAVX2(&v[0], &factors[0], len(v))
	}
	turnHalves = func(v []float32) { turnAVX2(&v[0], len(v)) }
	weigh = func(y, c []float32, scale, less float32, out *weights) {
		_ = c[len(y)-1]
		weighAVX2(&y[0], &c[0], len(y), scale, less, out)
	}
	putSigns = func(y []float32, chunk []byte, at int) {
		_ = chunk[4*len(y)-1]
		putSignsAVX2(&y[0], len(y), &chunk[at%16], at/16*4)
	}
	roundBytes = func(x []float32, factor float32, out []int8) {
		_ = out[len(x)-1]
		roundBytesAVX2(&x[0], len(x), factor, &out[0])
	}
	if cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		scan = func(chunk, table []byte, s scanning, out *[ChunkRows]float32) uint32 {
			_ = chunk[len(table)+3*4*ChunkRows-1]
			return scanAVX512(&chunk[0], &table[0], len(table)/64, &s, out)
		}
		dotWide = func(row []int8, q []int16) int32 {
			_ = row[len(q)-1]
			return dotWideAVX512(&row[0], &q[0], len(q))
		}
	}
}

// hadamardAVX2 transforms n numbers in place; n is a power of two, 64 or more.
//
//go:noescape
func hadamardAVX2(v *float32, n int)

// fillTableAVX2 is fillTablePlain of n numbers, a multiple of 4.
//
//go:noescape
func fillTableAVX2(x *float32, n int, factor float32, table *byte)

// scanAVX2 is scanPlain of steps of 32 bytes.
//
//go:noescape
func scanAVX2(chunk, table *byte, steps int, s *scanning, out *[ChunkRows]float32) uint32

// scanAVX512 is scanPlain of steps of 64 bytes.
//
//go:noescape
func scanAVX512(chunk, table *byte, steps int, s *scanning, out *[ChunkRows]float32) uint32

// dotWideAVX2 is dotWidePlain of n numbers, a multiple of 16.
//
//go:noescape
func dotWideAVX2(row *int8, q *int16, n int) int32

// dotWideAVX512 is dotWideAVX2.
//
//go:noescape
func dotWideAVX512(row *int8, q *int16, n int) int32

// measureAVX2 is measurePlain of n numbers, a multiple of 8.
//
//go:noescape
func measureAVX2(x *float32, n int, out *spread)

// roundWideAVX2 is roundWidePlain of n numbers, a multiple of 16.
//
//go:noescape
func roundWideAVX2(x *float32, n int, factor float32, out *int16)

// flipAVX2 is flipPlain of n numbers, a multiple of 16.
//
//go:noescape
func flipAVX2(v, factors *float32, n int)

// turnAVX2 is turn of n numbers, a multiple of 16.
//
//go:noescape
func turnAVX2(v *float32, n int)

// weighAVX2 is weighPlain of n numbers, a multiple of 8.
//
//go:noescape
func weighAVX2(y, c *float32, n int, scale, less float32, out *weights)

// putSignsAVX2 is putSignsPlain of n numbers, a multiple of 8; to is the row's first byte, and shift that of its half.
//
//go:noescape
func putSignsAVX2(y *float32, n int, to *byte, shift int)

// roundBytesAVX2 is roundBytesPlain of n numbers, a multiple of 16.
//
//go:noescape
func roundBytesAVX2(x *float32, n int, factor float32, out *int8)
