package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
)

// Body reads a payload and proves it. Bytes are handed on as they arrive; that
// they were the signed ones is known at io.EOF, never before, so nothing may
// become visible until Finish has returned nil.
type Body struct {
	source  io.Reader // decoded bytes
	chunks  *chunks   // nil where the body is plain
	sum     hash.Hash // nil where no hash was declared
	want    [32]byte
	expects int64 // bytes; -1 unknown
	seen    int64
	err     error // what Read returns for ever, io.EOF included
}

// Body wraps the body of the signed request.
func (s *Signed) Body(body io.Reader) *Body {
	wire := wireReader{body}
	b := &Body{source: wire, expects: s.Bytes, want: s.declared}
	if s.Payload == Hashed {
		b.sum = sha256.New()
	}
	if s.Payload.Chunked() {
		b.chunks = newChunks(wire, s)
		b.source = b.chunks
	}
	return b
}

// wireReader marks what goes wrong below as the sender's doing.
type wireReader struct{ r io.Reader }

func (w wireReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return n, err
}

// Read returns io.EOF only once all is proved.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.source.Read(p)
	b.seen += int64(n)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	if err != nil {
		b.err = b.end(err)
	}
	return n, b.err
}

func (b *Body) end(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: got %d", ErrIncomplete, b.seen)
	case err != io.EOF:
		return err
	case b.expects >= 0 && b.seen != b.expects:
		return fmt.Errorf("%w: got %d of %d", ErrIncomplete, b.seen, b.expects)
	case b.sum != nil && subtle.ConstantTimeCompare(b.sum.Sum(nil), b.want[:]) != 1:
		return ErrPayload
	}
	return io.EOF
}

// Finish proves the end of the body, reading what little of it a reader that
// counts bytes may have left, and returns nil if all of it was as signed.
func (b *Body) Finish() error {
	var rest [64]byte
	for b.err == nil {
		if n, _ := b.Read(rest[:]); n > 0 {
			return fmt.Errorf("%w: bytes follow the length that was given", ErrIncomplete)
		}
	}
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// Trailers are the headers that followed an aws-chunked body, once it has ended.
func (b *Body) Trailers() http.Header {
	if b.chunks == nil {
		return nil
	}
	return b.chunks.trailers
}

// Seen is how many bytes of the payload were read.
func (b *Body) Seen() int64 { return b.seen }
