package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"unsafe"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// Block is rows by column. All it returns shares the bytes it was opened on and
// must not be changed.
type Block struct {
	bytes          int
	dim            int
	ids            []uint64
	vectors        []float32
	inverses       []float32
	neighbourhoods []uint32
	keys           text
	documents      text
	metadata       text
	sources        text

	width     int // of the codes
	chunks    []byte
	wide      []int8
	factors   []float32
	cells     []cellStart // one more than there are cells; nil: there are none
	guests    []Place     // by cell
	data      []byte      // that was opened
	whole     int         // bytes of the whole block
	vectorsAt int         // in it
	metaTier  tier        // likewise
}

// text is a column of byte strings.
type text struct {
	ends  []uint32 // rows+1, the first is 0
	bytes []byte
}

func (t text) at(i int) []byte { return t.bytes[t.ends[i]:t.ends[i+1]:t.ends[i+1]] }

// OpenBlock verifies b and takes it over.
func OpenBlock(b []byte) (*Block, error) { return OpenPart(b, len(b)) }

// OpenPart is OpenBlock for the front of a block of whole bytes, which ends where a tier does.
// What lies behind must not be asked for.
func OpenPart(b []byte, whole int) (*Block, error) {
	rows, tiers, err := blockHeader(b, whole)
	if err != nil {
		return nil, err
	}
	k := &Block{bytes: len(b), dim: int(binary.LittleEndian.Uint32(b[12:]))}
	r := tierReader{rows: rows, tiers: tiers}
	k.ids = words[uint64](r.fixed(tierIDs, 8))
	k.vectors = words[float32](r.fixed(tierVectors, 4*k.dim))
	k.data, k.whole, k.vectorsAt, k.metaTier = b, whole, tiers[tierVectors].at, tiers[tierMetadata]
	k.inverses = words[float32](r.fixed(tierInverses, 4))
	k.neighbourhoods = words[uint32](r.fixed(tierNeighbourhoods, 4))
	k.keys = r.text(tierKeys)
	k.documents = r.text(tierDocuments)
	k.metadata = r.text(tierMetadata)
	k.sources = r.text(tierSources)
	if _, ok := tiers[tierCodes]; ok && r.err == nil {
		r.codes(k)
	}
	return k, r.err
}

// tier is where a tier lies; bytes is nil where it is behind the part that was opened.
type tier struct {
	at, size int
	sum      uint32 // CRC-32C
	bytes    []byte
}

// chunks counts the chunks of a block, and finds where cells begin.
func (r *tierReader) chunks(k *Block) int {
	t, ok := r.tiers[tierCellEnds]
	if !ok {
		return quantize.Chunks(r.rows)
	}
	if t.bytes == nil || t.size%4 != 0 || t.size == 0 || t.size > 4*quantize.CellsMax {
		r.fail("ends of cells of %d bytes", t.size)
		return 0
	}
	ends := words[uint32](t.bytes)
	k.cells = make([]cellStart, len(ends)+1)
	for i, end := range ends {
		from := k.cells[i]
		if end < from.row || int64(end) > int64(r.rows) {
			r.fail("cell %d ends at row %d, the one before at %d of %d", i, end, from.row, r.rows)
			return 0
		}
		k.cells[i+1] = cellStart{row: end, chunk: from.chunk + uint32(quantize.Chunks(int(end-from.row)))}
	}
	if last := k.cells[len(ends)]; int(last.row) != r.rows {
		r.fail("cells have %d of %d rows", last.row, r.rows)
	}
	r.guests(k)
	return int(k.cells[len(ends)].chunk)
}

// codes are chunks, bytes and factors.
func (r *tierReader) codes(k *Block) {
	k.width = quantize.Width(k.dim)
	size := r.chunks(k) * quantize.ChunkBytes(k.width)
	if t := r.tiers[tierCodes]; t.size != size {
		r.fail("codes of %d bytes for %d rows of %d numbers", t.size, r.rows, k.dim)
		return
	} else {
		k.chunks = t.bytes
	}
	k.wide = quantize.Signed(r.fixed(tierWide, k.width))
	k.factors = words[float32](r.fixed(tierWideFactors, 8))
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// blockHeader verifies the header and every checksum of b, the front of a whole block.
func blockHeader(b []byte, whole int) (rows int, tiers map[tierKind]tier, err error) {
	if len(b) < blockFixed || string(b[:4]) != blockMagic {
		return 0, nil, corrupt("no block begins here")
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v < blockVersion || v > hostVersion {
		return 0, nil, fmt.Errorf("%w: block of version %d, this release knows %d", ErrVersion, v, hostVersion)
	}
	n := int(binary.LittleEndian.Uint16(b[6:]))
	table := blockFixed + n*tierEntryBytes
	if len(b) < table || len(b) > whole || whole > BlockBytesMax || int64(binary.LittleEndian.Uint32(b[16:])) != int64(whole) {
		return 0, nil, corrupt("block of %d bytes says %d", whole, binary.LittleEndian.Uint32(b[16:]))
	}
	if headerSum(b[:table]) != binary.LittleEndian.Uint32(b[20:]) {
		return 0, nil, corrupt("checksum of the block's header")
	}
	rows = int(binary.LittleEndian.Uint32(b[8:]))
	if dim := binary.LittleEndian.Uint32(b[12:]); rows > RowsMax || dim > 1<<16 {
		return 0, nil, corrupt("block of %d rows of %d numbers", rows, dim)
	}
	tiers = make(map[tierKind]tier, n)
	for i := range n {
		e := b[blockFixed+i*tierEntryBytes:]
		off, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
		if off < uint64(table) || off+size > uint64(whole) || off < uint64(len(b)) && off+size > uint64(len(b)) {
			return 0, nil, corrupt("tier %d lies outside its block", i)
		}
		t := tier{at: int(off), size: int(size), sum: binary.LittleEndian.Uint32(e[12:])}
		if off+size <= uint64(len(b)) {
			t.bytes = b[off : off+size : off+size]
		}
		if t.bytes != nil && crc32.Checksum(t.bytes, castagnoli) != t.sum {
			return 0, nil, corrupt("checksum of tier %d", i)
		}
		tiers[tierKind(binary.LittleEndian.Uint16(e))] = t
	}
	return rows, tiers, nil
}

// headerSum is the checksum of b with bytes 20 to 24 as zeros.
func headerSum(b []byte) uint32 {
	sum := crc32.Checksum(b[:20], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[24:])
}

// tierReader takes tiers apart; the first thing that does not fit is err.
type tierReader struct {
	rows  int
	tiers map[tierKind]tier
	err   error
}

func (r *tierReader) fixed(kind tierKind, width int) []byte {
	t := r.tiers[kind]
	if t.size != width*r.rows {
		r.fail("tier %d has %d bytes for %d rows of %d", kind, t.size, r.rows, width)
		return nil
	}
	return t.bytes
}

func (r *tierReader) text(kind tierKind) text {
	b := r.tiers[kind].bytes
	if b == nil && r.tiers[kind].size > 0 {
		return text{}
	}
	head := 4 * (r.rows + 1)
	if len(b) < head {
		r.fail("tier %d has %d bytes for %d rows of text", kind, len(b), r.rows)
		return text{}
	}
	t := text{ends: words[uint32](b[:head]), bytes: b[head:]}
	last := uint32(0)
	for i, end := range t.ends {
		if end < last || i == 0 && end != 0 {
			r.fail("ends of tier %d do not rise", kind)
			return text{}
		}
		last = end
	}
	if int64(last) != int64(len(t.bytes)) {
		r.fail("text of tier %d has %d bytes, its ends say %d", kind, len(t.bytes), last)
		return text{}
	}
	return t
}

func (r *tierReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt(format, args...)
	}
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// words sees little endian bytes as numbers, in place where this machine's
// memory has the same form and the bytes are aligned, else as a copy.
func words[T uint32 | uint64 | float32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var zero T
	width := int(unsafe.Sizeof(zero))
	if littleEndian && uintptr(unsafe.Pointer(&b[0]))%uintptr(width) == 0 {
		return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/width)
	}
	out := make([]T, len(b)/width)
	for i := range out {
		switch p := any(&out[i]).(type) {
		case *uint32:
			*p = binary.LittleEndian.Uint32(b[4*i:])
		case *uint64:
			*p = binary.LittleEndian.Uint64(b[8*i:])
		case *float32:
			*p = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return out
}

// Len is the number of rows.
func (k *Block) Len() int { return len(k.ids) }

// Bytes is the size of the whole block.
func (k *Block) Bytes() int { return k.bytes }

// Dimension of the vectors.
func (k *Block) Dimension() int { return k.dim }

// IDs of all rows.
func (k *Block) IDs() []uint64 { return k.ids }

// Vectors of all rows: [rows][dimension]float32, row major.
func (k *Block) Vectors() []float32 { return k.vectors }

// Inverses of the rows' lengths.
func (k *Block) Inverses() []float32 { return k.inverses }

// Neighbourhoods given to the rows when they were written.
func (k *Block) Neighbourhoods() []uint32 { return k.neighbourhoods }

// Inverse of row i's length.
func (k *Block) Inverse(i int) float32 { return k.inverses[i] }

// Vector of row i.
func (k *Block) Vector(i int) []float32 { return k.vectors[i*k.dim : (i+1)*k.dim : (i+1)*k.dim] }

// Document of row i.
func (k *Block) Document(i int) filter.Document { return filter.Document(k.documents.at(i)) }

// Key of row i, copied.
func (k *Block) Key(i int) string { return string(k.keys.at(i)) }

// SourceVersion is the version of the object that row i describes; the zero
// version where it has none.
func (k *Block) SourceVersion(i int) (v [16]byte) {
	copy(v[:], k.sources.at(i))
	return v
}

// Source of row i; nil: it has none.
func (k *Block) Source(i int) *Source { return parseSource(k.sources.at(i)) }

// Metadata of row i, which must not be changed; nil: none.
func (k *Block) Metadata(i int) []byte {
	if m := k.metadata.at(i); len(m) > 0 {
		return m
	}
	return nil
}

// Row is row i. Its vector, document and metadata share the block's memory; of a front it has neither
// vector nor metadata.
func (k *Block) Row(i int) Row {
	r := Row{
		ID: k.ids[i], Key: k.Key(i), Inverse: k.inverses[i],
		Document: k.Document(i), Source: k.Source(i), Neighbourhood: k.neighbourhoods[i],
	}
	if k.HasVectors() {
		r.Vector = k.Vector(i)
		r.Metadata = k.Metadata(i)
	}
	if len(r.Document) == 0 {
		r.Document = nil
	}
	return r
}
