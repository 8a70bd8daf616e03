package segment

import (
	"encoding/binary"
	"hash/crc32"
)

func putSum(b []byte, at int, sum uint32) { binary.LittleEndian.PutUint32(b[at:], sum) }

// putSums sets the checksums of n tiers and of the header.
func putSums(b []byte, n, table int) {
	for i := range n {
		e := b[blockFixed+i*tierEntryBytes:]
		off, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
		if off+size <= uint64(len(b)) {
			putSum(e, 12, crc32.Checksum(b[off:off+size], castagnoli))
		}
	}
	putSum(b, 20, headerSum(b[:table]))
}
