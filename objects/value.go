package objects

import (
	"encoding/binary"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
)

// Every value of the index is an envelope, so that repair, sweep and audit find
// and swap every shard without knowing whose value it is. Numbers are uvarints in
// their shortest form:
//
//	0  1  version: 2 where a blob is packed, else 1
//	1  …  count of blobs, the blobs; the owner's payload to the end
//
// A blob of version 1:
//
//	bytes, count of stripes; without stripes: the bytes themselves, else the stripes
//
// A blob of version 2:
//
//	bytes, form; 0: the bytes themselves; 1: where it is packed; n: n-1 stripes
//
// Where a blob is packed:
//
//	 0  16  id of the stripe
//	16   1  number of the shard
//	17   4  CRC-32C of the blob, little endian
//	21   …  offset in the shard; a shard: where that lay when the blob was packed
//
// A stripe:
//
//	 0  16  id
//	16   1  K
//	17   1  M
//	18   …  bytes, then K+M shards: drive; extent; unless extent is 0: generation, sector
const (
	valueVersion   = 1
	valuePacked    = 2                // version of a value with a packed blob
	blobBytesLeast = 2                // of an encoded blob
	stripeLeast    = 16 + 2 + 1 + 2*1 // of an encoded stripe
	valueBytesMax  = 8 << 20          // above any value of the index, and any root
	blobBytesMax   = ObjectBytesMax
)

// EncodeValue wraps blobs and their owner's payload into a value of the index.
func EncodeValue(blobs []Blob, payload []byte) []byte {
	b := make([]byte, 0, 64+64*len(blobs)+len(payload))
	version := byte(valueVersion)
	if anyPacked(blobs) {
		version = valuePacked
	}
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(len(blobs)))
	for i := range blobs {
		b = appendBlob(b, &blobs[i], version)
	}
	return append(b, payload...)
}

func anyPacked(blobs []Blob) bool {
	for i := range blobs {
		if blobs[i].Packed != nil {
			return true
		}
	}
	return false
}

func appendBlob(b []byte, blob *Blob, version byte) []byte {
	b = binary.AppendUvarint(b, uint64(blob.Bytes))
	form := uint64(len(blob.Stripes))
	switch {
	case blob.Packed != nil:
		return appendPacked(binary.AppendUvarint(b, formPacked), blob.Packed)
	case version == valuePacked && form > 0:
		form++
	}
	b = binary.AppendUvarint(b, form)
	if len(blob.Stripes) == 0 {
		return append(b, blob.Inline...)
	}
	for i := range blob.Stripes {
		b = appendStripe(b, &blob.Stripes[i])
	}
	return b
}

// formPacked is the form of a packed blob of version 2.
const formPacked = 1

func appendPacked(b []byte, p *Packed) []byte {
	b = append(b, p.Stripe[:]...)
	b = append(b, p.Shard)
	b = binary.LittleEndian.AppendUint32(b, p.CRC)
	b = binary.AppendUvarint(b, uint64(p.Offset))
	return appendShard(b, p.Hint)
}

func appendStripe(b []byte, s *Stripe) []byte {
	b = append(b, s.ID[:]...)
	b = append(b, s.K, s.M)
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	for _, sh := range s.Shards {
		b = appendShard(b, sh)
	}
	return b
}

func appendShard(b []byte, sh Shard) []byte {
	b = binary.AppendUvarint(b, uint64(sh.Drive))
	b = binary.AppendUvarint(b, uint64(sh.Address.Extent))
	if !sh.Address.IsZero() {
		b = binary.AppendUvarint(b, uint64(sh.Address.Generation))
		b = binary.AppendUvarint(b, uint64(sh.Address.Sector))
	}
	return b
}

// DecodeValue undoes EncodeValue. Inline bytes and payload share v's memory. A
// value that does not decode is ErrCorruptIndexItem.
func DecodeValue(v []byte) (blobs []Blob, payload []byte, err error) {
	if len(v) == 0 || len(v) > valueBytesMax {
		return nil, nil, fmt.Errorf("%w: envelope of %d bytes", ErrCorruptIndexItem, len(v))
	}
	if v[0] != valueVersion && v[0] != valuePacked {
		return nil, nil, fmt.Errorf("%w: envelope of version %d, this release knows %d and %d", ErrCorruptIndexItem, v[0], valueVersion, valuePacked)
	}
	e := envelope{rest: v[1:], version: v[0]}
	n := e.count(blobBytesLeast)
	if n > 0 {
		blobs = make([]Blob, n)
	}
	for i := range blobs {
		e.blob(&blobs[i])
	}
	if e.version == valuePacked && e.err == nil && !anyPacked(blobs) {
		e.fail("version %d, and no blob is packed", e.version)
	}
	if e.err != nil {
		return nil, nil, fmt.Errorf("%w: envelope: %w", ErrCorruptIndexItem, e.err)
	}
	return blobs, e.rest, nil
}

// envelope takes pieces off its front. After the first error all are empty.
type envelope struct {
	rest    []byte
	version byte
	err     error
}

func (e *envelope) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
	e.rest = nil
}

func (e *envelope) take(n int) []byte {
	if n < 0 || n > len(e.rest) {
		e.fail("ends early")
		return nil
	}
	p := e.rest[:n:n]
	e.rest = e.rest[n:]
	return p
}

func (e *envelope) byte() byte {
	if p := e.take(1); p != nil {
		return p[0]
	}
	return 0
}

// number is a uvarint of at most most, in its shortest form.
func (e *envelope) number(most uint64) uint64 {
	v, n := binary.Uvarint(e.rest)
	if n <= 0 || v > most || n > 1 && e.rest[n-1] == 0 {
		e.fail("a number is cut short, too long, or above %d", most)
		return 0
	}
	e.rest = e.rest[n:]
	return v
}

// count is a number of things of which each takes least bytes.
func (e *envelope) count(least int) int {
	return int(e.number(uint64(len(e.rest) / least)))
}

func (e *envelope) blob(b *Blob) {
	b.Bytes = int64(e.number(blobBytesMax))
	stripes, packed := e.form()
	if packed {
		e.packed(b)
		return
	}
	if stripes == 0 && b.Bytes > InlineBytesMax {
		e.fail("%d bytes inline, at most %d", b.Bytes, InlineBytesMax)
	}
	if e.err != nil {
		return
	}
	if stripes == 0 {
		b.Inline = e.take(int(b.Bytes))
		return
	}
	b.Stripes = make([]Stripe, stripes)
	for i := range b.Stripes {
		e.stripe(&b.Stripes[i])
	}
	if e.err == nil {
		if err := b.check(); err != nil {
			e.fail("%w", err)
		}
	}
}

// form is the count of a blob's stripes, or that it is packed.
func (e *envelope) form() (stripes int, packed bool) {
	if e.version == valueVersion {
		return e.count(stripeLeast), false
	}
	n := int(e.number(uint64(len(e.rest)/stripeLeast) + 1))
	return max(n-1, 0), n == formPacked
}

func (e *envelope) packed(b *Blob) {
	p := &Packed{}
	copy(p.Stripe[:], e.take(len(p.Stripe)))
	p.Shard = e.byte()
	if sum := e.take(4); sum != nil {
		p.CRC = binary.LittleEndian.Uint32(sum)
	}
	p.Offset = uint32(e.number(ShardBytesMax))
	e.shard(&p.Hint)
	if e.err != nil {
		return
	}
	if b.Packed = p; b.check() != nil {
		e.fail("%w", b.check())
	}
}

func (e *envelope) stripe(s *Stripe) {
	copy(s.ID[:], e.take(len(s.ID)))
	s.K, s.M = e.byte(), e.byte()
	s.Bytes = uint32(e.number(ShardsMax * ShardBytesMax))
	n := int(s.K) + int(s.M)
	if s.K == 0 || n > ShardsMax {
		e.fail("stripe of %d+%d shards", s.K, s.M)
	}
	if e.err != nil {
		return
	}
	s.Shards = make([]Shard, n)
	for i := range s.Shards {
		e.shard(&s.Shards[i])
	}
}

func (e *envelope) shard(sh *Shard) {
	const most16, most32 = 1<<16 - 1, 1<<32 - 1
	sh.Drive = uint16(e.number(most16))
	extent := uint32(e.number(most32))
	if extent == 0 {
		return
	}
	sh.Address = drive.Address{
		Extent:     extent,
		Generation: uint32(e.number(most32)),
		Sector:     uint32(e.number(most32)),
	}
}
