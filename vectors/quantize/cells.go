package quantize

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/tarnlake/tarn/vectors/distance"
)

// CellsMax is how many cells a neighbourhood may have.
const CellsMax = 64

// Cells are the middle points of the clusters into which a neighbourhood is divided further, in eight bits a
// coordinate relative to its centroid. A cell is what its bytes say, exactly: rows are encoded
// relative to that, and Cells are themselves scanned as rows are.
//
// As bytes, little endian, a cell is:
//
//	0  4      step: float32
//	4  width  [width] int8: P·(cell-centroid) in steps
type Cells struct {
	metric distance.Metric
	home   *Encoder // at the centroid
	data   []byte
	chunks []byte
	add    []float32 // of the bytes, as Probe.Wide takes them
	mul    []float32
	halves []float32 // of the cells' squared lengths
}

// CellBytes is the size of one cell.
func CellBytes(width int) int { return 4 + width }

// NewCells rounds points ([n][width], rotated) to cells of the neighbourhood around centroid.
func NewCells(metric distance.Metric, centroid, points []float32) *Cells {
	r := RotationOf(len(centroid))
	turned, residual, out := r.Turned(centroid), make([]float32, r.width), make([]int8, r.width)
	var w weights
	data := make([]byte, 0, len(points)/r.width*CellBytes(r.width))
	for at := 0; at < len(points); at += r.width {
		copy(residual, points[at:])
		weigh(residual, turned, 1, 1, &w)
		clear(out)
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(roundTo(residual, w.most, out)))
		for _, x := range out {
			data = append(data, byte(x))
		}
	}
	return OpenCells(metric, centroid, data)
}

// OpenCells takes over the bytes of cells, which are a whole number of them.
func OpenCells(metric distance.Metric, centroid []float32, data []byte) *Cells {
	c := &Cells{metric: metric, home: NewEncoder(metric, centroid), data: data}
	w, n := c.width(), c.Len()
	size := ChunkBytes(w)
	c.chunks = make([]byte, Chunks(n)*size)
	c.add, c.mul, c.halves = make([]float32, n), make([]float32, n), make([]float32, n)
	point := make([]float32, w)
	var weight weights
	for i := range n {
		c.Point(i, point)
		c.halves[i] = distance.Dot(point, point) / 2
		row, step := c.bytes(i)
		for j, x := range row {
			c.home.residual[j] = step * float32(x)
		}
		half := float32(0)
		if metric == distance.DotProduct {
			half = c.halves[i]
		}
		weigh(c.home.residual, c.home.turned, 1, 0, &weight)
		f := c.home.put(&weight, half, c.chunks[i/ChunkRows*size:][:size], i%ChunkRows)
		c.add[i], c.mul[i] = f.wideAdd, f.wideMul*step
	}
	if last := n % ChunkRows; last > 0 {
		Fill(c.chunks[len(c.chunks)-size:], w, last)
	}
	return c
}

func (c *Cells) width() int { return c.home.rotation.width }

// Dimension of the vectors.
func (c *Cells) Dimension() int { return c.home.rotation.dim }

// Len is the number of cells.
func (c *Cells) Len() int { return len(c.data) / CellBytes(c.width()) }

// Data is the cells as bytes. It must not be changed.
func (c *Cells) Data() []byte { return c.data }

// Memory is how many bytes the cells take beside their data.
func (c *Cells) Memory() int { return len(c.chunks) + 4*3*len(c.add) + 4*2*c.width() }

func (c *Cells) bytes(i int) (row []int8, step float32) {
	b := c.data[i*CellBytes(c.width()):][:CellBytes(c.width())]
	return Signed(b[4:]), math.Float32frombits(binary.LittleEndian.Uint32(b))
}

// Point puts cell i, rotated, into out, which has the width of codes.
func (c *Cells) Point(i int, out []float32) {
	row, step := c.bytes(i)
	for j, x := range row {
		out[j] = c.home.turned[j] + step*float32(x)
	}
}

// Encoder makes codes relative to cell i.
func (c *Cells) Encoder(i int) *Encoder {
	turned := make([]float32, c.width())
	c.Point(i, turned)
	return newEncoder(c.metric, c.home.rotation, turned)
}

// Estimate puts the estimated scores of the cells of one chunk, less width standard errors, into out, and tells which
// are below limit. The probe is the query at the neighbourhood's centroid.
func (c *Cells) Estimate(p *Probe, chunk int, width, limit float32, out *[ChunkRows]float32) (mask uint32) {
	size := ChunkBytes(c.width())
	return p.Scan(c.chunks[chunk*size:][:size], width, limit, out)
}

// Score is that of a cell, as good as 16 bits of the query tell.
func (c *Cells) Score(p *Probe, cell int) float32 {
	row, _ := c.bytes(cell)
	score, _ := p.Wide(row, c.add[cell], c.mul[cell])
	return score
}

// Fetch asks the processor for what Score needs.
func (c *Cells) Fetch(cell int) {
	n := CellBytes(c.width())
	Prefetch(c.data[cell*n : (cell+1)*n])
}

// Probe is a query at a cell whose score is known.
func (c *Cells) Probe(q *Query, cell int, score float32) Probe {
	switch c.metric {
	case distance.Cosine:
		return q.Away(2 * score)
	case distance.DotProduct:
		return q.Away(q.square + 2*c.halves[cell] + 2*score)
	}
	return q.Away(score)
}

// Signed sees bytes as signed ones, in place.
func Signed(b []byte) []int8 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(&b[0])), len(b))
}

// AtHome is a query at the centroid of the neighbourhood.
func (c *Cells) AtHome(q *Query) Probe { return q.Away(distance.L2(q.rotated, c.home.turned)) }

// Apart is what orders cells like their euclidean distance to the query, whatever the metric.
func (c *Cells) Apart(p *Probe, cell int) float32 {
	score := c.Score(p, cell)
	if c.metric == distance.DotProduct {
		score += c.halves[cell]
	}
	return score
}
