package quantize

import (
	"encoding/binary"
	"math"

	"github.com/tarnlake/tarn/vectors/distance"
)

// ChunkRows is the number of rows that are scanned at once.
const ChunkRows = 32

// A chunk of 32 rows, little endian:
//
//	0        4·width  signs, in steps of 8 numbers, 32 bytes a step. Byte i < 16 of a step has in its
//	                  low half the signs of numbers 0 to 3 of row i, in its high half those of row
//	                  16+i; byte 16+i likewise has those of numbers 4 to 7. Bit b of a half is
//	                  set where number b is positive
//	4·width  128      add: [32] float32
//	…        128      mul: [32] float32
//	…        128      err: [32] float32
//
// With t = ⟨signs, P·q⟩/√width (signs as ±1) the estimated score of a row is base + add + mul·t, and
// err·|q-c| is its standard error. The score is |o-q|² for Euclidean, half of it between vectors of
// length 1 for Cosine, and -⟨o,q⟩ for DotProduct; base depends on query and centroid alone.
// Rows that fill up the last chunk have add = +Inf.

// ChunkBytes is the size of a chunk.
func ChunkBytes(width int) int { return 4*width + 3*4*ChunkRows }

// Chunks is how many chunks rows need.
func Chunks(rows int) int { return (rows + ChunkRows - 1) / ChunkRows }

// Encoder makes the codes of rows that gather around one point: a neighbourhood's centroid, or a cell. It
// belongs to one goroutine.
type Encoder struct {
	metric   distance.Metric
	rotation *Rotation
	turned   []float32 // P·point
	residual []float32 // P·(row-point)
}

// NewEncoder takes the centroid of a neighbourhood, of length 1 under Cosine.
func NewEncoder(metric distance.Metric, centroid []float32) *Encoder {
	r := RotationOf(len(centroid))
	return newEncoder(metric, r, r.Turned(centroid))
}

func newEncoder(metric distance.Metric, r *Rotation, turned []float32) *Encoder {
	return &Encoder{metric: metric, rotation: r, turned: turned, residual: make([]float32, r.width)}
}

// factors are what lies beside the signs and the bytes of a row.
type factors struct{ add, mul, err, wideAdd, wideMul float32 }

// Row is one row in both forms: its place in a chunk, and its bytes.
type Row struct {
	Chunk []byte // of ChunkBytes
	At    int    // 0 to 31
	Wide  []int8 // of Width
}

// Encode writes v, whose Inverse is given, into a zeroed place. It returns the add and mul of its bytes.
func (e *Encoder) Encode(v []float32, inverse float32, to Row) (wideAdd, wideMul float32) {
	w, half := e.weigh(v, inverse)
	f := e.put(&w, half, to.Chunk, to.At)
	return f.wideAdd, f.wideMul * roundTo(e.residual, w.most, to.Wide)
}

// EncodeWide is Encode for the bytes alone, of which to has Width.
func (e *Encoder) EncodeWide(v []float32, inverse float32, to []int8) (wideAdd, wideMul float32) {
	w, half := e.weigh(v, inverse)
	f := e.factors(&w, half)
	return f.wideAdd, f.wideMul * roundTo(e.residual, w.most, to)
}

// EncodeSigns is Encode for place at of a chunk alone.
func (e *Encoder) EncodeSigns(v []float32, inverse float32, chunk []byte, at int) {
	w, half := e.weigh(v, inverse)
	e.put(&w, half, chunk, at)
}

// weigh turns a row and takes the point away, and sums up what the factors need.
func (e *Encoder) weigh(v []float32, inverse float32) (w weights, half float32) {
	scale := float32(1)
	switch e.metric {
	case distance.Cosine:
		scale = inverse
	case distance.DotProduct:
		half = distance.Dot(v, v) / 2
	}
	e.rotation.Apply(v, e.residual)
	weigh(e.residual, e.turned, scale, 1, &w)
	return w, half
}

// put writes the residual at hand, of a row of whose squared length half is, into a chunk.
func (e *Encoder) put(w *weights, half float32, chunk []byte, place int) factors {
	f := e.factors(w, half)
	putSigns(e.residual, chunk[:4*e.rotation.width], place)
	at := 4*e.rotation.width + 4*place
	for _, x := range [...]float32{f.add, f.mul, f.err} {
		binary.LittleEndian.PutUint32(chunk[at:], math.Float32bits(x))
		at += 4 * ChunkRows
	}
	return f
}

// factors of the residual at hand.
func (e *Encoder) factors(w *weights, half float32) factors {
	sum, signed, square, width := w.sum, w.signed, w.square, float64(e.rotation.width)
	along := float64(distance.Dot(e.residual, e.turned)) // ⟨o-c, c⟩
	f := factors{add: float32(square + 2*along), wideAdd: float32(square + 2*along), wideMul: -2}
	if sum > 0 {
		ratio := square * math.Sqrt(width) / sum // |r| over the cosine between it and its signs
		cosine := math.Min(1, sum/math.Sqrt(width*square))
		f.add = float32(square + 2*ratio*signed/math.Sqrt(width))
		f.mul = float32(-2 * ratio)
		f.err = float32(2 * math.Sqrt(square) * math.Sqrt(1-cosine*cosine) / cosine / math.Sqrt(width-1))
	}
	if e.metric == distance.Euclidean {
		return f
	}
	return factors{f.add/2 - half, f.mul / 2, f.err / 2, f.wideAdd/2 - half, f.wideMul / 2}
}

// roundTo rounds numbers, of which most is the largest absolute, to bytes of equal steps, and returns the step.
func roundTo(numbers []float32, most float32, out []int8) float32 {
	if most == 0 {
		return 0
	}
	roundBytes(numbers, 127/most, out)
	return most / 127
}

// Fill marks the rows of a chunk from at on as absent.
func Fill(chunk []byte, width, at int) {
	for i := at; i < ChunkRows; i++ {
		binary.LittleEndian.PutUint32(chunk[4*width+4*i:], math.Float32bits(float32(math.Inf(1))))
	}
}
