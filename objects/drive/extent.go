package drive

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarnlake/tarn/host"
)

// Formats of an extent. A grown one ends with its seal; one of fixed size is zeroed
// whole, keeps its seal in the last sector, and is used again under a higher generation.
const (
	formatGrown = 1
	formatFixed = 2
)

const (
	extentMagic  = "TEXT"
	sealMagic    = "TSEA"
	extentSuffix = ".extent"
	firstRecord  = SectorBytes // offset of the first record
	rottenMax    = 100
)

// extent is one file of records.
type extent struct {
	number     uint32
	generation uint32
	class      Class
	base       uint64   // sequence of the first record; 0: not known, the header is rotten
	before     uint64   // highest sequence of the class that was acknowledged when the extent was made
	previous   uint32   // number of the extent of the class before this one in the session; 0: none
	rotten     []uint32 // extents that told nothing of themselves when the session began
	fixed      bool     // of format 2
	size       int64    // where fixed: of the file
	order      uint64   // by which extents of a class are in the order of writing

	// until is, of an extent that told nothing of itself, a session that began when it was so already:
	// what it held is older. 0: not known.
	until uint64

	// Guarded by Drive.mu.
	used    int64  // end of what counts: records beyond were never acknowledged
	proven  uint64 // highest sequence that is proven to have been acknowledged
	active  bool   // the writer may append
	retired error  // a write or sync of it failed
	unread  error  // it could not be read at Open

	// The writer's alone, while active.
	file     host.File
	prepared int64  // end of what was preallocated
	records  uint64 // count
}

// ExtentInfo describes an extent.
type ExtentInfo struct {
	Number     uint32
	Generation uint32
	Class      Class
	Bytes      int64 // used
	Sealed     bool  // nothing will be appended
	Retired    error // why, where a failed write or an unreadable header ended it
}

// limit is the end of the room for records in an extent of fixed size; there lies its seal.
func (e *extent) limit() int64 { return e.size/SectorBytes*SectorBytes - SectorBytes }

func (e *extent) format() uint16 {
	if e.fixed {
		return formatFixed
	}
	return formatGrown
}

func (e *extent) place(drive ID, off int64) place {
	return place{drive: drive, extent: e.number, generation: e.generation, sector: uint32(off / SectorBytes)}
}

func (e *extent) address(off int64) Address {
	return Address{Extent: e.number, Generation: e.generation, Sector: uint32(off / SectorBytes)}
}

func (e *extent) name() string { return extentName(e.number) }

func extentName(number uint32) string { return fmt.Sprintf("%08d%s", number, extentSuffix) }

func extentNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, extentSuffix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n > 0 && extentName(uint32(n)) == name
}

// Sequences carry the session in their upper bits: each Open begins above all
// that earlier ones wrote, without reading their records.
const sessionShift = 40

// encodeExtent writes an extent's first sector, little endian:
//
//	0  4  magic "TEXT"          12  4  generation
//	4  2  format, 1 or 2        16 16  drive
//	6  1  class; 0: free        32  8  sequence of the first record; its upper 24 bits are the session
//	7  1  flags, zero          40  8  highest sequence of the class acknowledged before
//	8  4  number               48  4  number of the extent of the class before this one in the session
//	52  4  count of what follows
//	56  …  numbers of extents that told nothing of themselves when the session began, rottenMax at most
//	508 4  CRC-32C of [0,508), piece 0xfffffffe
func encodeExtent(e *extent, drive ID) []byte {
	b := make([]byte, SectorBytes)
	copy(b, extentMagic)
	binary.LittleEndian.PutUint16(b[4:], e.format())
	b[6] = byte(e.class)
	binary.LittleEndian.PutUint32(b[8:], e.number)
	binary.LittleEndian.PutUint32(b[12:], e.generation)
	copy(b[16:], drive[:])
	binary.LittleEndian.PutUint64(b[32:], e.base)
	binary.LittleEndian.PutUint64(b[40:], e.before)
	binary.LittleEndian.PutUint32(b[48:], e.previous)
	listed := e.rotten[:min(len(e.rotten), rottenMax)]
	binary.LittleEndian.PutUint32(b[52:], uint32(len(listed)))
	for i, n := range listed {
		binary.LittleEndian.PutUint32(b[56+4*i:], n)
	}
	sealSector(b, e.place(drive, 0), pieceOfExtent)
	return b
}

// decodeExtent reads the first sector of the extent with the given number.
func decodeExtent(b []byte, drive ID, number uint32) (*extent, error) {
	if len(b) < SectorBytes || string(b[:4]) != extentMagic {
		return nil, fmt.Errorf("extent %d has no header: %w", number, ErrCorrupt)
	}
	e := &extent{
		class:      Class(b[6]),
		number:     number,
		generation: binary.LittleEndian.Uint32(b[12:]),
		base:       binary.LittleEndian.Uint64(b[32:]),
		before:     binary.LittleEndian.Uint64(b[40:]),
		previous:   binary.LittleEndian.Uint32(b[48:]),
	}
	if !sectorVerifies(b, e.place(drive, 0), pieceOfExtent) || binary.LittleEndian.Uint32(b[8:]) != number {
		return nil, fmt.Errorf("extent %d's header checksum: %w", number, ErrCorrupt)
	}
	v := binary.LittleEndian.Uint16(b[4:])
	if v != formatGrown && v != formatFixed {
		return nil, &FormatVersionError{File: e.name(), Found: uint32(v), Understood: formatFixed}
	}
	for i := range min(binary.LittleEndian.Uint32(b[52:]), rottenMax) {
		e.rotten = append(e.rotten, binary.LittleEndian.Uint32(b[56+4*i:]))
	}
	e.fixed, e.order = v == formatFixed, e.base
	return e, nil
}

// seal ends an extent: a sector behind its last record, after which the file ends,
// or the last sector of a file of fixed size.
type seal struct {
	end     int64  // of the records; 0: where the seal lies
	proven  uint64 // highest sequence that is proven to have been acknowledged
	records uint64 // count
}

// encodeSeal writes the seal that lies at offset at, little endian:
//
//	0  4  magic "TSEA"          16  8  offset of this sector
//	4  2  format, the extent's  24  8  highest acknowledged sequence
//	6  1  class                 32  8  number of records; 0: not counted
//	7  1  zero                 508  4  CRC-32C of [0,508), piece 0xfffffffd
//	8  8  end of the records; zero in format 1, where it is this sector's offset
func encodeSeal(s seal, e *extent, drive ID, at int64) []byte {
	b := make([]byte, SectorBytes)
	copy(b, sealMagic)
	binary.LittleEndian.PutUint16(b[4:], e.format())
	b[6] = byte(e.class)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.end))
	binary.LittleEndian.PutUint64(b[16:], uint64(at))
	binary.LittleEndian.PutUint64(b[24:], s.proven)
	binary.LittleEndian.PutUint64(b[32:], s.records)
	sealSector(b, e.place(drive, at), pieceOfSeal)
	return b
}

// decodeSeal reads the seal that lies at offset at. Its end is then never 0.
func decodeSeal(b []byte, e *extent, drive ID, at int64) (seal, bool) {
	if len(b) < SectorBytes || string(b[:4]) != sealMagic || binary.LittleEndian.Uint16(b[4:]) != e.format() {
		return seal{}, false
	}
	if binary.LittleEndian.Uint64(b[16:]) != uint64(at) || !sectorVerifies(b, e.place(drive, at), pieceOfSeal) {
		return seal{}, false
	}
	s := seal{end: at, proven: binary.LittleEndian.Uint64(b[24:]), records: binary.LittleEndian.Uint64(b[32:])}
	if e.fixed {
		s.end = int64(binary.LittleEndian.Uint64(b[8:]))
	}
	return s, s.end > firstRecord && s.end <= at && s.end%SectorBytes == 0
}
