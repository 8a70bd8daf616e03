package drive

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// span is a range of a record's payload with the rest of the pieces that it touches, which is
// what can be verified.
type span struct {
	p     []byte // wanted
	off   int64  // of p in the payload
	start int64  // of bytes in the payload: where a piece begins
	bytes []byte // whole pieces, but for the payload's end; p itself where p is that
	got   int    // of bytes
	room  *[]byte
}

// spanBuffers hold the pieces of ranges that do not begin and end with them.
var spanBuffers = sync.Pool{New: func() any { return new([]byte) }}

// spanPooled bounds what is kept for reuse.
const spanPooled = 1 << 20

func newSpan(p []byte, off int64) span {
	start := off / pieceBytes * pieceBytes
	end := min((off+int64(len(p))+pieceBytes-1)/pieceBytes*pieceBytes, PayloadBytesMax)
	if off == 0 || off == start && end == off+int64(len(p)) { // from 0 on: most often all of the payload
		return span{p: p, off: off, start: start, bytes: p}
	}
	room := spanBuffers.Get().(*[]byte)
	if n := int(end - start); cap(*room) < n {
		*room = make([]byte, n)
	}
	return span{p: p, off: off, start: start, bytes: (*room)[:max(end-start, 0)], room: room}
}

func (s *span) release() {
	if s.room != nil && cap(*s.room) <= spanPooled {
		spanBuffers.Put(s.room)
	}
}

// read reads what there is; payloadAt is where the payload begins in the file.
func (s *span) read(file io.ReaderAt, payloadAt int64) error {
	n, err := file.ReadAt(s.bytes, payloadAt+s.start)
	s.got = n
	if errors.Is(err, io.EOF) {
		return nil // the payload may end before the last piece does
	}
	return err
}

// fits reports whether what was read ends with a piece, or with the payload.
func (s *span) fits(payload int64) bool {
	end := s.start + int64(len(s.bytes))
	return end%pieceBytes == 0 || end >= payload
}

// take verifies what was read and fills p. The header was checked.
func (s *span) take(r *recordReader) error {
	b := s.bytes[:min(int64(len(s.bytes)), int64(r.head.payloadBytes)-s.start)]
	if s.got < len(b) {
		return fmt.Errorf("the file ends within the record: %w", ErrCorrupt)
	}
	if err := r.head.verify(r.place, int(s.start/pieceBytes), b); err != nil {
		return err
	}
	if s.room != nil {
		copy(s.p, b[s.off-s.start:])
	}
	return nil
}
