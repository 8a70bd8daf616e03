package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// A segment, little endian, every block on a multiple of 64 bytes:
//
//	0   4  magic "TVSG"
//	4   2  version: 3; 2 where no block has cells
//	6   2  zero
//	8   8  sequence of the segment in its index
//	16  4  dimension
//	20  4  blocks
//	24  4  CRC-32C of the header and the directory, with this field zero
//	28  4  zero
//	32  …  directory, 32 bytes a block, by rising neighbourhood:
//	         0  4  neighbourhood    8  8  offset in the segment
//	         4  4  rows            16  4  bytes    20  4  of them, scanned
//	        24  4  scanned or needed to rank rows  28  4  cells, zero in version 2
//	…       cells of the blocks that have some, after one another: see quantize.Cells
//
// In version 1 an entry had 24 bytes: no block was coded, and all of one was read.
const (
	segmentMagic   = "TVSG"
	segmentVersion = 3
	plainVersion   = 2 // without cells
	segmentFixed   = 32
	entryBytes     = 32
	entryBytesV1   = 24

	// BlocksMax bounds the directory.
	BlocksMax = 1 << 22
)

// Entry says where the block of one neighbourhood lies.
type Entry struct {
	Neighbourhood uint32
	Rows          uint32
	Offset        int64
	Bytes         uint32
	Hot           uint32 // bytes at the front that are scanned
	Warm          uint32 // bytes at the front that are scanned or needed to rank, filter and name rows
	Cells         []byte // of the block, as quantize.OpenCells takes them; nil: none
}

// Builder gathers blocks. The zero value, with its Dimension set, is ready.
type Builder struct {
	Sequence  uint64
	Dimension int
	Metric    distance.Metric // of coded blocks
	blocks    []built
}

type built struct {
	neighbourhood uint32
	rows          int
	hot, warm     int
	bytes         []byte
	cells         []byte
}

// Add takes the rows of one neighbourhood, once.
func (s *Builder) Add(neighbourhood uint32, rows []Row) error {
	b, err := EncodeBlock(rows, s.Dimension)
	if err != nil {
		return err
	}
	s.blocks = append(s.blocks, built{neighbourhood, len(rows), len(b), len(b), b, nil})
	return nil
}

// AddCoded is Add for rows that get codes relative to the neighbourhood's centroid.
func (s *Builder) AddCoded(neighbourhood uint32, centroid []float32, rows []Row) error {
	b, hot, warm, err := EncodeCoded(rows, s.Metric, centroid)
	if err != nil {
		return err
	}
	s.blocks = append(s.blocks, built{neighbourhood, len(rows), hot, warm, b, nil})
	return nil
}

// AddCelled is AddCoded for rows that come cell by cell; ends counts the rows to the end of each. Codes are
// relative to the cells. guests are those of each cell, which lie in this segment; nil: there are none.
func (s *Builder) AddCelled(neighbourhood uint32, cells *quantize.Cells, ends []uint32, rows []Row, guests [][]Guest) error {
	b, hot, warm, err := EncodeCelled(rows, s.Metric, cells, ends, guests)
	if err != nil {
		return err
	}
	s.blocks = append(s.blocks, built{neighbourhood, len(rows), hot, warm, b, cells.Data()})
	return nil
}

// Finish is the whole segment, with the size of its header, directory and cells.
func (s *Builder) Finish() (data []byte, head int) {
	slices.SortFunc(s.blocks, func(a, b built) int { return int(int64(a.neighbourhood) - int64(b.neighbourhood)) })
	head = segmentFixed + entryBytes*len(s.blocks)
	version := uint16(plainVersion)
	for _, b := range s.blocks {
		if len(b.cells) > 0 {
			head += len(b.cells)
			version = segmentVersion
		}
	}
	head = align(head)
	total := head
	for _, b := range s.blocks {
		total += len(b.bytes)
	}
	data = make([]byte, head, total)
	copy(data, segmentMagic)
	binary.LittleEndian.PutUint16(data[4:], version)
	binary.LittleEndian.PutUint64(data[8:], s.Sequence)
	binary.LittleEndian.PutUint32(data[16:], uint32(s.Dimension))
	binary.LittleEndian.PutUint32(data[20:], uint32(len(s.blocks)))
	cells := data[segmentFixed+entryBytes*len(s.blocks):]
	for i, b := range s.blocks {
		e := data[segmentFixed+i*entryBytes:]
		binary.LittleEndian.PutUint32(e, b.neighbourhood)
		binary.LittleEndian.PutUint32(e[4:], uint32(b.rows))
		binary.LittleEndian.PutUint64(e[8:], uint64(len(data)))
		binary.LittleEndian.PutUint32(e[16:], uint32(len(b.bytes)))
		binary.LittleEndian.PutUint32(e[20:], uint32(b.hot))
		binary.LittleEndian.PutUint32(e[24:], uint32(b.warm))
		binary.LittleEndian.PutUint32(e[28:], uint32(len(b.cells)/quantize.CellBytes(quantize.Width(s.Dimension))))
		cells = cells[copy(cells, b.cells):]
		data = append(data, b.bytes...) // a block's size is a multiple of 64
	}
	binary.LittleEndian.PutUint32(data[24:], directorySum(data[:head]))
	return data, head
}

// directorySum is the checksum of b with bytes 24 to 28 as zeros.
func directorySum(b []byte) uint32 {
	sum := crc32.Checksum(b[:24], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[28:])
}

// Directory verifies the first bytes of a segment, as many as Finish said, and
// lists its blocks. total is the size of the whole segment.
func Directory(head []byte, sequence uint64, total int64) ([]Entry, error) {
	if len(head) < segmentFixed || string(head[:4]) != segmentMagic {
		return nil, corrupt("no segment begins here")
	}
	size := entryBytes
	switch v := binary.LittleEndian.Uint16(head[4:]); v {
	case segmentVersion, plainVersion:
	case 1:
		size = entryBytesV1
	default:
		return nil, fmt.Errorf("%w: segment of version %d, this release knows %d", ErrVersion, v, segmentVersion)
	}
	n := int64(binary.LittleEndian.Uint32(head[20:]))
	if n > BlocksMax || segmentFixed+int64(size)*n > int64(len(head)) {
		return nil, corrupt("directory of %d blocks in %d bytes", n, len(head))
	}
	if directorySum(head) != binary.LittleEndian.Uint32(head[24:]) {
		return nil, corrupt("checksum of the segment's directory")
	}
	if s := binary.LittleEndian.Uint64(head[8:]); s != sequence {
		return nil, corrupt("segment %d where %d was expected", s, sequence)
	}
	entries := make([]Entry, n)
	c := cellReader{bytes: head[segmentFixed+size*int(n):], size: cellBytes(head)}
	for i := range entries {
		e := head[segmentFixed+i*size:][:size]
		entries[i] = parseEntry(e)
		if size == entryBytes {
			entries[i].Cells = c.take(binary.LittleEndian.Uint32(e[28:]))
		}
		if err := entries[i].check(len(head), total); err != nil {
			return nil, err
		}
		if i > 0 && entries[i].Neighbourhood <= entries[i-1].Neighbourhood {
			return nil, corrupt("directory does not rise at block %d", i)
		}
	}
	if c.err != nil || len(c.bytes) >= tierAlign {
		return nil, corrupt("cells of a segment leave %d bytes of its head; %v", len(c.bytes), c.err)
	}
	return entries, nil
}

// cellBytes is the size of a cell in the segment that begins with head.
func cellBytes(head []byte) int {
	return quantize.CellBytes(quantize.Width(int(binary.LittleEndian.Uint32(head[16:]))))
}

// CellsIn counts the cells in what an Entry has of them.
func CellsIn(b []byte, dim int) int { return len(b) / quantize.CellBytes(quantize.Width(dim)) }

// cellReader takes the cells of one block after the other.
type cellReader struct {
	bytes []byte
	size  int
	err   error
}

func (c *cellReader) take(n uint32) []byte {
	if n == 0 || c.err != nil {
		return nil
	}
	if n > quantize.CellsMax || int64(n)*int64(c.size) > int64(len(c.bytes)) {
		c.err = corrupt("%d cells in %d bytes", n, len(c.bytes))
		return nil
	}
	b := c.bytes[: int(n)*c.size : int(n)*c.size]
	c.bytes = c.bytes[len(b):]
	for i := range int(n) {
		if step := math.Float32frombits(binary.LittleEndian.Uint32(b[i*c.size:])); !(step >= 0 && step < math.MaxFloat32) {
			c.err = corrupt("cell of step %v", step)
			return nil
		}
	}
	return b
}

func parseEntry(b []byte) Entry {
	e := Entry{
		Neighbourhood: binary.LittleEndian.Uint32(b), Rows: binary.LittleEndian.Uint32(b[4:]),
		Offset: int64(binary.LittleEndian.Uint64(b[8:])), Bytes: binary.LittleEndian.Uint32(b[16:]),
	}
	e.Hot, e.Warm = e.Bytes, e.Bytes
	if len(b) >= entryBytes {
		e.Hot, e.Warm = binary.LittleEndian.Uint32(b[20:]), binary.LittleEndian.Uint32(b[24:])
	}
	return e
}

func (e Entry) check(head int, total int64) error {
	if e.Rows > RowsMax || e.Bytes > BlockBytesMax || e.Offset < int64(head) || e.Offset > total-int64(e.Bytes) || e.Hot > e.Warm || e.Warm > e.Bytes {
		return corrupt("block of neighbourhood %d lies outside its segment", e.Neighbourhood)
	}
	return nil
}

// Find is the entry of a neighbourhood in a directory.
func Find(entries []Entry, neighbourhood uint32) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(entries, neighbourhood, func(e Entry, n uint32) int {
		return int(int64(e.Neighbourhood) - int64(n))
	})
	if !ok {
		return Entry{}, false
	}
	return entries[i], true
}
