package objects

import (
	"context"
	"fmt"
	"io"
)

// Head describes an object. ErrNoObject, ErrNoBucket.
func (s *Store) Head(ctx context.Context, bucket, key string) (Object, error) {
	p, err := s.mustBePresent(ctx, bucket, key)
	if err != nil {
		return Object{}, err
	}
	return p.record.object(bucket, key, p.revision), nil
}

func (s *Store) mustBePresent(ctx context.Context, bucket, key string) (*present, error) {
	if err := checkPlace(bucket, key); err != nil {
		return nil, err
	}
	p, err := s.present(ctx, bucket, key)
	if err != nil || p != nil {
		return p, err
	}
	if _, err := s.Bucket(ctx, bucket); err != nil {
		return nil, err
	}
	return nil, noObject(bucket, key)
}

// Body is bytes at rest that can be read from anywhere.
type Body interface {
	// ReadAt fills p from offset off; fewer bytes come with an error.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	// NewReader reads the n bytes from off.
	NewReader(ctx context.Context, off, n int64) io.ReadCloser
}

// ObjectReader reads one version of an object, whatever becomes of its key.
type ObjectReader struct {
	Object
	body Body
}

// NewObjectReader makes the reader of an object whose bytes are body.
func NewObjectReader(o Object, body Body) *ObjectReader { return &ObjectReader{Object: o, body: body} }

// Open finds an object and reads nothing yet. ErrNoObject, ErrNoBucket.
func (s *Store) Open(ctx context.Context, bucket, key string) (*ObjectReader, error) {
	p, err := s.mustBePresent(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	body, err := s.body(bucket, key, p)
	if err != nil {
		return nil, fmt.Errorf("open %s/%s: %w", bucket, clip(key), err)
	}
	return NewObjectReader(p.record.object(bucket, key, p.revision), body), nil
}

func (s *Store) body(bucket, key string, p *present) (Body, error) {
	at, err := s.located(bucket, key, p)
	return &lasting{s, bucket, key, p.record.version, at, p.revision}, err
}

// located is the body where it lies now.
func (s *Store) located(bucket, key string, p *present) (Body, error) {
	if p.record.segments.kind != 0 {
		return &segmentedBody{store: s, bucket: bucket, segments: p.record.segments}, nil
	}
	if len(p.blobs) != 1 || p.blobs[0].Bytes != p.record.bytes {
		return nil, fmt.Errorf("%w: its blob has not the object's %d bytes", ErrCorruptIndexItem, p.record.bytes)
	}
	return s.openBlob(p.blobs[0], ObjectKey(bucket, key)), nil
}

// NewReader reads n bytes from offset off, or fewer where the object ends; a
// negative n reads to the end. An offset outside reads ErrRange.
func (r *ObjectReader) NewReader(ctx context.Context, off, n int64) io.ReadCloser {
	if off < 0 || off > r.Bytes {
		return failedReader{fmt.Errorf("%w: offset %d of %d bytes", ErrRange, off, r.Bytes)}
	}
	if n < 0 || n > r.Bytes-off {
		n = r.Bytes - off
	}
	if n == 0 {
		return failedReader{io.EOF}
	}
	return r.body.NewReader(ctx, off, n)
}

// ReadAt fills p from offset off. Where the object ends first, it is io.EOF.
func (r *ObjectReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 || off > r.Bytes {
		return 0, fmt.Errorf("%w: offset %d of %d bytes", ErrRange, off, r.Bytes)
	}
	whole := len(p)
	p = p[:min(int64(whole), r.Bytes-off)]
	if len(p) > 0 {
		if n, err := r.body.ReadAt(ctx, p, off); n < len(p) {
			return n, err
		}
	}
	if len(p) < whole {
		return len(p), io.EOF
	}
	return len(p), nil
}

type failedReader struct{ err error }

func (r failedReader) Read([]byte) (int, error) { return 0, r.err }
func (r failedReader) Close() error             { return nil }
