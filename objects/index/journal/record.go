package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/zeebo/xxh3"
)

// A record is the payload of one record of a drive's journal class, whose
// identity is the epoch's id and 0. Little endian, version 1:
//
//	 0  4  magic "TJRN"                    32  8  first: sequence of the first entry;
//	 4  4  version                                of a mark: of the entry that comes next
//	 8  8  chain: xxh3-64 of [16,end)      40  8  acknowledged: entries through here
//	16  8  previous: the chain value              were durable when this was written
//	       of the record before            48  8  trimmed: entries through here are
//	24  8  epoch's number                         not needed any more
//	56  4  count of entries; 0: a mark     64  …  count × {4 bytes of length, the entry}
//	60  4  bytes of [64,end)
//
// The chain begins at the seed of the epoch's id and runs through the records
// with entries. A mark repeats the chain value in previous and does not prolong
// it: it only carries acknowledged and trimmed.
const (
	recordMagic       = "TJRN"
	recordVersion     = 1
	recordHeaderBytes = 64
	lengthBytes       = 4
)

// ErrRecord: bytes that are no record of a journal.
var ErrRecord = errors.New("journal: malformed record")

type header struct {
	chain, previous     uint64
	epoch               uint64
	first               uint64
	acknowledged        uint64
	trimmed             uint64
	count, contentBytes uint32
}

// last is the sequence of the record's last entry; first-1 for a mark.
func (h header) last() uint64 { return h.first + uint64(h.count) - 1 }

// after is the chain value that the record after this one names as previous.
func (h header) after() uint64 {
	if h.count == 0 {
		return h.previous
	}
	return h.chain
}

// seed is the chain value at which an epoch begins.
func seed(epochID [16]byte) uint64 { return xxh3.Hash(epochID[:]) }

// encodeRecord lays out a record and sets h's chain, count and contentBytes.
func encodeRecord(h *header, entries [][]byte) []byte {
	size := recordHeaderBytes
	for _, e := range entries {
		size += lengthBytes + len(e)
	}
	p := make([]byte, recordHeaderBytes, size)
	for _, e := range entries {
		p = binary.LittleEndian.AppendUint32(p, uint32(len(e)))
		p = append(p, e...)
	}
	h.count, h.contentBytes = uint32(len(entries)), uint32(size-recordHeaderBytes)
	copy(p, recordMagic)
	le := binary.LittleEndian
	le.PutUint32(p[4:], recordVersion)
	le.PutUint64(p[16:], h.previous)
	le.PutUint64(p[24:], h.epoch)
	le.PutUint64(p[32:], h.first)
	le.PutUint64(p[40:], h.acknowledged)
	le.PutUint64(p[48:], h.trimmed)
	le.PutUint32(p[56:], h.count)
	le.PutUint32(p[60:], h.contentBytes)
	h.chain = xxh3.Hash(p[16:])
	le.PutUint64(p[8:], h.chain)
	return p
}

// decodeRecord checks a record whole and returns its header. Its entries are
// then read by entriesOf.
func decodeRecord(p []byte) (header, error) {
	if len(p) < recordHeaderBytes || string(p[:4]) != recordMagic {
		return header{}, fmt.Errorf("%w: no magic", ErrRecord)
	}
	le := binary.LittleEndian
	if v := le.Uint32(p[4:]); v != recordVersion {
		return header{}, fmt.Errorf("%w: version %d, this program knows %d", ErrRecord, v, recordVersion)
	}
	h := header{
		chain: le.Uint64(p[8:]), previous: le.Uint64(p[16:]), epoch: le.Uint64(p[24:]), first: le.Uint64(p[32:]),
		acknowledged: le.Uint64(p[40:]), trimmed: le.Uint64(p[48:]), count: le.Uint32(p[56:]), contentBytes: le.Uint32(p[60:]),
	}
	if h.chain != xxh3.Hash(p[16:]) {
		return header{}, fmt.Errorf("%w: wrong checksum", ErrRecord)
	}
	return h, h.check(p[recordHeaderBytes:])
}

func (h header) check(content []byte) error {
	if h.first == 0 || h.last() < h.first-1 || uint64(h.contentBytes) != uint64(len(content)) {
		return fmt.Errorf("%w: impossible sequence or length", ErrRecord)
	}
	n := uint64(0)
	for rest := content; len(rest) > 0; n++ {
		if len(rest) < lengthBytes || uint64(binary.LittleEndian.Uint32(rest)) > uint64(len(rest)-lengthBytes) {
			return fmt.Errorf("%w: entry %d passes the end", ErrRecord, n)
		}
		rest = rest[lengthBytes+binary.LittleEndian.Uint32(rest):]
	}
	if n != uint64(h.count) {
		return fmt.Errorf("%w: %d entries, not %d", ErrRecord, n, h.count)
	}
	return nil
}

// entriesOf yields the entries of a record that decodeRecord accepted, with
// their sequences. They share p's memory.
func entriesOf(p []byte) iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		sequence := binary.LittleEndian.Uint64(p[32:])
		for rest := p[recordHeaderBytes:]; len(rest) > 0; sequence++ {
			end := lengthBytes + int(binary.LittleEndian.Uint32(rest))
			if !yield(sequence, rest[lengthBytes:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// cut is the number of leading entries that go into one record.
func cut(entries [][]byte) int {
	size := recordHeaderBytes
	for i, e := range entries {
		size += lengthBytes + len(e)
		if i > 0 && size > recordBytesMax {
			return i
		}
	}
	return len(entries)
}
