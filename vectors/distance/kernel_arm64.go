package distance

import "golang.org/x/sys/cpu"

var accelerated = cpu.ARM64.HasASIMD

func init() {
	if !accelerated {
		return
	}
	dot1 = func(a, b []float32) float32 {
		if len(a) == 0 {
			return 0
		}
		return dotNEON(&a[0], &b[0], len(a))
	}
	l21 = func(a, b []float32) float32 {
		if len(a) == 0 {
			return 0
		}
		return l2NEON(&a[0], &b[0], len(a))
	}
	dot4 = func(q, rows []float32, out *[4]float32) {
		if len(q) == 0 {
			*out = [4]float32{}
			return
		}
		dot4NEON(&q[0], &rows[0], len(q), out)
	}
	l24 = func(q, rows []float32, out *[4]float32) {
		if len(q) == 0 {
			*out = [4]float32{}
			return
		}
		l24NEON(&q[0], &rows[0], len(q), out)
	}
}

// dotNEON is Σ a·b over n floats.
//
//go:noescape
func dotNEON(a, b *float32, n int) float32

// l2NEON is Σ (a-b)² over n floats.
//
//go:noescape
func l2NEON(a, b *float32, n int) float32

// dot4NEON is dotNEON of q with four rows of n floats that lie one after another.
//
//go:noescape
func dot4NEON(q, rows *float32, n int, out *[4]float32)

// l24NEON is l2NEON of q with four rows of n floats that lie one after another.
//
//go:noescape
func l24NEON(q, rows *float32, n int, out *[4]float32)
