package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"
)

// writer is a Pebble store that takes what an image holds.
type writer interface {
	NewBatch(...pebble.BatchOption) *pebble.Batch
}

// readImage checks an image and puts it into the store. Unless it returns no
// error, what it put there is worthless.
func readImage(r io.Reader, identity [16]byte, to writer) (state, error) {
	in := imageReader{r: r}
	s, err := in.header()
	if err != nil {
		return state{}, err
	}
	if s.identity != identity {
		return state{}, fmt.Errorf("%w: it belongs to store %x, this is %x", ErrImage, s.identity, identity)
	}
	for {
		more, err := in.block()
		if err != nil {
			return state{}, err
		}
		if !more {
			return s, in.end()
		}
		if err := in.store(to); err != nil {
			return state{}, err
		}
	}
}

type imageReader struct {
	r       io.Reader
	version uint32
	zstd    *zstd.Decoder
	stored  []byte
	payload []byte
	last    []byte // key of the latest record
	blocks  uint64
	records uint64
	sum     uint32
}

func (r *imageReader) read(b []byte, what string) error {
	_, err := io.ReadFull(r.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends within %s of block %d", ErrImage, what, r.blocks)
	}
	if err != nil {
		return fmt.Errorf("read image: %s of block %d: %w", what, r.blocks, err)
	}
	return nil
}

func (r *imageReader) header() (state, error) {
	var b [imageHeaderBytes]byte
	if err := r.read(b[:], "the header"); err != nil {
		return state{}, err
	}
	if string(b[:4]) != imageMagic {
		return state{}, fmt.Errorf("%w: magic %q", ErrImage, b[:4])
	}
	if r.version = binary.LittleEndian.Uint32(b[4:]); r.version != imageVersion && r.version != imageVersionPlain {
		return state{}, fmt.Errorf("%w: version %d, this is version %d", ErrImage, r.version, imageVersion)
	}
	sum := crc32.Checksum(b[:imageHeaderBytes-4], castagnoli)
	if sum != binary.LittleEndian.Uint32(b[imageHeaderBytes-4:]) {
		return state{}, fmt.Errorf("%w: checksum of the header", ErrImage)
	}
	r.sum = chain(0, sum)
	s, err := decodeState(b[8 : 8+stateBytes])
	if err != nil {
		return state{}, fmt.Errorf("%w: %w", ErrImage, err)
	}
	return s, nil
}

// block reads the next block; false at the trailer.
func (r *imageReader) block() (bool, error) {
	var b [8]byte
	if err := r.read(b[:4], "the length"); err != nil {
		return false, err
	}
	n := binary.LittleEndian.Uint32(b[:])
	if n == 0 {
		return false, nil
	}
	if n > imageStoredMax {
		return false, fmt.Errorf("%w: block %d of %d bytes, at most %d", ErrImage, r.blocks, n, imageStoredMax)
	}
	if err := r.read(b[4:], "the checksum"); err != nil {
		return false, err
	}
	if r.version != imageVersionPlain {
		n += imagePlainBytes
	}
	r.stored = slices.Grow(r.stored[:0], int(n))[:n]
	if err := r.read(r.stored, "the payload"); err != nil {
		return false, err
	}
	sum := binary.LittleEndian.Uint32(b[4:])
	if sum != blockSum(r.blocks, r.stored) {
		return false, fmt.Errorf("%w: checksum of block %d", ErrImage, r.blocks)
	}
	if err := r.expand(); err != nil {
		return false, err
	}
	r.blocks, r.sum = r.blocks+1, chain(r.sum, sum)
	return true, nil
}

// expand makes records of a block as it was stored.
func (r *imageReader) expand() (err error) {
	if r.version == imageVersionPlain {
		r.payload, r.stored = r.stored, r.payload
		return nil
	}
	plain := binary.LittleEndian.Uint32(r.stored)
	if plain == 0 || plain > imageBlockMax {
		return fmt.Errorf("%w: block %d holds %d bytes, at most %d", ErrImage, r.blocks, plain, imageBlockMax)
	}
	if r.zstd == nil {
		if r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(imageBlockMax)); err != nil {
			return fmt.Errorf("read image: %w", err)
		}
	}
	r.payload, err = r.zstd.DecodeAll(r.stored[imagePlainBytes:], slices.Grow(r.payload[:0], int(plain)))
	if err != nil || len(r.payload) != int(plain) {
		return fmt.Errorf("%w: block %d expands to %d bytes, not %d: %v", ErrImage, r.blocks, len(r.payload), plain, err)
	}
	return nil
}

func (r *imageReader) store(to writer) error {
	b := to.NewBatch()
	defer b.Close()
	for rest := r.payload; len(rest) > 0; {
		key, value, after, ok := cutRecord(rest)
		if !ok || bytes.Compare(key, r.last) <= 0 || bytes.Compare(key, stateKey) >= 0 {
			return fmt.Errorf("%w: record %d", ErrImage, r.records)
		}
		if err := b.Set(key, value, nil); err != nil {
			return fmt.Errorf("restore record %d: %w", r.records, err)
		}
		r.last = append(r.last[:0], key...)
		r.records++
		rest = after
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("restore through record %d: %w", r.records, err)
	}
	return nil
}

func cutRecord(b []byte) (key, value, rest []byte, ok bool) {
	k, n := binary.Uvarint(b)
	if n <= 0 || k == 0 || k > 1+KeyBytesMax {
		return nil, nil, nil, false
	}
	b = b[n:]
	v, n := binary.Uvarint(b)
	if n <= 0 || v > versionBytes+EntryBytesMax {
		return nil, nil, nil, false
	}
	b = b[n:]
	if k+v > uint64(len(b)) {
		return nil, nil, nil, false
	}
	return b[:k], b[k : k+v], b[k+v:], true
}

func (r *imageReader) end() error {
	b := make([]byte, imageTrailerBytes)
	if err := r.read(b[4:], "the trailer"); err != nil {
		return err
	}
	if crc32.Update(r.sum, castagnoli, b[:20]) != binary.LittleEndian.Uint32(b[20:]) {
		return fmt.Errorf("%w: checksum of the whole", ErrImage)
	}
	if binary.LittleEndian.Uint64(b[4:]) != r.blocks || binary.LittleEndian.Uint64(b[12:]) != r.records {
		return fmt.Errorf("%w: it has %d blocks and %d records, its trailer says otherwise", ErrImage, r.blocks, r.records)
	}
	if n, err := io.ReadFull(r.r, b[:1]); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the trailer", ErrImage)
	}
	return nil
}
