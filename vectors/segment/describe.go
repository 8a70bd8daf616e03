package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// describedMax bounds the neighbourhoods that Describe lists.
const describedMax = 1000

// Describe tells in lines what lies in the first bytes of a segment, or in those of a block: header, directory,
// and the tiers of the first block, as far as the bytes reach. It is nil for anything else.
func Describe(b []byte) []string {
	switch {
	case len(b) >= segmentFixed && string(b[:4]) == segmentMagic:
		return describeSegment(b)
	case len(b) >= blockFixed && string(b[:4]) == blockMagic:
		return describeBlock(b)
	}
	return nil
}

func describeSegment(b []byte) []string {
	version, n := binary.LittleEndian.Uint16(b[4:]), int(binary.LittleEndian.Uint32(b[20:]))
	sequence, size := binary.LittleEndian.Uint64(b[8:]), entryBytes
	lines := []string{fmt.Sprintf("segment version %d, sequence %d, dimension %d, %d neighbourhoods", version, sequence, binary.LittleEndian.Uint32(b[16:]), n)}
	if version == 1 {
		size = entryBytesV1
	}
	if version < 1 || version > segmentVersion || n > BlocksMax {
		return append(lines, "of a form that this release does not know")
	}
	head := align(segmentFixed + size*n)
	if head > len(b) {
		return append(lines, fmt.Sprintf("its directory of %d bytes goes on elsewhere", head))
	}
	if directorySum(b[:head]) != binary.LittleEndian.Uint32(b[24:]) {
		lines = append(lines, "the checksum of its directory is wrong")
	}
	for i := range min(n, describedMax) {
		e := parseEntry(b[segmentFixed+i*size:][:size])
		lines = append(lines, fmt.Sprintf("neighbourhood %d: %d rows in %d bytes at %d; scanned %d, to rank and name rows %d", e.Neighbourhood, e.Rows, e.Bytes, e.Offset, e.Hot, e.Warm))
	}
	if n > describedMax {
		lines = append(lines, fmt.Sprintf("and %d more", n-describedMax))
	}
	if n > 0 && len(b) >= head+blockFixed {
		lines = append(lines, describeBlock(b[head:])...)
	}
	return lines
}

// tierNames are for people.
var tierNames = map[tierKind]string{
	tierIDs: "ids", tierVectors: "vectors", tierInverses: "inverse lengths", tierKeys: "keys", tierDocuments: "filterable metadata", tierMetadata: "metadata",
	tierSources: "sources", tierNeighbourhoods: "neighbourhoods", tierCodes: "codes", tierWide: "bytes", tierWideFactors: "factors of bytes", tierCellEnds: "ends of cells", tierGuests: "guests of cells",
}

func describeBlock(b []byte) []string {
	if string(b[:4]) != blockMagic {
		return []string{"no block lies where the first should"}
	}
	n := int(binary.LittleEndian.Uint16(b[6:]))
	lines := []string{fmt.Sprintf("block version %d, %d rows of dimension %d, %d tiers, %d bytes", binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]), n, binary.LittleEndian.Uint32(b[16:]))}
	table := blockFixed + n*tierEntryBytes
	if table > len(b) {
		return append(lines, "its table of tiers goes on elsewhere")
	}
	if headerSum(b[:table]) != binary.LittleEndian.Uint32(b[20:]) {
		lines = append(lines, "the checksum of its header is wrong")
	}
	for i := range n {
		lines = append(lines, describeTier(b, b[blockFixed+i*tierEntryBytes:]))
	}
	return slices.Clip(lines)
}

func describeTier(b, e []byte) string {
	kind := tierKind(binary.LittleEndian.Uint16(e))
	at, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
	name, state := tierNames[kind], "sound"
	if name == "" {
		name = "of a later release"
	}
	switch {
	case at+size > uint64(len(b)):
		state = "goes on elsewhere"
	case crc32.Checksum(b[at:at+size], castagnoli) != binary.LittleEndian.Uint32(e[12:]):
		state = "wrong checksum"
	}
	return fmt.Sprintf("tier %d, %s: %d bytes at %d, %s", kind, name, size, at, state)
}
