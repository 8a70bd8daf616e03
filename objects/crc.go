package objects

import (
	"encoding/binary"
	"hash/crc32"
)

// A CRC of a whole is computed from those of its parts without their bytes:
// appending n bytes multiplies the checksum so far by x^8n in GF(2)[x] modulo
// the polynomial. All are reflected: the highest bit is x^0.
type crcField struct {
	bits uint
	poly uint64
}

var crcFields = map[string]crcField{
	CRC32:     {32, crc32.IEEE},
	CRC32C:    {32, crc32.Castagnoli},
	CRC64NVME: {64, nvmePolynomial},
}

func (f crcField) one() uint64 { return 1 << (f.bits - 1) }

func (f crcField) multiply(a, b uint64) uint64 {
	var product uint64
	for m := f.one(); m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		odd := b & 1
		b >>= 1
		if odd != 0 {
			b ^= f.poly
		}
	}
	return product
}

// power is x^8n.
func (f crcField) power(n int64) uint64 {
	square, result := f.one()>>8, f.one()
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = f.multiply(result, square)
		}
		square = f.multiply(square, square)
	}
	return result
}

// combine is the CRC of a followed by b, which has n bytes.
func (f crcField) combine(a, b uint64, n int64) uint64 {
	return f.multiply(f.power(n), a) ^ b
}

// combineCRC is the named checksum of parts laid end to end; nil where the
// algorithm cannot do so.
func combineCRC(name string, parts []Checksums, sizes []int64) []byte {
	f, ok := crcFields[name]
	if !ok {
		return nil
	}
	var sum uint64
	for i := range parts {
		sum = f.combine(sum, f.parse(parts[i].Get(name)), sizes[i])
	}
	if f.bits == 32 {
		return binary.BigEndian.AppendUint32(nil, uint32(sum))
	}
	return binary.BigEndian.AppendUint64(nil, sum)
}

func (f crcField) parse(b []byte) uint64 {
	if f.bits == 32 {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}
