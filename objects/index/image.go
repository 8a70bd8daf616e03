package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"
)

// Image of a view, version 2, little endian: the stream in which a checkpoint
// or a Raft snapshot carries every section but the state, sorted by key.
//
// Header:
//
//	 0   4  magic "TIMG"
//	 4   4  version
//	 8  60  state of the view (see layout.go)
//	68   4  CRC-32C of all before
//
// Block, any number of times:
//
//	 0   4  stored bytes n, 1 to imageStoredMax
//	 4   4  CRC-32C of the block's number (8 bytes, from 0) and of all behind this field
//	 8   4  plain bytes, 1 to imageBlockMax
//	12   n  a Zstandard frame (RFC 8878) of the plain bytes, which are
//	        records: uvarint key bytes, uvarint value bytes, key, value
//
// Version 1, which is still read, has no plain bytes' field, and plain blocks.
//
// Trailer, after which nothing follows:
//
//	 0   4  zero: no more blocks
//	 4   8  blocks
//	12   8  records
//	20   4  CRC-32C of the header's CRC, every block's CRC in order, and [0,20)
const (
	imageMagic        = "TIMG"
	imageVersion      = 2
	imageVersionPlain = 1
	imageHeaderBytes  = 8 + stateBytes + 4
	imageTrailerBytes = 24
	imagePlainBytes   = 4       // of the field before a frame
	imageBlockBytes   = 1 << 20 // at which a block is written
	imageRecordMax    = 1 + KeyBytesMax + versionBytes + EntryBytesMax + 2*binary.MaxVarintLen32
	imageBlockMax     = imageBlockBytes + imageRecordMax // plain; what is stored may be a little more
	imageStoredMax    = imageBlockMax + 64<<10
)

// ErrImage: a checkpoint's bytes are damaged, cut short, or not of this store.
var ErrImage = errors.New("index: bad image of the view")

// Image is a view's pinned state, to be written out.
type Image struct {
	m      *Machine
	pinned *pebble.Snapshot
	state  state
}

// Image pins the applied state until Close.
func (m *Machine) Image() (*Image, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	i := &Image{m: m, pinned: m.db.NewSnapshot()}
	s, err := m.stateOf(i.pinned)
	if err != nil {
		return nil, errors.Join(err, i.Close())
	}
	i.state = s
	return i, nil
}

// Through is the last sequence that the image covers.
func (i *Image) Through() uint64 { return i.state.applied }

// Close unpins the state.
func (i *Image) Close() error {
	defer i.m.gate.leave()
	return i.pinned.Close()
}

// Write writes the whole image.
func (i *Image) Write(w io.Writer) error {
	out, err := newImageWriter(w)
	if err != nil {
		return err
	}
	if err := out.header(&i.state); err != nil {
		return err
	}
	it, err := i.pinned.NewIter(&pebble.IterOptions{LowerBound: []byte{0}, UpperBound: stateKey})
	if err != nil {
		return i.m.readError(err)
	}
	return errors.Join(i.records(it, out), i.m.iteratorError(it))
}

func (i *Image) records(it *pebble.Iterator, out *imageWriter) error {
	for ok := it.First(); ok; ok = it.Next() {
		if err := i.m.over(); err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return i.m.readError(err)
		}
		if err := out.record(it.Key(), value); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return i.m.readError(err)
	}
	return out.trailer()
}

type imageWriter struct {
	w       io.Writer
	zstd    *zstd.Encoder
	payload []byte
	stored  []byte
	blocks  uint64
	records uint64
	sum     uint32
}

func newImageWriter(w io.Writer) (*imageWriter, error) {
	// Whole blocks at a time, by the caller's goroutine; the checksum is ours.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	return &imageWriter{w: w, zstd: z}, nil
}

func (w *imageWriter) write(b []byte) error {
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return nil
}

// chain adds a part's checksum to that of the whole.
func chain(sum, part uint32) uint32 {
	return crc32.Update(sum, castagnoli, binary.LittleEndian.AppendUint32(nil, part))
}

func (w *imageWriter) header(s *state) error {
	b := append([]byte(imageMagic), imageVersion, 0, 0, 0)
	b = append(b, s.encode()...)
	sum := crc32.Checksum(b, castagnoli)
	w.sum = chain(0, sum)
	return w.write(binary.LittleEndian.AppendUint32(b, sum))
}

func (w *imageWriter) record(key, value []byte) error {
	w.payload = binary.AppendUvarint(w.payload, uint64(len(key)))
	w.payload = binary.AppendUvarint(w.payload, uint64(len(value)))
	w.payload = append(w.payload, key...)
	w.payload = append(w.payload, value...)
	w.records++
	if len(w.payload) < imageBlockBytes {
		return nil
	}
	return w.block()
}

func blockSum(number uint64, payload []byte) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint64(nil, number), castagnoli)
	return crc32.Update(sum, castagnoli, payload)
}

func (w *imageWriter) block() error {
	w.stored = binary.LittleEndian.AppendUint32(w.stored[:0], uint32(len(w.payload)))
	w.stored = w.zstd.EncodeAll(w.payload, w.stored)
	sum := blockSum(w.blocks, w.stored)
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(w.stored)-imagePlainBytes))
	if err := w.write(binary.LittleEndian.AppendUint32(head, sum)); err != nil {
		return err
	}
	if err := w.write(w.stored); err != nil {
		return err
	}
	w.payload, w.blocks, w.sum = w.payload[:0], w.blocks+1, chain(w.sum, sum)
	return nil
}

func (w *imageWriter) trailer() error {
	if len(w.payload) > 0 {
		if err := w.block(); err != nil {
			return err
		}
	}
	b := make([]byte, 4, imageTrailerBytes)
	b = binary.LittleEndian.AppendUint64(b, w.blocks)
	b = binary.LittleEndian.AppendUint64(b, w.records)
	return w.write(binary.LittleEndian.AppendUint32(b, crc32.Update(w.sum, castagnoli, b)))
}
