package distance

import "golang.org/x/sys/cpu"

var accelerated = cpu.X86.HasAVX2 && cpu.X86.HasFMA

func init() {
	if !accelerated {
		return
	}
	dot1 = func(a, b []float32) float32 {
		if len(a) == 0 {
			return 0
		}
		return dotAVX2(&a[0], &b[0], len(a))
	}
	l21 = func(a, b []float32) float32 {
		if len(a) == 0 {
			return 0
		}
		return l2AVX2(&a[0], &b[0], len(a))
	}
	dot4 = func(q, rows []float32, out *[4]float32) {
		if len(q) == 0 {
			*out = [4]float32{}
			return
		}
		dot4AVX2(&q[0], &rows[0], len(q), out)
	}
	l24 = func(q, rows []float32, out *[4]float32) {
		if len(q) == 0 {
			*out = [4]float32{}
			return
		}
		l24AVX2(&q[0], &rows[0], len(q), out)
	}
}

// dotAVX2 is Σ a·b over n floats.
//
//go:noescape
func dotAVX2(a, b *float32, n int) float32

// l2AVX2 is Σ (a-b)² over n floats.
//
//go:noescape
func l2AVX2(a, b *float32, n int) float32

// dot4AVX2 is dotAVX2 of q with four rows of n floats that lie one after another.
//
//go:noescape
func dot4AVX2(q, rows *float32, n int, out *[4]float32)

// l24AVX2 is l2AVX2 of q with four rows of n floats that lie one after another.
//
//go:noescape
func l24AVX2(q, rows *float32, n int, out *[4]float32)
