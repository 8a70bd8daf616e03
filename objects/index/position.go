package index

import (
	"encoding/binary"
	"errors"
)

// Position is an opaque place in the index's history: one log sequence a shard.
// It is a comparable value, safe to keep on disk. The zero value lies before
// everything.
//
// Its bytes, little endian, a record a shard in rising order of shard:
//
//	0  4  shard
//	4  8  sequence of the last entry covered
type Position string

const positionRecordBytes = 12

// ErrPosition: bytes that are no position.
var ErrPosition = errors.New("index: malformed position")

// At is the position just after sequence seq of one shard.
func At(shard uint32, seq uint64) Position {
	var b [positionRecordBytes]byte
	binary.LittleEndian.PutUint32(b[0:], shard)
	binary.LittleEndian.PutUint64(b[4:], seq)
	return Position(b[:])
}

// ParsePosition checks bytes that were kept or sent.
func ParsePosition(b []byte) (Position, error) {
	if len(b)%positionRecordBytes != 0 {
		return "", ErrPosition
	}
	for i := positionRecordBytes; i < len(b); i += positionRecordBytes {
		if binary.LittleEndian.Uint32(b[i:]) <= binary.LittleEndian.Uint32(b[i-positionRecordBytes:]) {
			return "", ErrPosition
		}
	}
	return Position(b), nil
}

// Sequence is the last covered sequence of a shard; 0 where there is none.
func (p Position) Sequence(shard uint32) uint64 {
	for i := 0; i+positionRecordBytes <= len(p); i += positionRecordBytes {
		if binary.LittleEndian.Uint32([]byte(p[i:i+4])) == shard {
			return binary.LittleEndian.Uint64([]byte(p[i+4 : i+12]))
		}
	}
	return 0
}

// Covers reports whether everything in q is in p too.
func (p Position) Covers(q Position) bool {
	for i := 0; i+positionRecordBytes <= len(q); i += positionRecordBytes {
		shard := binary.LittleEndian.Uint32([]byte(q[i : i+4]))
		if p.Sequence(shard) < q.Sequence(shard) {
			return false
		}
	}
	return true
}
