package quantize

import (
	"math"

	"github.com/tarnlake/tarn/vectors/distance"
)

// Query is one vector made ready to be compared with codes of any neighbourhood. It may be
// Reset and used again.
type Query struct {
	metric   distance.Metric
	rotation *Rotation
	vector   []float32 // as given
	square   float32
	rotated  []float32
	table    []byte  // [width/4][16]: sums of four numbers by their signs, in steps
	scale    float32 // t = scale·sum + offset
	offset   float32
	noise    float32 // the standard error that comes of rounding the table, in units of |q-c|
	wide     []int16
	wideStep float32
}

// Reset takes a new vector, of length 1 under Cosine, and shares it.
func (q *Query) Reset(metric distance.Metric, vector []float32) {
	q.size(len(vector))
	q.rotation.Apply(vector, q.rotated)
	q.vector = vector
	q.round(metric)
}

// ResetTurned is Reset for a vector of dim numbers that is rotated already. At cannot be asked then.
func (q *Query) ResetTurned(metric distance.Metric, dim int, turned []float32) {
	q.size(dim)
	copy(q.rotated, turned)
	q.vector = nil
	q.round(metric)
}

func (q *Query) size(dim int) {
	if q.rotation == nil || q.rotation.dim != dim {
		r := RotationOf(dim)
		*q = Query{rotation: r, rotated: make([]float32, r.width), table: make([]byte, 4*r.width), wide: make([]int16, r.width)}
	}
}

func (q *Query) round(metric distance.Metric) {
	q.metric, q.square = metric, distance.Dot(q.rotated, q.rotated)
	var x spread
	measure(q.rotated, &x)
	q.makeTable(&x)
	q.makeWide(&x)
}

// makeTable rounds sums of four numbers to steps so that no sum over a whole code passes 16 bits.
func (q *Query) makeTable(x *spread) {
	parts := len(q.rotated) / 4
	levels := float32(min(255, 65535/parts))
	step := x.four / levels
	if step == 0 {
		clear(q.table)
	} else {
		fillTable(q.rotated, 1/step, q.table)
	}
	root := float32(math.Sqrt(float64(len(q.rotated))))
	q.scale = 2 * step / root
	q.offset = -x.sizes / root // twice the sum of negative ones less the total
	// err is that of a unit of |q-c|; of mul it is about 0.6/√width: rounding is told in the same unit.
	q.noise = q.scale * float32(math.Sqrt(float64(parts)/12)) * 1.7 * root
}

// fillTablePlain puts, for each four numbers, the 16 sums of those that a sign takes, less the least
// of these sums, times factor, rounded.
func fillTablePlain(x []float32, factor float32, table []byte) {
	for p := 0; p < len(x); p += 4 {
		a, b, c, d := x[p]*factor, x[p+1]*factor, x[p+2]*factor, x[p+3]*factor
		least := min(a, 0) + min(b, 0) + min(c, 0) + min(d, 0)
		out := (*[16]byte)(table[4*p:])
		for m := range out {
			sum := float32(0.5) - least
			if m&1 != 0 {
				sum += a
			}
			if m&2 != 0 {
				sum += b
			}
			if m&4 != 0 {
				sum += c
			}
			if m&8 != 0 {
				sum += d
			}
			out[m] = byte(max(0, sum))
		}
	}
}

// makeWide rounds to 16 bits, fewer where a sum with bytes could pass 32 bits.
func (q *Query) makeWide(x *spread) {
	if x.most == 0 {
		clear(q.wide)
		q.wideStep = 0
		return
	}
	const sumMax = (1<<31 - 1) / 127 * 0.99
	q.wideStep = max(x.most/32000, x.sizes/(sumMax-float32(len(q.wide))))
	roundWide(q.rotated, 1/q.wideStep, q.wide)
}

// Probe is a query at one centroid.
type Probe struct {
	q        *Query
	base     float32
	distance float32 // |q-c|
}

// At is the query at a centroid.
func (q *Query) At(centroid []float32) Probe {
	return q.Away(distance.L2(q.vector, centroid))
}

// Away is the query at a point at a squared distance.
func (q *Query) Away(square float32) Probe {
	square = max(0, square)
	p := Probe{q: q, base: square, distance: float32(math.Sqrt(float64(square)))}
	switch q.metric {
	case distance.Cosine:
		p.base /= 2
	case distance.DotProduct:
		p.base = (square - q.square) / 2
	}
	return p
}

// Scan estimates the scores of a chunk's rows. Bit i of the mask is set where the score of row i
// could be below limit: where its estimate, less width standard errors, is. These lower ends go to out.
func (p *Probe) Scan(chunk []byte, width, limit float32, out *[ChunkRows]float32) (mask uint32) {
	q := p.q
	s := scanning{scale: q.scale, offset: q.offset, base: p.base, limit: limit}
	s.width = width * (p.distance + q.noise)
	return scan(chunk, q.table, s, out)
}

// scanning is what a scan kernel needs of a probe; assembly knows its layout.
type scanning struct{ scale, offset, base, width, limit float32 }

// Wide is the score of a row by its bytes, and three standard errors of it.
func (p *Probe) Wide(row []int8, add, mul float32) (score, err float32) {
	q := p.q
	dot := float32(dotWide(row, q.wide)) * q.wideStep
	score = p.base + add + mul*dot
	size := float32(math.Sqrt(float64(q.square)))
	return score, 0.9*max(mul, -mul)*size + 1e-6*(q.square+max(add, -add)+max(p.base, -p.base)+max(mul*dot, -mul*dot))
}

// Vector is what was given to Reset.
func (q *Query) Vector() []float32 { return q.vector }

// Square is its squared length.
func (q *Query) Square() float32 { return q.square }
