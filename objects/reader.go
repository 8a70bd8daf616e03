package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"
)

// shardPooled is the size from which memory for reads is kept for reuse.
const shardPooled = 256 << 10

var shardPool = sync.Pool{New: func() any { return new([ShardBytesMax]byte) }}

func shardMemory(n int) []byte {
	if n < shardPooled {
		return make([]byte, n)
	}
	return shardPool.Get().(*[ShardBytesMax]byte)[:n]
}

// release gives a part's memory back, where it is the pool's: one begins at
// nothing and has room for a whole shard.
func (p *part) release() {
	if cap(p.data) == ShardBytesMax {
		shardPool.Put((*[ShardBytesMax]byte)(p.data[:ShardBytesMax]))
	}
	p.data = nil
}

// BlobReader reads one blob, verified. It may be used by many goroutines at once.
type BlobReader struct {
	s      *Store
	blob   Blob
	owner  []byte  // key of the index value that names it; nil: not known
	starts []int64 // of each stripe in the blob
}

// OpenBlob reads a blob that WriteBlob made. Nothing needs to be closed.
func (s *Store) OpenBlob(b Blob) *BlobReader { return s.openBlob(b, nil) }

// openBlob also says whose blob it is, so that what a read finds to be damaged is
// repaired without a search.
func (s *Store) openBlob(b Blob, owner []byte) *BlobReader {
	r := &BlobReader{s: s, blob: b, owner: owner, starts: make([]int64, len(b.Stripes))}
	var at int64
	for i := range b.Stripes {
		r.starts[i] = at
		at += int64(b.Stripes[i].Bytes)
	}
	return r
}

// Bytes is the blob's length.
func (r *BlobReader) Bytes() int64 { return r.blob.Bytes }

// ReadAt fills p from offset off. As with io.ReaderAt, fewer bytes come with an
// error, which at the blob's end is io.EOF. ErrUnavailable: too few shards can be
// read right now.
func (r *BlobReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 || off > r.blob.Bytes {
		return 0, fmt.Errorf("%w: offset %d of %d bytes", ErrRange, off, r.blob.Bytes)
	}
	ticket := r.s.reads.enter()
	defer r.s.reads.leave(ticket)
	n := int(min(int64(len(p)), r.blob.Bytes-off))
	if r.stripeEnd(off, off+int64(n)) < off+int64(n) {
		return r.readStripes(ctx, p[:n], off, len(p))
	}
	for got := 0; got < n; {
		parts, err := r.fetch(ctx, off+int64(got), off+int64(n))
		if err != nil {
			return got, err
		}
		for i := range parts {
			got += copy(p[got:n], parts[i].data)
			parts[i].release()
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readStripes is ReadAt of a range over several stripes, of which some are read at once.
func (r *BlobReader) readStripes(ctx context.Context, p []byte, off int64, want int) (int, error) {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(stripesAtOnce)
	for left := p; len(left) > 0; {
		n := r.stripeEnd(off, off+int64(len(left))) - off
		piece, at := left[:n], off
		tasks.Go(func() error {
			parts, err := r.fetch(ctx, at, at+n)
			for i := range parts {
				piece = piece[copy(piece, parts[i].data):]
				parts[i].release()
			}
			return err
		})
		left, off = left[n:], off+n
	}
	if err := tasks.Wait(); err != nil {
		return 0, err
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return len(p), nil
}

// stripesAtOnce bounds the stripes that one range read has under way.
const stripesAtOnce = 4

// fetch gives the bytes from off to the end of its stripe, or to end.
func (r *BlobReader) fetch(ctx context.Context, off, end int64) ([]part, error) {
	if r.blob.Packed != nil {
		return r.s.fetchPacked(ctx, &r.blob, r.owner, off, end)
	}
	if len(r.blob.Stripes) == 0 {
		return []part{{data: r.blob.Inline[off:end:end]}}, nil
	}
	i := r.stripe(off)
	st := &r.blob.Stripes[i]
	return r.s.fetch(ctx, st, r.owner, int(off-r.starts[i]), int(min(end-r.starts[i], int64(st.Bytes))))
}

// stripe is the one in which an offset lies.
func (r *BlobReader) stripe(off int64) int {
	return sort.Search(len(r.starts), func(i int) bool { return r.starts[i] > off }) - 1
}

// NewReader streams n bytes from off on; n < 0: to the end. It reads one stripe
// ahead, and must be closed.
func (r *BlobReader) NewReader(ctx context.Context, off, n int64) io.ReadCloser {
	if off < 0 || off > r.blob.Bytes {
		return errorReader{fmt.Errorf("%w: offset %d of %d bytes", ErrRange, off, r.blob.Bytes)}
	}
	end := r.blob.Bytes
	if n >= 0 && n < end-off {
		end = off + n
	}
	r.s.aheads.enter()
	ctx, cancel := context.WithCancel(ctx)
	return &stream{r: r, ctx: ctx, cancel: cancel, ticket: r.s.reads.enter(), next: off, end: end}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
func (e errorReader) Close() error             { return nil }

// stream is a BlobReader's reader. Ahead of what is being read there is at most
// one stripe, or less where very many streams are being read.
type stream struct {
	r      *BlobReader
	ctx    context.Context // of the reads under way; Close ends it
	cancel context.CancelFunc
	ticket uint64
	next   int64 // from where to fetch
	end    int64
	parts  []part
	at     int // in parts[0]
	ahead  chan ahead
	err    error
}

type ahead struct {
	parts []part
	err   error
}

var errStreamClosed = errors.New("objects: read from a closed reader")

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(s.parts) == 0 {
		if s.err == nil {
			s.err = s.advance()
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	first := &s.parts[0]
	n := copy(p, first.data[s.at:])
	if s.at += n; s.at == len(first.data) {
		first.release()
		s.parts, s.at = s.parts[1:], 0
	}
	return n, nil
}

// advance takes what was read ahead and has the next stripe read.
func (s *stream) advance() error {
	if s.ahead == nil {
		if s.next >= s.end {
			return io.EOF
		}
		s.fetchAhead()
	}
	a := <-s.ahead
	s.ahead = nil
	if a.err != nil {
		return a.err
	}
	s.parts = a.parts
	if s.next < s.end {
		s.fetchAhead()
	}
	return nil
}

func (s *stream) fetchAhead() {
	from := s.next
	to := min(s.r.stripeEnd(from, s.end), from+int64(s.r.s.aheads.each(aheadBytesMax)))
	s.next = to
	answer := make(chan ahead, 1)
	s.ahead = answer
	if !s.r.s.reads.good(s.ticket) {
		answer <- ahead{err: ErrReadTooLong}
		return
	}
	go func() {
		parts, err := s.r.fetch(s.ctx, from, to)
		answer <- ahead{parts, err}
	}()
}

// stripeEnd is where the stripe ends in which off lies, or end.
func (r *BlobReader) stripeEnd(off, end int64) int64 {
	if len(r.blob.Stripes) == 0 {
		return end
	}
	i := r.stripe(off)
	return min(end, r.starts[i]+int64(r.blob.Stripes[i].Bytes))
}

// Close ends the reads under way and waits for those that heed it.
func (s *stream) Close() error {
	if s.err == errStreamClosed {
		return nil
	}
	s.cancel()
	s.r.s.aheads.leave()
	s.r.s.reads.leave(s.ticket)
	if s.ahead != nil {
		a := <-s.ahead
		s.parts = append(s.parts, a.parts...)
		s.ahead = nil
	}
	for i := range s.parts {
		s.parts[i].release()
	}
	s.parts, s.err = nil, errStreamClosed
	return nil
}
