package distance

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAssemblyAgreesWithPlainGoAtEveryDimension(t *testing.T) {
	if !accelerated {
		t.Log("no assembly for this processor: plain Go is compared with the definition only")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	dims := []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 31, 32, 33, 63, 64, 65, 100, 127, 128, 384, 385, 767, 768, 1000, 1536, 2047, 4095, 4096}
	for _, d := range dims {
		q, rows := vector(rng, d), vector(rng, 7*d)
		compare(t, q, rows)
	}
}

func vector(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// compare checks kernels in use and plain ones against sums in float64.
func compare(t *testing.T, q, rows []float32) {
	t.Helper()
	d := len(q)
	n := len(rows) / d
	dots, l2s := make([]float32, n), make([]float32, n)
	DotRows(q, rows, dots)
	L2Rows(q, rows, l2s)
	for i := range n {
		row := rows[i*d : (i+1)*d]
		var dot, l2, size float64
		for j := range row {
			x, y := float64(q[j]), float64(row[j])
			dot += x * y
			l2 += (x - y) * (x - y)
			size += math.Abs(x * y)
		}
		near(t, "dot", d, dot, size, dots[i], Dot(q, row), dotPlain(q, row))
		near(t, "l2", d, l2, l2, l2s[i], L2(q, row), l2Plain(q, row))
	}
}

func near(t *testing.T, what string, d int, want, size float64, got ...float32) {
	t.Helper()
	for i, g := range got {
		if math.IsInf(size, 0) || size > 1e37 {
			continue // float32 overflows; no sum can be compared
		}
		if diff := math.Abs(float64(g) - want); !(diff <= 1e-5*size+1e-30) {
			t.Errorf("%s of %d numbers, form %d: %v, want %v", what, d, i, g, want)
		}
	}
}

func FuzzKernels(f *testing.F) {
	f.Add([]byte{}, uint16(3))
	seed := make([]byte, 640)
	for i := range seed {
		seed[i] = byte(i * 7)
	}
	for _, d := range []uint16{1, 5, 8, 20, 33} {
		f.Add(seed, d)
	}
	f.Fuzz(func(t *testing.T, data []byte, dim uint16) {
		d := int(dim)%4096 + 1
		q := numbers(data, d)
		rows := numbers(data[min(len(data), 3):], 5*d)
		compare(t, q, rows)
	})
}

// numbers makes n finite floats of ordinary size out of bytes, repeating them.
func numbers(data []byte, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		var b [2]byte
		for j := range b {
			if len(data) > 0 {
				b[j] = data[(2*i+j)%len(data)]
			}
		}
		v[i] = float32(int16(binary.LittleEndian.Uint16(b[:]))) / 512
	}
	return v
}

func TestReadingStopsAtTheLastRow(t *testing.T) {
	// NaN right behind the data would show in every sum that reads too far.
	for d := 1; d <= 70; d++ {
		buf := make([]float32, 6*d+16)
		for i := range buf {
			buf[i] = float32(math.NaN())
		}
		q, rows := buf[:d:d], buf[d:5*d:5*d]
		for i := range 5 * d {
			buf[i] = 1
		}
		out := make([]float32, 4)
		DotRows(q, rows, out)
		for i, x := range out {
			if x != float32(d) {
				t.Fatalf("row %d of %d numbers: %v", i, d, x)
			}
		}
		L2Rows(q, rows, out)
		for i, x := range out {
			if x != 0 {
				t.Fatalf("distance to row %d of %d numbers: %v", i, d, x)
			}
		}
	}
}

func BenchmarkDot(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []int{128, 384, 768, 1536} {
		q, rows := vector(rng, d), vector(rng, 64*d)
		out := make([]float32, 64)
		b.Run("rows/"+itoa(d), func(b *testing.B) {
			for range b.N {
				DotRows(q, rows, out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/row")
		})
		b.Run("plain/"+itoa(d), func(b *testing.B) {
			for range b.N {
				dotPlain(q, rows[:d])
			}
		})
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}
