package segment

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// coded are the tiers of a block that are relative to a centroid, or to cells.
type coded struct {
	chunks  []byte
	wide    []byte
	factors []float32
	ends    []uint32 // of cells; nil: there are none
	guests  [][]Guest
}

// hosted counts the guests.
func (c *coded) hosted() (n int) {
	for _, of := range c.guests {
		n += len(of)
	}
	return n
}

func (c *coded) bytes() int {
	if c == nil {
		return 0
	}
	return len(c.chunks) + len(c.wide) + 4*len(c.factors) + 4*len(c.ends) + 4*len(c.guests) + guestBytes*c.hosted()
}

// add encodes rows into chunks of their own, and behind them guests.
func (c *coded) add(e *quantize.Encoder, width int, rows []Row, guests []Guest) {
	size, n := quantize.ChunkBytes(width), len(rows)+len(guests)
	begin := len(c.chunks)
	c.chunks = append(c.chunks, make([]byte, quantize.Chunks(n)*size)...)
	bytes := make([]int8, width)
	for i := range guests {
		at := len(rows) + i
		chunk := c.chunks[begin+at/quantize.ChunkRows*size:][:size]
		clear(bytes)
		e.Encode(guests[i].Row.Vector, guests[i].Row.Inverse, quantize.Row{Chunk: chunk, At: at % quantize.ChunkRows, Wide: bytes})
	}
	for i := range rows {
		clear(bytes)
		chunk := c.chunks[begin+i/quantize.ChunkRows*size:][:size]
		add, mul := e.Encode(rows[i].Vector, rows[i].Inverse, quantize.Row{Chunk: chunk, At: i % quantize.ChunkRows, Wide: bytes})
		c.factors = append(c.factors, add, mul)
		for _, x := range bytes {
			c.wide = append(c.wide, byte(x))
		}
	}
	if last := n % quantize.ChunkRows; last > 0 {
		quantize.Fill(c.chunks[len(c.chunks)-size:], width, last)
	}
}

func newCoded(rows, width int) *coded {
	return &coded{wide: make([]byte, 0, rows*width), factors: make([]float32, 0, 2*rows)}
}

// EncodeCoded writes rows, all of one dimension, as a coded block, relative to their
// neighbourhood's centroid. It also returns how many bytes of it are scanned, and how many rank rows.
func EncodeCoded(rows []Row, metric distance.Metric, centroid []float32) (b []byte, hot, warm int, err error) {
	width := quantize.Width(len(centroid))
	c := newCoded(len(rows), width)
	c.add(quantize.NewEncoder(metric, centroid), width, rows, nil)
	return encodeFront(rows, len(centroid), codedTiers, hotTiers, c)
}

// EncodeCelled is EncodeCoded for rows that come cell by cell. guests are those of each cell; nil: there
// are none.
func EncodeCelled(rows []Row, metric distance.Metric, cells *quantize.Cells, ends []uint32, guests [][]Guest) (b []byte, hot, warm int, err error) {
	if len(ends) != cells.Len() || int(ends[len(ends)-1]) != len(rows) {
		return nil, 0, 0, fmt.Errorf("encode %d rows in %d cells: the last of %d ends is not theirs", len(rows), cells.Len(), len(ends))
	}
	width := quantize.Width(cells.Dimension())
	c := newCoded(len(rows), width)
	if c.ends, c.guests = ends, guests; c.hosted() == 0 {
		c.guests = nil
	}
	first := uint32(0)
	for i, end := range ends {
		var of []Guest
		if c.guests != nil {
			of = c.guests[i]
		}
		c.add(cells.Encoder(i), width, rows[first:end], of)
		first = end
	}
	if c.guests != nil {
		return encodeFront(rows, cells.Dimension(), hostTiers, hotTiers+2, c)
	}
	return encodeFront(rows, cells.Dimension(), celledTiers, hotTiers+1, c)
}

// encodeFront also tells where the first hot tiers end, and where all that ranks rows does.
func encodeFront(rows []Row, dim int, order []tierKind, hots int, c *coded) (b []byte, hot, warm int, err error) {
	b, ends, err := encodeBlock(rows, dim, order, c)
	if err != nil {
		return nil, 0, 0, err
	}
	return b, ends[hots-1], ends[len(ends)-1-coldTiers], nil
}

// Run is rows of a block whose codes are relative to one point.
type Run struct {
	First, Rows int
	Chunks      []byte  // codes of 32 rows after one another
	Guests      []Place // of rows of other cells, the codes of which come behind those of the cell's own
}

// Whole is all rows of a block that has no cells.
func (k *Block) Whole() Run { return Run{Rows: k.Len(), Chunks: k.chunks} }

// Cells is how many cells the block's rows are in; 0: its codes are relative to the centroid.
func (k *Block) Cells() int { return max(0, len(k.cells)-1) }

// Cell is the rows of a cell.
func (k *Block) Cell(i int) Run {
	from, to, size := k.cells[i], k.cells[i+1], quantize.ChunkBytes(k.width)
	return Run{int(from.row), int(to.row - from.row), k.chunks[int(from.chunk)*size : int(to.chunk)*size], k.guests[from.guest:to.guest]}
}

// CellOf is the cell of a row; -1: it is in none.
func (k *Block) CellOf(row int) int {
	at, _ := slices.BinarySearchFunc(k.cells, uint32(row), func(c cellStart, row uint32) int {
		if c.row <= row {
			return -1
		}
		return 1
	})
	return at - 1
}

// cellStart is the first row of a cell, its first chunk, and its first guest.
type cellStart struct{ row, chunk, guest uint32 }

// Coded reports whether the block has codes.
func (k *Block) Coded() bool { return k.chunks != nil }

// Width of the codes.
func (k *Block) Width() int { return k.width }

// HasBytes reports whether Wide has something to return: not where only the scanned front was opened.
func (k *Block) HasBytes() bool { return k.wide != nil }

// Wide is row i in bytes, with its factors.
func (k *Block) Wide(i int) (row []int8, add, mul float32) {
	return k.wide[i*k.width : (i+1)*k.width], k.factors[2*i], k.factors[2*i+1]
}

// FetchWide asks the processor for row i in bytes.
func (k *Block) FetchWide(i int) {
	if k.wide != nil {
		quantize.PrefetchSigned(k.wide[i*k.width : (i+1)*k.width])
	}
}

// HasVectors reports whether the whole block was opened.
func (k *Block) HasVectors() bool { return k.vectors != nil || k.Len() == 0 }

// VectorAt is where in the block the vector of row i lies.
func (k *Block) VectorAt(i int) int64 { return int64(k.vectorsAt + 4*k.dim*i) }

// Front copies the first bytes of the block, which end where a tier does, and opens them alone.
func (k *Block) Front(bytes int) (*Block, error) {
	return OpenPart(slices.Clone(k.data[:bytes]), k.whole)
}

// MetadataAt is where in the block its metadata lie.
func (k *Block) MetadataAt() (offset int64, bytes int) { return int64(k.metaTier.at), k.metaTier.size }

// MetadataIn is row i's metadata in the bytes that lie at MetadataAt, verified; nil: none.
func (k *Block) MetadataIn(b []byte, i int) ([]byte, error) {
	if crc32.Checksum(b, castagnoli) != k.metaTier.sum {
		return nil, corrupt("checksum of the metadata")
	}
	r := tierReader{rows: k.Len(), tiers: map[tierKind]tier{tierMetadata: {size: len(b), bytes: b}}}
	t := r.text(tierMetadata)
	if r.err != nil || len(t.at(i)) == 0 {
		return nil, r.err
	}
	return t.at(i), nil
}

// Numbers sees the bytes of a vector as what they are.
func Numbers(b []byte) []float32 { return words[float32](b) }
