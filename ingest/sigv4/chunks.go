package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
)

const (
	lineBytesMax    = 4 << 10 // of a chunk's head or a trailer; the buffer's size
	trailersMax     = 16
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	signaturePrefix = ";chunk-signature="
)

// chunks decodes aws-chunked bodies:
//
//	hex size ;chunk-signature=64 hex ⏎ bytes ⏎     the part from ";" only where chunks are signed
//	0 ;chunk-signature=64 hex ⏎
//	name:value ⏎ …                                 where trailers were announced
//	x-amz-trailer-signature:64 hex ⏎               where they are signed
//	⏎
//
// A chunk's size is bounded by what the request still owes of its decoded
// length, and its bytes are never gathered: they pass through the hash.
type chunks struct {
	wire     *bufio.Reader
	kind     Payload
	owed     int64 // decoded bytes still to come
	left     int64 // of the present chunk
	inside   bool  // a chunk is open, its end not yet proved
	claimed  [32]byte
	chain    chain
	trailers http.Header
	err      error
}

// chain is the signature chain over chunks.
type chain struct {
	mac      hash.Hash
	sum      hash.Hash
	stamp    string
	previous [32]byte
}

func newChunks(wire io.Reader, s *Signed) *chunks {
	return &chunks{
		wire: bufio.NewReaderSize(wire, lineBytesMax), kind: s.Payload, owed: s.Bytes,
		chain: chain{mac: hmac.New(sha256.New, s.key[:]), sum: sha256.New(), stamp: s.stamp, previous: s.signature},
	}
}

func (c *chunks) signed() bool { return c.kind != UnsignedTrailer }

func (c *chunks) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, c.err
	}
	for c.err == nil && c.left == 0 {
		c.err = c.advance()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.wire.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.owed -= int64(n)
	if c.signed() {
		c.chain.sum.Write(p[:n])
	}
	if err != nil {
		c.err = unexpected(err)
	}
	return n, c.err
}

// advance closes the present chunk and opens the next. After the last one it
// reads the trailers and returns io.EOF.
func (c *chunks) advance() error {
	if c.inside {
		if err := c.close(); err != nil {
			return err
		}
	}
	size, err := c.head()
	if err != nil {
		return err
	}
	if size > 0 {
		c.left, c.inside = size, true
		return nil
	}
	if c.owed > 0 {
		return fmt.Errorf("%w: the last chunk came %d bytes early", ErrIncomplete, c.owed)
	}
	if err := c.proveChunk(); err != nil {
		return err
	}
	return c.end()
}

func (c *chunks) head() (int64, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	digits, signature, has := bytes.Cut(line, []byte(signaturePrefix))
	if has != c.signed() {
		return 0, fmt.Errorf("%w: a chunk's head does not fit x-amz-content-sha256", ErrChunk)
	}
	size, err := strconv.ParseUint(string(digits), 16, 63)
	if err != nil || len(digits) > 16 {
		return 0, fmt.Errorf("%w: a chunk's size is not a hexadecimal number", ErrChunk)
	}
	if int64(size) > c.owed {
		return 0, fmt.Errorf("%w: more bytes than x-amz-decoded-content-length", ErrChunk)
	}
	if c.signed() {
		if c.claimed, err = parseSignature(signature); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrChunk, err)
		}
	}
	return int64(size), nil
}

func parseSignature(text []byte) (s [32]byte, err error) {
	if len(text) != 2*len(s) {
		return s, errors.New("a signature is not 64 hexadecimal digits")
	}
	_, err = hex.Decode(s[:], text)
	return s, err
}

// close reads the line end after a chunk's bytes and proves them.
func (c *chunks) close() error {
	var end [2]byte
	if _, err := io.ReadFull(c.wire, end[:]); err != nil {
		return unexpected(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return fmt.Errorf("%w: a chunk is longer than its size", ErrChunk)
	}
	c.inside = false
	return c.proveChunk()
}

func (c *chunks) proveChunk() error {
	if !c.signed() {
		return nil
	}
	if !c.chain.next("AWS4-HMAC-SHA256-PAYLOAD", emptyHash, c.claimed) {
		return ErrChunkSignature
	}
	return nil
}

// next adds a link: it signs what passed through the sum, and compares.
func (l *chain) next(kind, extra string, claimed [32]byte) bool {
	var room [512]byte
	b := append(append(room[:0], kind...), '\n')
	b = append(append(b, l.stamp...), '\n')
	b = append(appendHex(b, l.previous[:]), '\n')
	if extra != "" {
		b = append(append(b, extra...), '\n')
	}
	var sum [32]byte
	b = appendHex(b, l.sum.Sum(sum[:0]))
	l.sum.Reset()
	l.mac.Reset()
	l.mac.Write(b)
	l.mac.Sum(l.previous[:0])
	return hmac.Equal(l.previous[:], claimed[:])
}

// line reads to the end of a line, which it cuts off. The slice is valid until
// the next read.
func (c *chunks) line() ([]byte, error) {
	line, err := c.wire.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrChunk, lineBytesMax)
	}
	if err != nil {
		return nil, unexpected(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
