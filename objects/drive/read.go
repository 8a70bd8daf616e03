package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrRange: the range lies outside the record's payload.
var ErrRange = errors.New("drive: range outside the record")

// readBuffers hold a header and the pieces that a range touches in part.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, SectorBytes+2*pieceBytes); return &b }}

// Read fills p from the payload of the record at a, from off on. What it returns is
// verified: ErrCorrupt where it is not what was written there under id, ErrGone where
// the extent is no longer there.
func (d *Drive) Read(ctx context.Context, a Address, id Identity, p []byte, off int64) error {
	err := d.withRecord(ctx, a, func(r *recordReader) error { return r.readAll(id, p, off) })
	if err != nil {
		d.tellCorrupt(a, err)
		return fmt.Errorf("read %s at %s, byte %d: %w", d.dir, a, off, err)
	}
	return nil
}

// Length is the payload's size, from a verified header.
func (d *Drive) Length(ctx context.Context, a Address, id Identity) (int, error) {
	var n int
	err := d.withRecord(ctx, a, func(r *recordReader) error {
		r.first = r.first[:SectorBytes]
		err := r.open(id)
		n = int(r.head.payloadBytes)
		return err
	})
	if err != nil {
		d.tellCorrupt(a, err)
		return 0, fmt.Errorf("length of record of %s at %s: %w", d.dir, a, err)
	}
	return n, nil
}

func (d *Drive) tellCorrupt(a Address, err error) {
	if d.options.Events.Corrupt != nil && errors.Is(err, ErrCorrupt) {
		d.options.Events.Corrupt(a, err)
	}
}

// recordReader reads one record.
type recordReader struct {
	file   io.ReaderAt
	handle *handle
	warm   *warmth
	at     int64 // of the record in the file
	place  place
	head   head
	first  []byte // what is read of the record already
	pieces []byte // room for a piece
}

// withRecord makes a reader of the record at a, whose header was not read yet.
func (d *Drive) withRecord(ctx context.Context, a Address, use func(*recordReader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := d.lookup(a)
	if err != nil {
		return err
	}
	h, err := d.files.acquire(a.Extent)
	if err != nil {
		if _, gone := d.lookup(a); gone != nil {
			return gone
		}
		return err
	}
	defer d.files.release(h)
	buffer := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buffer)
	at := int64(a.Sector) * SectorBytes
	r := recordReader{file: h.file, handle: h, warm: &d.warm, at: at, place: e.place(d.header.Drive, at), first: (*buffer)[:SectorBytes+pieceBytes], pieces: (*buffer)[SectorBytes+pieceBytes:]}
	err = use(&r)
	if errors.Is(err, ErrCorrupt) {
		if _, gone := d.lookup(a); errors.Is(gone, ErrGone) {
			return gone // recycled while it was read: that is no rot
		}
	}
	return err
}

// lookup finds the extent of an address.
func (d *Drive) lookup(a Address) (*extent, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	e := d.extents[a.Extent]
	switch {
	case d.closed:
		return nil, ErrClosed
	case e == nil:
		return nil, ErrGone
	case e.unread != nil:
		return nil, e.unread
	case e.generation != a.Generation:
		return nil, fmt.Errorf("its generation is %d: %w", e.generation, ErrGone)
	case int64(a.Sector)*SectorBytes < firstRecord || int64(a.Sector)*SectorBytes >= e.used:
		return nil, fmt.Errorf("nothing was acknowledged there, the extent's end is %d: %w", e.used, ErrCorrupt)
	}
	return e, nil
}

func (r *recordReader) open(id Identity) error {
	n, err := r.file.ReadAt(r.first, r.at)
	if err != nil && err != io.EOF {
		return err
	}
	r.first = r.first[:n]
	if r.head, err = decodeHead(r.first, r.place); err != nil {
		return err
	}
	if r.head.generation != r.place.generation || r.head.identity != id {
		return fmt.Errorf("another record lies there: %w", ErrCorrupt)
	}
	return nil
}

// readAll checks the header and fills p from off on, in one round of reads wherever the record's size
// can be guessed: what lies in the first piece comes with the header, and what lies behind
// it is read at the same time.
func (r *recordReader) readAll(id Identity, p []byte, off int64) error {
	want := off + int64(len(p))
	if off >= 0 && want > pieceBytes {
		return r.readBehind(id, p, off)
	}
	if off == 0 { // most often a small record, and all of it
		r.first = r.first[:SectorBytes+max(want, 0)]
	}
	if err := r.open(id); err != nil {
		return err
	}
	if err := r.inside(p, off); err != nil {
		return err
	}
	return r.read(p, off)
}

func (r *recordReader) inside(p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > int64(r.head.payloadBytes) {
		return fmt.Errorf("%d bytes of %d: %w", len(p), r.head.payloadBytes, ErrRange)
	}
	return nil
}

// readBehind is readAll for a range that ends behind the first piece: the record is so large that its
// payload lies on sectors of its own.
func (r *recordReader) readBehind(id Identity, p []byte, off int64) error {
	s := newSpan(p, off)
	defer s.release()
	if len(s.bytes) >= directBytes {
		r.file = r.warm.source(r.handle, r.place, r.at+SectorBytes+s.start, int64(len(s.bytes)))
	}
	read := make(chan error, 1)
	go func() { read <- s.read(r.file, r.at+SectorBytes) }()
	r.first = r.first[:SectorBytes]
	opened := r.open(id)
	err := <-read
	if opened != nil {
		return opened
	}
	if err := r.inside(p, off); err != nil {
		return err
	}
	if r.head.payloadAt != SectorBytes || !s.fits(int64(r.head.payloadBytes)) {
		return r.read(p, off)
	}
	if err != nil {
		return err
	}
	return s.take(r)
}

func (r *recordReader) read(p []byte, off int64) error {
	for len(p) > 0 {
		piece := int(off / pieceBytes)
		n := r.whole(off, len(p))
		var err error
		if n > 0 {
			err = r.load(p[:n], piece)
		} else {
			n, err = r.part(p, off, piece)
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// whole is how many of n bytes at off are whole pieces, which need no buffer.
func (r *recordReader) whole(off int64, n int) int {
	if off%pieceBytes != 0 {
		return 0
	}
	if off+int64(n) == int64(r.head.payloadBytes) {
		return n
	}
	return n / pieceBytes * pieceBytes
}

func (r *recordReader) part(p []byte, off int64, piece int) (int, error) {
	start := piece * pieceBytes
	b := r.pieces[:min(pieceBytes, int(r.head.payloadBytes)-start)]
	if err := r.load(b, piece); err != nil {
		return 0, err
	}
	return copy(p, b[off-int64(start):]), nil
}

// load reads and verifies whole pieces.
func (r *recordReader) load(b []byte, first int) error {
	from := int64(r.head.payloadAt) + int64(first)*pieceBytes
	if from+int64(len(b)) <= int64(len(r.first)) {
		copy(b, r.first[from:])
	} else if n, err := r.file.ReadAt(b, r.at+from); n < len(b) {
		if err == io.EOF {
			err = fmt.Errorf("the file ends within the record: %w", ErrCorrupt)
		}
		return err
	}
	return r.head.verify(r.place, first, b)
}
