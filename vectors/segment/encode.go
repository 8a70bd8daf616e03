package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// A block, little endian, every tier on a multiple of 64 bytes:
//
//	0   4  magic "TVBK"
//	4   2  version: 1; 2 where it has cells; 3 where these have guests
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
//
// A block of a neighbourhood with a centroid is coded: it has these besides, and its tiers come in
// another order, 1 9 │ 10 11 3 4 5 7 8 │ 2 6, so that the front of it, up to either bar, can be read
// and kept alone (OpenPart). Each is relative to the centroid; see package quantize.
//
//	9   codes          chunks of 32 rows
//	10  bytes          [rows][width] int8
//	11  byte factors   [rows][2] float32: add, mul
//
// One whose rows come cell by cell has a further tier between 1 and 9; its codes and bytes are relative to
// the cells, and each cell begins a chunk of its own.
//
//	12  cell ends      [cells] uint32, rows to the end of each
//
// Cells may have guests: rows of other cells, of any block of the segment, whose codes, relative to the cell that has them as
// guests, come behind those of its own rows. The tier lies between 12 and 9.
//
//	13  guests         [cells] uint32, guests to the end of each; for each guest: uint32 neighbourhood,
//	                   uint32 cell in the low 6 bits, row of the block above
const (
	blockMagic     = "TVBK"
	blockVersion   = 1
	celledVersion  = 2
	hostVersion    = 3
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
	tierCodes
	tierWide
	tierWideFactors
	tierCellEnds
	tierGuests
)

// The order of tiers in a block, and how many of a coded block's lead.
var (
	plainTiers  = []tierKind{tierIDs, tierVectors, tierInverses, tierKeys, tierDocuments, tierMetadata, tierSources, tierNeighbourhoods}
	codedTiers  = []tierKind{tierIDs, tierCodes, tierWide, tierWideFactors, tierInverses, tierKeys, tierDocuments, tierSources, tierNeighbourhoods, tierVectors, tierMetadata}
	celledTiers = slices.Insert(slices.Clone(codedTiers), 1, tierCellEnds)
	hostTiers   = slices.Insert(slices.Clone(celledTiers), 2, tierGuests)
)

const (
	hotTiers  = 2 // of codedTiers: what is scanned
	coldTiers = 2 // the last of codedTiers: what does not rank, filter or name rows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeBlock writes rows, all of one dimension, as one block.
func EncodeBlock(rows []Row, dim int) ([]byte, error) {
	b, _, err := encodeBlock(rows, dim, plainTiers, nil)
	return b, err
}

// encodeBlock also returns where each tier ends.
func encodeBlock(rows []Row, dim int, order []tierKind, c *coded) (b []byte, ends []int, err error) {
	if len(rows) > RowsMax {
		return nil, nil, fmt.Errorf("encode a block of %d rows: more than %d", len(rows), RowsMax)
	}
	table := blockFixed + len(order)*tierEntryBytes
	b = make([]byte, align(table), encodedBytes(rows, dim)+c.bytes())
	for i, kind := range order {
		at := len(b)
		b = appendTier(b, kind, rows, c)
		entry := b[blockFixed+i*tierEntryBytes:]
		binary.LittleEndian.PutUint16(entry, uint16(kind))
		binary.LittleEndian.PutUint32(entry[4:], uint32(at))
		binary.LittleEndian.PutUint32(entry[8:], uint32(len(b)-at))
		binary.LittleEndian.PutUint32(entry[12:], crc32.Checksum(b[at:], castagnoli))
		b = pad(b)
		ends = append(ends, len(b))
	}
	if len(b) > BlockBytesMax {
		return nil, nil, fmt.Errorf("encode a block of %d bytes: more than %d", len(b), BlockBytesMax)
	}
	copy(b, blockMagic)
	binary.LittleEndian.PutUint16(b[4:], blockVersion)
	if c != nil && c.ends != nil {
		binary.LittleEndian.PutUint16(b[4:], celledVersion)
		if c.guests != nil {
			binary.LittleEndian.PutUint16(b[4:], hostVersion)
		}
	}
	binary.LittleEndian.PutUint16(b[6:], uint16(len(order)))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(rows)))
	binary.LittleEndian.PutUint32(b[12:], uint32(dim))
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:table], castagnoli))
	return b, ends, nil
}

func appendTier(b []byte, kind tierKind, rows []Row, c *coded) []byte {
	switch kind {
	case tierCodes:
		return append(b, c.chunks...)
	case tierWide:
		return append(b, c.wide...)
	case tierWideFactors:
		return appendFloats(b, c.factors)
	case tierCellEnds:
		for _, end := range c.ends {
			b = binary.LittleEndian.AppendUint32(b, end)
		}
		return b
	case tierGuests:
		return appendGuests(b, c.guests)
	case tierKeys:
		return appendTexts(b, rows, func(b []byte, r *Row) []byte { return append(b, r.Key...) })
	case tierDocuments:
		return appendTexts(b, rows, func(b []byte, r *Row) []byte { return append(b, r.Document...) })
	case tierMetadata:
		return appendTexts(b, rows, func(b []byte, r *Row) []byte { return append(b, r.Metadata...) })
	case tierSources:
		return appendTexts(b, rows, func(b []byte, r *Row) []byte { return appendSource(b, r.Source) })
	}
	for i := range rows {
		switch r := &rows[i]; kind {
		case tierIDs:
			b = binary.LittleEndian.AppendUint64(b, r.ID)
		case tierVectors:
			b = appendFloats(b, r.Vector)
		case tierInverses:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(r.Inverse))
		case tierNeighbourhoods:
			b = binary.LittleEndian.AppendUint32(b, r.Neighbourhood)
		}
	}
	return b
}

func appendFloats(b []byte, v []float32) []byte {
	at := len(b)
	b = append(b, make([]byte, 4*len(v))...)
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[at+4*i:], math.Float32bits(x))
	}
	return b
}

func appendTexts(b []byte, rows []Row, write func([]byte, *Row) []byte) []byte {
	ends := len(b)
	b = append(b, make([]byte, 4*(len(rows)+1))...)
	begin := len(b)
	for i := range rows {
		b = write(b, &rows[i])
		binary.LittleEndian.PutUint32(b[ends+4*(i+1):], uint32(len(b)-begin))
	}
	return b
}

// encodedBytes is the size of the block, or a little more.
func encodedBytes(rows []Row, dim int) int {
	n := blockFixed + len(hostTiers)*(tierEntryBytes+tierAlign+4)
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
