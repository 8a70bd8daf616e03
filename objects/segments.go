package objects

import (
	"encoding/binary"
)

// segments say where the bytes of an object lie whose stripe list is not in its
// own entry: in the parts of the upload that made it, or in pieces of its
// stripe list. Either lies under keys of its own, so that neither completing
// nor replacing an object of 10,000 parts moves a list.
//
//	kind  1   0 none, 'p' parts, 'x' pieces
//	id    16  upload, or object version
//	runs      uvarint, then for each: uvarint gap to the number after the last one,
//	          uvarint count, uvarint bytes of each
type segments struct {
	kind Kind // 0: none
	id   VersionID
	runs []run
}

// run is consecutively numbered segments of one size.
type run struct {
	first, count int
	bytes        int64
}

// segmentsMax bounds the segments of one object.
const segmentsMax = PartsMax

// add appends a segment; its number is above the last one's.
func (s *segments) add(number int, bytes int64) {
	if n := len(s.runs); n > 0 {
		last := &s.runs[n-1]
		if last.first+last.count == number && last.bytes == bytes {
			last.count++
			return
		}
	}
	s.runs = append(s.runs, run{first: number, count: 1, bytes: bytes})
}

// sizes lists the bytes of every segment.
func (s *segments) sizes() []int64 {
	var all []int64
	for _, r := range s.runs {
		for range r.count {
			all = append(all, r.bytes)
		}
	}
	return all
}

// numbers lists the number of every segment.
func (s *segments) numbers() []int {
	var all []int
	for _, r := range s.runs {
		for i := range r.count {
			all = append(all, r.first+i)
		}
	}
	return all
}

// find leads from an offset in the object to a segment, the offset at which it
// begins, and its size.
func (s *segments) find(off int64) (number int, begin, bytes int64, ok bool) {
	for _, r := range s.runs {
		if total := r.bytes * int64(r.count); off >= begin+total {
			begin += total
			continue
		}
		i := (off - begin) / r.bytes
		return r.first + int(i), begin + i*r.bytes, r.bytes, true
	}
	return 0, 0, 0, false
}

func (s *segments) append(b []byte) []byte {
	b = append(b, byte(s.kind))
	if s.kind == 0 {
		return b
	}
	b = append(b, s.id[:]...)
	b = binary.AppendUvarint(b, uint64(len(s.runs)))
	next := 1
	for _, r := range s.runs {
		b = binary.AppendUvarint(b, uint64(r.first-next))
		b = binary.AppendUvarint(b, uint64(r.count))
		b = binary.AppendUvarint(b, uint64(r.bytes))
		next = r.first + r.count
	}
	return b
}

// segments reads what append wrote, for an object of total bytes.
func (f *fields) segments(total int64) (s segments) {
	switch s.kind = Kind(f.byte()); s.kind {
	case 0:
		return s
	case KindPart, KindPiece:
	default:
		f.fail("segments of kind %d", s.kind)
	}
	s.id = f.id()
	next, left := 1, total
	for n := int(f.uvarint(segmentsMax)); n > 0 && f.err == nil; n-- {
		r := f.run(next, left)
		s.runs = append(s.runs, r)
		next, left = r.first+r.count, left-int64(r.count)*r.bytes
	}
	if f.err == nil && left != 0 {
		f.fail("segments miss %d of %d bytes", left, total)
	}
	return s
}

// run reads one run that begins at number next or above and has at most left bytes.
func (f *fields) run(next int, left int64) run {
	r := run{
		first: next + int(f.uvarint(segmentsMax)),
		count: int(f.uvarint(segmentsMax)),
		bytes: int64(f.uvarint(ObjectBytesMax)),
	}
	switch {
	case f.err != nil:
	case r.count == 0 || r.first+r.count-1 > segmentsMax:
		f.fail("segments beyond number %d", segmentsMax)
	case r.bytes*int64(r.count) > left:
		f.fail("segments have more bytes than the object")
	}
	return r
}
