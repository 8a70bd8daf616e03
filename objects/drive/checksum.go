package drive

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Piece numbers of what is not a piece of a payload.
const (
	pieceOfHeader = 0xffffffff // a record's header
	pieceOfExtent = 0xfffffffe // an extent's header
	pieceOfSeal   = 0xfffffffd // an extent's seal
	pieceOfRoot   = 0xfffffffc // the root record
)

// place is where bytes belong. It goes into their checksum, so that bytes which
// a drive wrote to, or read from, another place do not verify.
type place struct {
	drive      ID
	extent     uint32
	generation uint32
	sector     uint32
}

// sum is the CRC-32C of 32 bytes that name the place, and then of parts:
//
//	 0 16  drive           20  4  generation      28  4  piece
//	16  4  extent          24  4  sector
func (p place) sum(piece uint32, parts ...[]byte) uint32 {
	var b [32]byte
	copy(b[0:], p.drive[:])
	binary.LittleEndian.PutUint32(b[16:], p.extent)
	binary.LittleEndian.PutUint32(b[20:], p.generation)
	binary.LittleEndian.PutUint32(b[24:], p.sector)
	binary.LittleEndian.PutUint32(b[28:], piece)
	crc := ^uint32(0) // by hand: passed to crc32, b would move to the heap for every piece
	for _, c := range b {
		crc = castagnoli[byte(crc)^c] ^ crc>>8
	}
	crc = ^crc
	for _, part := range parts {
		crc = crc32.Update(crc, castagnoli, part)
	}
	return crc
}

// sealSector puts the checksum of a sector's first 508 bytes into its last four.
func sealSector(b []byte, p place, piece uint32) {
	binary.LittleEndian.PutUint32(b[SectorBytes-4:], p.sum(piece, b[:SectorBytes-4]))
}

func sectorVerifies(b []byte, p place, piece uint32) bool {
	return binary.LittleEndian.Uint32(b[SectorBytes-4:]) == p.sum(piece, b[:SectorBytes-4])
}
