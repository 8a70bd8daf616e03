package segment

import (
	"hash/crc32"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// coded are the tiers of a block that are relative to a centroid.
type coded struct {
	chunks  []byte
	wide    []byte
	factors []float32
}

func (c *coded) bytes() int {
	if c == nil {
		return 0
	}
	return len(c.chunks) + len(c.wide) + 4*len(c.factors)
}

func encodeCoded(metric distance.Metric, centroid []float32, rows []Row) *coded {
	width := quantize.Width(len(centroid))
	size := quantize.ChunkBytes(width)
	c := &coded{chunks: make([]byte, quantize.Chunks(len(rows))*size), wide: make([]byte, width*len(rows)), factors: make([]float32, 0, 2*len(rows))}
	e, bytes := quantize.NewEncoder(metric, centroid), make([]int8, width)
	for i := range rows {
		clear(bytes)
		chunk := c.chunks[i/quantize.ChunkRows*size:][:size]
		add, mul := e.Encode(rows[i].Vector, rows[i].Inverse, quantize.Row{Chunk: chunk, At: i % quantize.ChunkRows, Wide: bytes})
		c.factors = append(c.factors, add, mul)
		for j, x := range bytes {
			c.wide[i*width+j] = byte(x)
		}
	}
	if last := len(rows) % quantize.ChunkRows; last > 0 {
		quantize.Fill(c.chunks[len(c.chunks)-size:], width, last)
	}
	return c
}

// EncodeCoded writes rows, all of one dimension, as a coded block, relative to their
// neighbourhood's centroid. It also returns how many bytes of it are scanned, and how many rank rows.
func EncodeCoded(rows []Row, metric distance.Metric, centroid []float32) (b []byte, hot, warm int, err error) {
	b, ends, err := encodeBlock(rows, len(centroid), codedTiers, encodeCoded(metric, centroid, rows))
	if err != nil {
		return nil, 0, 0, err
	}
	return b, ends[hotTiers-1], ends[warmTiers-1], nil
}

// Coded reports whether the block has codes.
func (k *Block) Coded() bool { return k.chunks != nil }

// Width of the codes.
func (k *Block) Width() int { return k.width }

// Chunks are the codes of 32 rows after one another.
func (k *Block) Chunks() []byte { return k.chunks }

// HasBytes reports whether Wide has something to return: not where only the scanned front was opened.
func (k *Block) HasBytes() bool { return k.wide != nil }

// Wide is row i in bytes, with its factors.
func (k *Block) Wide(i int) (row []int8, add, mul float32) {
	return k.wide[i*k.width : (i+1)*k.width], k.factors[2*i], k.factors[2*i+1]
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
