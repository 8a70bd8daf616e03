package tables

import (
	"encoding/binary"
	"fmt"
)

// EncodeDetail is what a File's index entry keeps beside the blob and the ids, in
// uvarints:
//
//	format (1), dimension, rows, count of pages; then for each page its first row
//	and its offset, both as differences from the page before
func (f *File) EncodeDetail() []byte {
	b := binary.AppendUvarint(nil, detailFormat)
	b = binary.AppendUvarint(b, uint64(f.Dimension))
	b = binary.AppendUvarint(b, uint64(f.Rows))
	b = binary.AppendUvarint(b, uint64(len(f.Pages)))
	var last Page
	for _, p := range f.Pages {
		b = binary.AppendUvarint(b, uint64(p.FirstRow-last.FirstRow))
		b = binary.AppendUvarint(b, uint64(p.Offset-last.Offset))
		last = p
	}
	return b
}

const detailFormat = 1

// DecodeDetail fills a File whose Blob is known from what EncodeDetail wrote.
func (f *File) DecodeDetail(b []byte) error {
	var head [4]uint64
	for i := range head {
		var err error
		if head[i], b, err = uvarint(b); err != nil {
			return err
		}
	}
	switch {
	case head[0] != detailFormat:
		return fmt.Errorf("%w: detail of format %d", ErrCorrupt, head[0])
	case head[1] < 1 || head[1] > DimensionMax || head[2] < 1 || head[2] > FileRowsMax:
		return fmt.Errorf("%w: %d rows of dimension %d", ErrCorrupt, head[2], head[1])
	case head[3] > uint64(len(b)):
		return fmt.Errorf("%w: %d pages in %d bytes", ErrCorrupt, head[3], len(b))
	}
	f.Dimension, f.Rows = int(head[1]), int(head[2])
	f.Pages = make([]Page, 0, head[3])
	var last Page
	for range head[3] {
		row, rest, err := uvarint(b)
		if err != nil {
			return err
		}
		off, rest, err := uvarint(rest)
		if err != nil {
			return err
		}
		if row > FileRowsMax || off > uint64(f.Blob.Bytes) {
			return fmt.Errorf("%w: a page lies outside the file", ErrCorrupt)
		}
		b = rest
		last = Page{FirstRow: last.FirstRow + int(row), Offset: last.Offset + int64(off)}
		f.Pages = append(f.Pages, last)
	}
	if len(b) != 0 {
		return fmt.Errorf("%w: %d bytes after the detail", ErrCorrupt, len(b))
	}
	return checkPages(f.Pages, f.Rows, f.Dimension, f.Blob.Bytes)
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: the detail ends early", ErrCorrupt)
	}
	return v, b[n:], nil
}
