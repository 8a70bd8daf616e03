package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/tarnlake/tarn/objects/index"
)

// segmentedBody reads an object whose stripe list lies under keys of its own.
type segmentedBody struct {
	store    *Store
	bucket   string
	segments segments
}

// loadBytesMax bounds the stripe lists that a reader holds: at 4+2, those of
// some 150 GiB. They are loaded in one scan, and a reader that has them reads
// on although the object was replaced meanwhile: a sweep waits for it.
const loadBytesMax = 4 << 20

func (b *segmentedBody) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	r := b.NewReader(ctx, off, int64(len(p)))
	defer r.Close()
	return io.ReadFull(r, p)
}

func (b *segmentedBody) NewReader(ctx context.Context, off, n int64) io.ReadCloser {
	return &segmentReader{ctx: ctx, body: b, ticket: b.store.reads.enter(), off: off, end: off + n}
}

// segmentReader reads segment after segment.
type segmentReader struct {
	ctx      context.Context // of the read as a whole, as an io.Reader takes none
	body     *segmentedBody
	ticket   uint64 // keeps what blobs name from being swept
	closed   bool
	off, end int64
	blobs    []numberedBlob // loaded and not yet used
	current  io.ReadCloser
}

type numberedBlob struct {
	number int
	blob   Blob
}

// Read implements io.Reader.
func (r *segmentReader) Read(p []byte) (int, error) {
	for {
		if r.off >= r.end {
			return 0, io.EOF
		}
		if r.current == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.current.Read(p)
		r.off += int64(n)
		if err == io.EOF {
			r.current.Close()
			r.current, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close implements io.Closer.
func (r *segmentReader) Close() error {
	r.blobs, r.off = nil, r.end
	if !r.closed {
		r.body.store.reads.leave(r.ticket)
		r.closed = true
	}
	if r.current == nil {
		return nil
	}
	c := r.current
	r.current = nil
	return c.Close()
}

// next opens the segment in which r.off lies.
func (r *segmentReader) next() error {
	if !r.body.store.reads.good(r.ticket) {
		return ErrReadTooLong
	}
	number, begin, bytes, ok := r.body.segments.find(r.off)
	if !ok {
		return fmt.Errorf("%w: no segment has byte %d", ErrCorruptIndexItem, r.off)
	}
	blob, err := r.blob(number)
	if err != nil {
		return err
	}
	if blob.Bytes != bytes {
		return fmt.Errorf("%w: segment %d has %d bytes, not %d", ErrCorruptIndexItem, number, blob.Bytes, bytes)
	}
	n := min(bytes, r.end-begin) - (r.off - begin)
	owner := segmentKey(r.body.bucket, r.body.segments.kind, r.body.segments.id, number)
	r.current = &exactReader{ReadCloser: r.body.store.openBlob(blob, owner).NewReader(r.ctx, r.off-begin, n), left: n}
	return nil
}

func (r *segmentReader) blob(number int) (Blob, error) {
	for len(r.blobs) > 0 && r.blobs[0].number < number {
		r.blobs = r.blobs[1:]
	}
	if len(r.blobs) == 0 {
		if err := r.load(number); err != nil {
			return Blob{}, err
		}
	}
	if len(r.blobs) == 0 || r.blobs[0].number != number {
		return Blob{}, fmt.Errorf("%w: the object was replaced while it was read", ErrConflict)
	}
	return r.blobs[0].blob, nil
}

// load scans the stripe lists from a segment on, as far as the read goes.
func (r *segmentReader) load(number int) error {
	last, _, _, _ := r.body.segments.find(r.end - 1)
	b, s := r.body, r.body.segments
	lo, hi := segmentKey(b.bucket, s.kind, s.id, number), segmentKey(b.bucket, s.kind, s.id, last+1)
	held := 0
	for item, err := range b.store.Index().Scan(r.ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("look up the object's segments: %w", err)
		}
		loaded, err := decodeSegment(item, len(lo)-segmentDigits)
		if err != nil {
			return err
		}
		r.blobs = append(r.blobs, loaded)
		if held += len(item.Value); held > loadBytesMax {
			break
		}
	}
	return nil
}

// decodeSegment reads an entry below a segmentsPrefix of that many bytes.
func decodeSegment(item index.Item, prefix int) (numberedBlob, error) {
	number, err := parseSegmentNumber(item.Key, prefix)
	if err != nil {
		return numberedBlob{}, err
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		return numberedBlob{}, fmt.Errorf("segment %d: %w", number, err)
	}
	if len(blobs) != 1 {
		return numberedBlob{}, fmt.Errorf("%w: segment %d has %d blobs", ErrCorruptIndexItem, number, len(blobs))
	}
	blobs[0].Inline = bytes.Clone(blobs[0].Inline) // the item lives until the scan's next step
	return numberedBlob{number, blobs[0]}, nil
}

// exactReader turns an early end into an error.
type exactReader struct {
	io.ReadCloser
	left int64
}

func (r *exactReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
