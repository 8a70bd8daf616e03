package quantize

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

var dims = []int{1, 2, 3, 7, 16, 63, 64, 65, 100, 128, 200, 384, 768, 1000, 1024, 1536, 3000, 4095, 4096}

func randomVector(rng *rand.Rand, n int, around []float32, width float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * width)
		if around != nil {
			v[i] += around[i]
		}
	}
	return v
}

func TestRotationKeepsLengthsAndAngles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, d := range dims {
		r := RotationOf(d)
		a, b := randomVector(rng, d, nil, 1), randomVector(rng, d, nil, 1)
		ra, rb := make([]float32, r.Width()), make([]float32, r.Width())
		r.Apply(a, ra)
		r.Apply(b, rb)
		size := float64(distance.Norm(a) * distance.Norm(b))
		if diff := math.Abs(float64(distance.Dot(a, b) - distance.Dot(ra, rb))); diff > 1e-5*size {
			t.Errorf("%d numbers: the product changed by %v of %v", d, diff, size)
		}
	}
}

// TestRotationStaysAsItIs: codes on disk depend on it.
func TestRotationStaysAsItIs(t *testing.T) {
	v := []float32{1, 2, 3}
	out := make([]float32, Width(3))
	RotationOf(3).Apply(v, out)
	const want = "[0.1328 0.3594 -0.0547 -0.4531]"
	if got := fmt.Sprintf("%.4f", out[:4]); got != want {
		t.Errorf("the rotation of 3 numbers gives %s, want %s", got, want)
	}
}

// neighbourhood is encoded rows around a centroid.
type neighbourhood struct {
	centroid []float32
	rows     [][]float32
	chunks   []byte
	wide     []int8
	add, mul []float32
	width    int
}

func encode(metric distance.Metric, centroid []float32, rows [][]float32) *neighbourhood {
	w := Width(len(centroid))
	n := &neighbourhood{centroid: centroid, rows: rows, width: w, chunks: make([]byte, Chunks(len(rows))*ChunkBytes(w)), wide: make([]int8, len(rows)*w)}
	e := NewEncoder(metric, centroid)
	for i, v := range rows {
		a, m := e.Encode(v, distance.Inverse(v), Row{Chunk: n.chunk(i / ChunkRows), At: i % ChunkRows, Wide: n.wide[i*w : (i+1)*w]})
		n.add, n.mul = append(n.add, a), append(n.mul, m)
	}
	if last := len(rows) % ChunkRows; last > 0 {
		Fill(n.chunk(len(rows)/ChunkRows), w, last)
	}
	return n
}

func (n *neighbourhood) chunk(i int) []byte {
	return n.chunks[i*ChunkBytes(n.width) : (i+1)*ChunkBytes(n.width)]
}

func unit(metric distance.Metric, v []float32) []float32 {
	if metric == distance.Cosine {
		distance.Scale(v, distance.Inverse(v))
	}
	return v
}

func score(metric distance.Metric, q, v []float32) float64 {
	var dot, vv, l2 float64
	for i := range q {
		x, y := float64(q[i]), float64(v[i])
		dot, vv, l2 = dot+x*y, vv+y*y, l2+(x-y)*(x-y)
	}
	switch metric {
	case distance.Cosine:
		return 1 - dot/math.Sqrt(vv)
	case distance.Euclidean:
		return l2
	}
	return -dot
}

var metrics = []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct}

// TestBoundsHold: the true score lies under the bound about as seldom as a normal
// error would, and the estimates by bytes lie within theirs.
func TestBoundsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, d := range dims {
		for _, metric := range metrics {
			mean := randomVector(rng, d, nil, 1)
			centroid := unit(metric, randomVector(rng, d, mean, 0.5))
			scale := 0.5 * float64(distance.Norm(centroid)) / math.Sqrt(float64(d))
			var rows [][]float32
			for range 100 {
				rows = append(rows, randomVector(rng, d, centroid, scale))
			}
			n := encode(metric, centroid, rows)
			below, outside, tried := 0, 0, 0
			var q Query
			for range 10 {
				v := unit(metric, randomVector(rng, d, centroid, scale))
				q.Reset(metric, v)
				p := q.At(centroid)
				var lower [ChunkRows]float32
				for i, row := range rows {
					if i%ChunkRows == 0 {
						p.Scan(n.chunk(i/ChunkRows), 2, float32(math.Inf(1)), &lower)
					}
					tried++
					true := score(metric, v, row)
					if float64(lower[i%ChunkRows]) > true+1e-6 {
						below++
					}
					if s, err := p.Wide(n.wide[i*n.width:(i+1)*n.width], n.add[i], n.mul[i]); math.Abs(float64(s)-true) > float64(err) {
						outside++
					}
				}
			}
			if below*12 > tried || outside*50 > tried {
				t.Errorf("%v of %d numbers: of %d scores %d lie under two errors, %d outside the bytes' bound", metric, d, tried, below, outside)
			}
		}
	}
}

func TestAVectorFindsItself(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 3))
	for _, d := range dims {
		centroid := randomVector(rng, d, nil, 1)
		row := randomVector(rng, d, centroid, 0.5)
		n := encode(distance.Euclidean, centroid, [][]float32{row})
		var q Query
		q.Reset(distance.Euclidean, row)
		p := q.At(centroid)
		var lower [ChunkRows]float32
		if mask := p.Scan(n.chunk(0), 1.5, 1e-4*float32(d), &lower); mask != 1 {
			t.Errorf("%d numbers: mask %b, lower end %v", d, mask, lower[0])
		}
	}
}

func TestDegenerateVectorsAreBounded(t *testing.T) {
	for _, d := range []int{1, 4, 100} {
		zero, one := make([]float32, d), make([]float32, d)
		for i := range one {
			one[i] = 1
		}
		n := encode(distance.Euclidean, one, [][]float32{one, zero})
		for _, v := range [][]float32{zero, one} {
			var q Query
			q.Reset(distance.Euclidean, v)
			p := q.At(one)
			var lower [ChunkRows]float32
			if mask := p.Scan(n.chunk(0), 1.5, float32(d)*1.1+0.1, &lower); mask != 3 {
				t.Errorf("%d numbers: mask %b, %v", d, mask, lower[:2])
			}
		}
	}
}

func TestAssemblyAgreesWithPlainGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, d := range dims {
		seed := make([]byte, 4096)
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		compare(t, seed, d)
	}
}

func FuzzKernels(f *testing.F) {
	f.Add([]byte{}, uint16(3))
	f.Add([]byte{1, 200, 3, 100, 255, 0, 7, 90}, uint16(383))
	f.Add([]byte{255, 127}, uint16(4095))
	f.Fuzz(func(t *testing.T, seed []byte, dim uint16) { compare(t, seed, 1+int(dim)%4096) })
}

// compare runs kernels in use and plain ones on one chunk made of bytes.
func compare(t *testing.T, seed []byte, d int) {
	t.Helper()
	if len(seed) == 0 {
		seed = []byte{0}
	}
	w := Width(d)
	at := 0
	next := func() byte { at++; return seed[at%len(seed)] + byte(at/len(seed)) }
	x := make([]float32, w)
	for i := range x {
		x[i] = float32(int8(next())) / 16
	}
	h := append([]float32(nil), x...)
	n := RotationOf(d).power
	g := append([]float32(nil), x...)
	hadamard(h[:n])
	hadamardPlain(g[:n])
	for i := range h {
		if diff := math.Abs(float64(h[i] - g[i])); diff > 1e-2 {
			t.Fatalf("transform of %d: number %d is %v, want %v", n, i, h[i], g[i])
		}
	}
	table, plain := make([]byte, 4*w), make([]byte, 4*w)
	factor := min(255, 65535/float32(w/4)) / 32
	fillTable(x, factor, table)
	fillTablePlain(x, factor, plain)
	for i := range table {
		if diff := int(table[i]) - int(plain[i]); diff < -1 || diff > 1 {
			t.Fatalf("table entry %d is %d, want %d", i, table[i], plain[i])
		}
	}
	chunk := make([]byte, ChunkBytes(w))
	for i := range 4 * w {
		chunk[i] = next()
	}
	for i := range 3 * ChunkRows {
		binary.LittleEndian.PutUint32(chunk[4*w+4*i:], math.Float32bits(float32(int8(next()))))
	}
	Fill(chunk, w, 29)
	s := scanning{scale: 0.001, offset: -3, base: 20, width: 1.5, limit: float32(next())}
	var a, b [ChunkRows]float32
	got, want := scan(chunk, plain, s, &a), scanPlain(chunk, plain, s, &b)
	for i := range 29 {
		near := math.Abs(float64(a[i]-b[i])) <= 2e-2
		if !near || (got^want)>>i&1 != 0 && math.Abs(float64(a[i]-s.limit)) > 2e-2 {
			t.Fatalf("row %d of %d numbers: %v, want %v; masks %b and %b", i, d, a[i], b[i], got, want)
		}
	}
	if got>>29 != 0 || want>>29 != 0 {
		t.Fatalf("absent rows are in the masks %b and %b", got, want)
	}
	var m, n2 spread
	measure(x, &m)
	measurePlain(x, &n2)
	for i, pair := range [][2]float32{{m.total, n2.total}, {m.sizes, n2.sizes}, {m.most, n2.most}, {m.four, n2.four}} {
		if math.Abs(float64(pair[0]-pair[1])) > 1e-3 {
			t.Fatalf("spread of %d numbers: %v, want %v (%d)", w, m, n2, i)
		}
	}
	wide, wider := make([]int16, w), make([]int16, w)
	roundWide(x, 1000, wide)
	roundWidePlain(x, 1000, wider)
	if !slices.Equal(wide, wider) {
		t.Fatalf("%d numbers in 16 bits are %v, want %v", w, wide, wider)
	}
	checkEncoding(t, x, next)
	row, q := make([]int8, w), make([]int16, w)
	for i := range row {
		row[i], q[i] = max(-127, int8(next())), int16(next())<<3
	}
	if got, want := dotWide(row, q), dotWidePlain(row, q); got != want {
		t.Fatalf("product of %d bytes is %d, want %d", w, got, want)
	}
}

// checkEncoding compares what makes codes: bit by bit, for they are a format, but for sums whose order differs.
func checkEncoding(t *testing.T, x []float32, next func() byte) {
	t.Helper()
	w := len(x)
	c := make([]float32, w)
	for i := range c {
		c[i] = float32(int8(next())) / 16
	}
	y, z := slices.Clone(x), slices.Clone(x)
	flip(y, c)
	flipPlain(z, c)
	turnHalves(y)
	turn(z)
	if !slices.Equal(y, z) {
		t.Fatalf("%d numbers flipped and turned are %v, want %v", w, y, z)
	}
	for _, less := range []float32{0, 1} {
		var a, b weights
		weigh(y, c, 0.75, less, &a)
		weighPlain(z, c, 0.75, less, &b)
		if !slices.Equal(y, z) || a.most != b.most {
			t.Fatalf("residual of %d numbers is %v, at most %v, want %v, at most %v", w, y, a.most, z, b.most)
		}
		for _, pair := range [][2]float64{{a.sum, b.sum}, {a.signed, b.signed}, {a.square, b.square}} {
			if math.Abs(pair[0]-pair[1]) > 1e-9*max(1, b.sum, b.square) {
				t.Fatalf("weights of %d numbers are %+v, want %+v", w, a, b)
			}
		}
		for at := range ChunkRows {
			signs, plain := make([]byte, 4*w), make([]byte, 4*w)
			putSigns(y, signs, at)
			putSignsPlain(y, plain, at)
			if !slices.Equal(signs, plain) {
				t.Fatalf("signs of row %d of %d numbers are %v, want %v", at, w, signs, plain)
			}
		}
		if a.most == 0 {
			continue
		}
		bytes, plain := make([]int8, w), make([]int8, w)
		roundBytes(y, 127/a.most, bytes)
		roundBytesPlain(y, 127/a.most, plain)
		if !slices.Equal(bytes, plain) {
			t.Fatalf("%d numbers in 8 bits are %v, want %v", w, bytes, plain)
		}
	}
}

func BenchmarkKernels(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, d := range []int{128, 384, 768, 1536} {
		centroid := randomVector(rng, d, nil, 1)
		var rows [][]float32
		for range 32 * 32 {
			rows = append(rows, randomVector(rng, d, centroid, 1))
		}
		n := encode(distance.Euclidean, centroid, rows)
		var q Query
		v := randomVector(rng, d, centroid, 1)
		q.Reset(distance.Euclidean, v)
		p := q.At(centroid)
		var lower [ChunkRows]float32
		b.Run(fmt.Sprintf("scan/%d", d), func(b *testing.B) {
			for i := range b.N {
				p.Scan(n.chunk(i%32), 1.5, 0, &lower)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/row")
		})
		b.Run(fmt.Sprintf("bytes/%d", d), func(b *testing.B) {
			for i := range b.N {
				p.Wide(n.wide[i%1024*n.width:][:n.width], n.add[i%1024], n.mul[i%1024])
			}
		})
		b.Run(fmt.Sprintf("query/%d", d), func(b *testing.B) {
			for range b.N {
				q.Reset(distance.Euclidean, v)
			}
		})
		e := NewEncoder(distance.Euclidean, centroid)
		to := Row{Chunk: make([]byte, ChunkBytes(n.width)), Wide: make([]int8, n.width)}
		b.Run(fmt.Sprintf("encode/%d", d), func(b *testing.B) {
			for range b.N {
				e.Encode(v, 1, to)
			}
		})
	}
}

func TestAScanTakesNoMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	centroid := randomVector(rng, 384, nil, 1)
	n := encode(distance.Euclidean, centroid, [][]float32{randomVector(rng, 384, centroid, 1)})
	var q Query
	q.Reset(distance.Euclidean, randomVector(rng, 384, centroid, 1))
	probe := q.At(centroid)
	var lower [ChunkRows]float32
	some := testing.AllocsPerRun(100, func() {
		probe.Scan(n.chunk(0), 2, 0, &lower)
		probe.Wide(n.wide[:n.width], n.add[0], n.mul[0])
	})
	if some > 0 {
		t.Errorf("each takes memory %v times", some)
	}
}
