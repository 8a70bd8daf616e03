package sigv4

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

const trailerSignature = "x-amz-trailer-signature"

// end reads what follows the last chunk: the trailers, their signature and an
// empty line. Nothing may come after it.
func (c *chunks) end() error {
	var err error
	if c.kind == SignedChunks {
		err = c.blank()
	} else {
		err = c.readTrailers()
	}
	if err != nil {
		return err
	}
	if _, err := c.wire.ReadByte(); err != io.EOF {
		return fmt.Errorf("%w: bytes follow the last chunk", ErrChunk)
	}
	return io.EOF
}

func (c *chunks) blank() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) != 0 {
		return fmt.Errorf("%w: no empty line after the last chunk", ErrChunk)
	}
	return nil
}

func (c *chunks) readTrailers() error {
	c.trailers = http.Header{}
	for range trailersMax + 1 {
		line, err := c.line()
		if err != nil {
			return err
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		switch {
		case len(line) == 0 && c.kind == UnsignedTrailer:
			return nil
		case len(line) == 0:
			continue // some signers put an empty line before the signature
		case !ok:
			return fmt.Errorf("%w: a line is not name:value", ErrTrailer)
		case string(name) == trailerSignature && c.kind == SignedTrailer:
			return c.proveTrailers(value)
		}
		c.addTrailer(name, bytes.Trim(value, " \t"))
	}
	return fmt.Errorf("%w: more than %d of them, or no signature", ErrTrailer, trailersMax)
}

func (c *chunks) addTrailer(name, value []byte) {
	c.trailers.Add(string(name), string(value))
	for _, piece := range [][]byte{bytes.ToLower(name), {':'}, value, {'\n'}} {
		c.chain.sum.Write(piece)
	}
}

func (c *chunks) proveTrailers(value []byte) error {
	claimed, err := parseSignature(bytes.Trim(value, " \t"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTrailer, err)
	}
	if !c.chain.next("AWS4-HMAC-SHA256-TRAILER", "", claimed) {
		return ErrChunkSignature
	}
	return c.blank()
}
