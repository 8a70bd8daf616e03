package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// lasting is the body of one version of an object for as long as that is present:
// where its bytes were moved after it was opened, it looks them up again. Packing,
// reclamation and repair move them at any time.
type lasting struct {
	store       *Store
	bucket, key string
	version     VersionID
	body        Body   // as it was opened
	revision    uint64 // of the entry that body came from
}

// renewals bounds how often one read looks up where its bytes are without getting on.
const renewals = 3

// elsewhere tells whether the bytes of a read that failed may lie elsewhere by now.
func elsewhere(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrReadTooLong) || errors.Is(err, ErrConflict)
}

// renewed is the body as it is now. It returns cause where that is the same, or
// the version is no longer present.
func (b *lasting) renewed(ctx context.Context, cause error) (*lasting, error) {
	now, err := b.store.present(ctx, b.bucket, b.key)
	if err != nil {
		return nil, fmt.Errorf("%w; then: %w", cause, err)
	}
	if now == nil || now.record.version != b.version {
		return nil, fmt.Errorf("the object was replaced while it was read: %w", cause)
	}
	whole := now.record.segments.kind == 0
	if whole && now.revision == b.revision && !errors.Is(cause, ErrReadTooLong) {
		return nil, cause
	}
	next, err := b.store.located(b.bucket, b.key, now)
	if err != nil {
		return nil, err
	}
	return &lasting{b.store, b.bucket, b.key, b.version, next, now.revision}, nil
}

// ReadAt implements Body.
func (b *lasting) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := b.body.ReadAt(ctx, p, off)
	for range renewals {
		if err == nil || !elsewhere(err) || ctx.Err() != nil {
			break
		}
		next, failed := b.renewed(ctx, err)
		if failed != nil {
			return n, failed
		}
		b = next
		n, err = b.body.ReadAt(ctx, p, off)
	}
	return n, err
}

// NewReader implements Body.
func (b *lasting) NewReader(ctx context.Context, off, n int64) io.ReadCloser {
	return &lastingReader{ctx: ctx, from: b, at: b.body.NewReader(ctx, off, n), off: off, end: off + n}
}

// lastingReader goes on in the renewed body where the one before failed.
type lastingReader struct {
	ctx      context.Context // of the read as a whole, as an io.Reader takes none
	from     *lasting
	at       io.ReadCloser
	off, end int64
	tries    int // since the last byte came
}

// Read implements io.Reader.
func (r *lastingReader) Read(p []byte) (int, error) {
	for {
		n, err := r.at.Read(p)
		r.off += int64(n)
		if n > 0 {
			r.tries = 0
		}
		if n > 0 || err == nil || !elsewhere(err) || r.tries == renewals || r.ctx.Err() != nil {
			return n, err
		}
		r.tries++
		next, failed := r.from.renewed(r.ctx, err)
		if failed != nil {
			return 0, failed
		}
		_ = r.at.Close()
		r.from, r.at = next, next.body.NewReader(r.ctx, r.off, r.end-r.off)
	}
}

// Close implements io.Closer.
func (r *lastingReader) Close() error { return r.at.Close() }
