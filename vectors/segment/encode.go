package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// A block, little endian, every tier on a multiple of 64 bytes:
//
//	0   4  magic "TVBK"
//	4   2  version: 1
//	6   2  tiers
//	8   4  rows
//	12  4  dimension
//	16  4  bytes of the whole block
//	20  4  CRC-32C of the header and the tier table, with this field zero
//	24  …  tier table, 16 bytes a tier:
//	         0  2  kind        4  4  offset in the block    12  4  CRC-32C of the tier
//	         2  2  zero        8  4  bytes
//
// Tiers by kind; a text tier is [rows+1] uint32 ends (the first is 0), then the bytes:
//
//	1  ids             [rows] uint64
//	2  vectors         [rows][dimension] float32
//	3  inverses        [rows] float32, 1 over the vector's length
//	4  keys            text
//	5  documents       text: filterable metadata, packed
//	6  metadata        text: JSON
//	7  sources         text: see appendSource
//	8  neighbourhoods  [rows] uint32
const (
	blockMagic     = "TVBK"
	blockVersion   = 1
	blockFixed     = 24
	tierEntryBytes = 16
	tierAlign      = 64

	// RowsMax and BlockBytesMax bound one block.
	RowsMax       = 1 << 20
	BlockBytesMax = 256 << 20
)

type tierKind uint16

const (
	tierIDs tierKind = 1 + iota
	tierVectors
	tierInverses
	tierKeys
	tierDocuments
	tierMetadata
	tierSources
	tierNeighbourhoods
	tiersKnown = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeBlock writes rows, all of one dimension, as one block.
func EncodeBlock(rows []Row, dim int) ([]byte, error) {
	if len(rows) > RowsMax {
		return nil, fmt.Errorf("encode a block of %d rows: more than %d", len(rows), RowsMax)
	}
	b := make([]byte, align(blockFixed+tiersKnown*tierEntryBytes), encodedBytes(rows, dim))
	for i, write := range tierWriters {
		at := len(b)
		b = write(b, rows)
		entry := b[blockFixed+i*tierEntryBytes:]
		binary.LittleEndian.PutUint16(entry, uint16(i+1))
		binary.LittleEndian.PutUint32(entry[4:], uint32(at))
		binary.LittleEndian.PutUint32(entry[8:], uint32(len(b)-at))
		binary.LittleEndian.PutUint32(entry[12:], crc32.Checksum(b[at:], castagnoli))
		b = pad(b)
	}
	if len(b) > BlockBytesMax {
		return nil, fmt.Errorf("encode a block of %d bytes: more than %d", len(b), BlockBytesMax)
	}
	copy(b, blockMagic)
	binary.LittleEndian.PutUint16(b[4:], blockVersion)
	binary.LittleEndian.PutUint16(b[6:], tiersKnown)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(rows)))
	binary.LittleEndian.PutUint32(b[12:], uint32(dim))
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:blockFixed+tiersKnown*tierEntryBytes], castagnoli))
	return b, nil
}

// tierWriters are in the order of the kinds.
var tierWriters = [tiersKnown]func([]byte, []Row) []byte{
	func(b []byte, rows []Row) []byte {
		for i := range rows {
			b = binary.LittleEndian.AppendUint64(b, rows[i].ID)
		}
		return b
	},
	func(b []byte, rows []Row) []byte {
		for i := range rows {
			for _, x := range rows[i].Vector {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
		}
		return b
	},
	func(b []byte, rows []Row) []byte {
		for i := range rows {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(rows[i].Inverse))
		}
		return b
	},
	textTier(func(b []byte, r *Row) []byte { return append(b, r.Key...) }),
	textTier(func(b []byte, r *Row) []byte { return append(b, r.Document...) }),
	textTier(func(b []byte, r *Row) []byte { return append(b, r.Metadata...) }),
	textTier(func(b []byte, r *Row) []byte { return appendSource(b, r.Source) }),
	func(b []byte, rows []Row) []byte {
		for i := range rows {
			b = binary.LittleEndian.AppendUint32(b, rows[i].Neighbourhood)
		}
		return b
	},
}

func textTier(write func([]byte, *Row) []byte) func([]byte, []Row) []byte {
	return func(b []byte, rows []Row) []byte {
		ends := len(b)
		b = append(b, make([]byte, 4*(len(rows)+1))...)
		begin := len(b)
		for i := range rows {
			b = write(b, &rows[i])
			binary.LittleEndian.PutUint32(b[ends+4*(i+1):], uint32(len(b)-begin))
		}
		return b
	}
}

// encodedBytes is the size of the block, or a little more.
func encodedBytes(rows []Row, dim int) int {
	n := blockFixed + tiersKnown*(tierEntryBytes+tierAlign+4)
	for i := range rows {
		n += 8 + 4*dim + 4 + 4*4 + 4 + len(rows[i].Key) + len(rows[i].Document) + len(rows[i].Metadata)
		if s := rows[i].Source; s != nil {
			n += sourceFixedBytes + len(s.Key)
		}
	}
	return n
}

func align(n int) int { return (n + tierAlign - 1) &^ (tierAlign - 1) }

func pad(b []byte) []byte { return append(b, make([]byte, align(len(b))-len(b))...) }
