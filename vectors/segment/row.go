package segment

import (
	"encoding/binary"
	"errors"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/filter"
)

// Row is one vector with all that belongs to it. A row that came from a Block
// shares the block's memory.
type Row struct {
	ID            uint64 // unique in its index for ever
	Key           string
	Vector        []float32
	Inverse       float32 // distance.Inverse of Vector
	Document      filter.Document
	Metadata      []byte  // JSON object, or nil
	Source        *Source // nil: none
	Neighbourhood uint32  // given when it was written; 0: none
}

// Source is the object version, and the bytes in it, that a vector describes.
type Source struct {
	Key     string
	Version objects.VersionID
	Offset  int64
	Length  int64 // 0: to the end
}

// ErrCorrupt: bytes that are no whole block or segment.
var ErrCorrupt = errors.New("segment: corrupt")

// ErrVersion: a format that this release does not know.
var ErrVersion = errors.New("segment: unknown format version")

// sourceFixedBytes precede the key of an encoded source:
//
//	0  16  object version
//	16  8  offset in bytes
//	24  8  length in bytes
//	32  …  object key
const sourceFixedBytes = 32

func appendSource(b []byte, s *Source) []byte {
	if s == nil {
		return b
	}
	b = append(b, s.Version[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Offset))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Length))
	return append(b, s.Key...)
}

func parseSource(b []byte) *Source {
	if len(b) < sourceFixedBytes {
		return nil
	}
	s := &Source{Key: string(b[sourceFixedBytes:])}
	copy(s.Version[:], b)
	s.Offset = int64(binary.LittleEndian.Uint64(b[16:]))
	s.Length = int64(binary.LittleEndian.Uint64(b[24:]))
	return s
}
