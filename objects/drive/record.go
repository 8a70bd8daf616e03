package drive

import (
	"encoding/binary"
	"fmt"
)

const (
	pieceBytes     = 64 << 10
	recordMagic    = "TREC"
	recordVersion  = 1
	headFixedBytes = 64
	headBytesMax   = SectorBytes // header and checksums of a record always fit one sector
)

// PayloadBytesMax limits one record's payload.
const PayloadBytesMax = 4<<20 + 64<<10

// head is a record's header.
type head struct {
	class        Class
	generation   uint32
	payloadBytes uint32
	sequence     uint64 // contiguous within an extent
	acknowledged uint64 // highest sequence of the class that was acknowledged when this was written
	identity     Identity
	payloadAt    uint16 // from the record's start
	sums         []byte // four bytes a piece
}

func pieces(payloadBytes int) int { return (payloadBytes + pieceBytes - 1) / pieceBytes }

// payloadStart places large payloads on a sector of their own, so that they can
// be written from where they lie.
func payloadStart(payloadBytes int) int {
	if payloadBytes >= pieceBytes {
		return SectorBytes
	}
	return headFixedBytes + 4*pieces(payloadBytes)
}

func sectorsOf(n int64) int64 { return (n + SectorBytes - 1) / SectorBytes * SectorBytes }

// recordBytes is the room that a new record takes in its extent.
func recordBytes(payloadBytes int) int64 {
	return sectorsOf(int64(payloadStart(payloadBytes)) + int64(payloadBytes))
}

func (h *head) bytes() int64 { return sectorsOf(int64(h.payloadAt) + int64(h.payloadBytes)) }

// appendHead appends the header of a record that lies at p, and zeros up to its
// payload. Little endian:
//
//	 0  4  magic "TREC"             32 16  identity: stripe
//	 4  1  version 1                48  1  identity: shard
//	 5  1  class                    49  1  zero
//	 6  2  flags, zero              50  2  payload's offset from the record's start
//	 8  4  generation               52  8  zero
//	12  4  payload bytes            60  4  CRC-32C of [0,60) and of the pieces' checksums, piece 0xffffffff
//	16  8  sequence                 64  4  CRC-32C of every 64 KiB of the payload, pieces 0, 1, …
//	24  8  acknowledged sequence
//
// All checksums begin with the record's place (see place.sum).
func appendHead(b []byte, p place, h head, payload []byte) []byte {
	from := len(b)
	b = append(b, make([]byte, payloadStart(len(payload)))...)
	o := b[from:]
	copy(o, recordMagic)
	o[4], o[5] = recordVersion, byte(h.class)
	binary.LittleEndian.PutUint32(o[8:], p.generation)
	binary.LittleEndian.PutUint32(o[12:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(o[16:], h.sequence)
	binary.LittleEndian.PutUint64(o[24:], h.acknowledged)
	copy(o[32:], h.identity.Stripe[:])
	o[48] = h.identity.Shard
	binary.LittleEndian.PutUint16(o[50:], uint16(len(o)))
	n := pieces(len(payload))
	for i := range n {
		piece := payload[i*pieceBytes : min((i+1)*pieceBytes, len(payload))]
		binary.LittleEndian.PutUint32(o[headFixedBytes+4*i:], p.sum(uint32(i), piece))
	}
	binary.LittleEndian.PutUint32(o[60:], p.sum(pieceOfHeader, o[:60], o[headFixedBytes:headFixedBytes+4*n]))
	return b
}

// looksLikeHead is the cheap first test of a decoder that searches.
func looksLikeHead(b []byte) bool {
	return len(b) >= headFixedBytes && string(b[:4]) == recordMagic
}

// decodeHead reads the header of a record that lies at p. b may reach beyond it.
// The sums stay part of b.
func decodeHead(b []byte, p place) (head, error) {
	if !looksLikeHead(b) {
		return head{}, fmt.Errorf("no record here: %w", ErrCorrupt)
	}
	h := head{
		class:        Class(b[5]),
		generation:   binary.LittleEndian.Uint32(b[8:]),
		payloadBytes: binary.LittleEndian.Uint32(b[12:]),
		sequence:     binary.LittleEndian.Uint64(b[16:]),
		acknowledged: binary.LittleEndian.Uint64(b[24:]),
		payloadAt:    binary.LittleEndian.Uint16(b[50:]),
	}
	if b[4] != recordVersion || h.payloadBytes == 0 || h.payloadBytes > PayloadBytesMax {
		return head{}, fmt.Errorf("record's version or length: %w", ErrCorrupt)
	}
	end := headFixedBytes + 4*pieces(int(h.payloadBytes))
	if len(b) < end || int(h.payloadAt) < end || h.payloadAt > headBytesMax {
		return head{}, fmt.Errorf("record's header is cut: %w", ErrCorrupt)
	}
	h.sums = b[headFixedBytes:end]
	copy(h.identity.Stripe[:], b[32:])
	h.identity.Shard = b[48]
	if binary.LittleEndian.Uint32(b[60:]) != p.sum(pieceOfHeader, b[:60], h.sums) {
		return head{}, fmt.Errorf("record's header checksum: %w", ErrCorrupt)
	}
	return h, nil
}

// verify checks whole pieces of the payload, of which data begins with the given one.
func (h *head) verify(p place, first int, data []byte) error {
	for i := first; len(data) > 0; i++ {
		n := min(len(data), pieceBytes)
		if binary.LittleEndian.Uint32(h.sums[4*i:]) != p.sum(uint32(i), data[:n]) {
			return fmt.Errorf("checksum of piece %d: %w", i, ErrCorrupt)
		}
		data = data[n:]
	}
	return nil
}
