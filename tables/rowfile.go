package tables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/tarnlake/tarn/objects"
)

// Store is what row files need of the object layer.
type Store interface {
	WriteBlob(ctx context.Context, r io.Reader, size int64) (objects.Blob, error)
	ReadBlob(ctx context.Context, b objects.Blob, p []byte, off int64) error
}

// Sizes of a file's parts.
const (
	rowGroupRows  = 32 << 10
	pageBytes     = 1 << 20
	FileRowsMax   = 1 << 20
	fileBytesMax  = 4 << 30
	batchRows     = 1024
	DimensionMax  = 4096
	metadataLeast = 2 // "{}"
)

// columns is a row as Parquet has it. The vector is a LIST of required floats, so
// that every engine reads it as one.
type columns struct {
	ID           uint64    `parquet:"id,plain"`
	Key          string    `parquet:"key,zstd"`
	Vector       []float32 `parquet:"vector,list,plain"`
	Metadata     *string   `parquet:"metadata,optional,zstd"`
	SourceKey    *string   `parquet:"source_key,optional,zstd"`
	SourceVer    *string   `parquet:"source_version,optional,zstd"`
	SourceOffset *int64    `parquet:"source_offset,optional,zstd"`
	SourceBytes  *int64    `parquet:"source_bytes,optional,zstd"`
}

// RowFiles writes and reads the row files of vector indexes.
type RowFiles struct{ store Store }

// NewRowFiles keeps files in store.
func NewRowFiles(store Store) *RowFiles { return &RowFiles{store: store} }

// Write makes a file of rows, which all have the same dimension, and proves it by
// reading it back. The file is durable but not yet named by anything: the caller
// commits it.
func (r *RowFiles) Write(ctx context.Context, rows []Row) (File, error) {
	f, err := describe(rows)
	if err != nil {
		return File{}, err
	}
	raw, err := encode(rows)
	if err != nil {
		return File{}, err
	}
	if f.Pages, err = vectorPages(raw, f.Dimension); err != nil {
		return File{}, err
	}
	if f.Blob, err = r.store.WriteBlob(ctx, bytes.NewReader(raw), int64(len(raw))); err != nil {
		return File{}, fmt.Errorf("write row file: %w", err)
	}
	if err := r.prove(ctx, &f, rows); err != nil {
		return File{}, err
	}
	return f, nil
}

func describe(rows []Row) (File, error) {
	if len(rows) == 0 || len(rows) > FileRowsMax {
		return File{}, &objects.InvalidError{Field: "rows", Reason: fmt.Sprintf("a file takes 1 to %d, not %d", FileRowsMax, len(rows))}
	}
	f := File{Rows: len(rows), Dimension: len(rows[0].Vector), FirstID: rows[0].ID, LastID: rows[0].ID}
	if f.Dimension < 1 || f.Dimension > DimensionMax {
		return File{}, &objects.InvalidError{Field: "dimension", Reason: fmt.Sprintf("%d is not in 1 to %d", f.Dimension, DimensionMax)}
	}
	for i := range rows {
		if len(rows[i].Vector) != f.Dimension {
			return File{}, &objects.InvalidError{Field: fmt.Sprintf("rows[%d].vector", i), Reason: fmt.Sprintf("has dimension %d, the file has %d", len(rows[i].Vector), f.Dimension)}
		}
		f.FirstID, f.LastID = min(f.FirstID, rows[i].ID), max(f.LastID, rows[i].ID)
	}
	return f, nil
}

func encode(rows []Row) ([]byte, error) {
	var out bytes.Buffer
	w := parquet.NewGenericWriter[columns](&out,
		parquet.DataPageVersion(2), parquet.PageBufferSize(pageBytes), parquet.MaxRowsPerRowGroup(rowGroupRows),
		parquet.CreatedBy("tarn", "1", ""), parquet.DataPageStatistics(true))
	batch := make([]columns, 0, batchRows)
	for i := range rows {
		batch = append(batch, toColumns(&rows[i]))
		if len(batch) == batchRows || i == len(rows)-1 {
			if _, err := w.Write(batch); err != nil {
				return nil, fmt.Errorf("encode rows to %d: %w", i, err)
			}
			batch = batch[:0]
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end row file: %w", err)
	}
	return out.Bytes(), nil
}

func toColumns(r *Row) columns {
	c := columns{ID: r.ID, Key: r.Key, Vector: r.Vector}
	if len(r.Metadata) >= metadataLeast {
		text := string(r.Metadata)
		c.Metadata = &text
	}
	if r.Source.Version != "" {
		c.SourceKey, c.SourceVer = &r.Source.Key, &r.Source.Version
		c.SourceOffset, c.SourceBytes = &r.Source.Offset, &r.Source.Bytes
	}
	return c
}

func fromColumns(c *columns) Row {
	r := Row{ID: c.ID, Key: c.Key, Vector: c.Vector}
	if c.Metadata != nil {
		r.Metadata = []byte(*c.Metadata)
	}
	if c.SourceVer != nil {
		r.Source = Source{Key: *c.SourceKey, Version: *c.SourceVer, Offset: *c.SourceOffset, Bytes: *c.SourceBytes}
	}
	return r
}

// prove reads the whole file back, by Parquet and by page offsets, and compares.
func (r *RowFiles) prove(ctx context.Context, f *File, rows []Row) error {
	at := 0
	err := r.Scan(ctx, *f, func(row Row) error {
		if at >= len(rows) || !same(&rows[at], &row) {
			return fmt.Errorf("%w: row %d reads back differently", ErrCorrupt, at)
		}
		at++
		return nil
	})
	if err != nil {
		return fmt.Errorf("prove row file: %w", err)
	}
	if at != len(rows) {
		return fmt.Errorf("prove row file: %w: %d of %d rows", ErrCorrupt, at, len(rows))
	}
	got := make([]float32, f.Dimension)
	for i := range f.Pages {
		row := f.Pages[i].FirstRow
		if err := r.Vector(ctx, *f, row, got); err != nil {
			return fmt.Errorf("prove row file: %w", err)
		}
		if !equal(got, rows[row].Vector) {
			return fmt.Errorf("prove row file: %w: page %d does not begin with row %d", ErrCorrupt, i, row)
		}
	}
	return nil
}

func same(a, b *Row) bool {
	return a.ID == b.ID && a.Key == b.Key && equal(a.Vector, b.Vector) && a.Source == b.Source &&
		(bytes.Equal(a.Metadata, b.Metadata) || len(a.Metadata) < metadataLeast && len(b.Metadata) == 0)
}

func equal(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

// Scan decodes every row of a file in order. The row's slices are the callee's.
func (r *RowFiles) Scan(ctx context.Context, f File, each func(Row) error) (err error) {
	defer recovered(&err)
	in, err := parquet.OpenFile(&blobReader{ctx: ctx, store: r.store, blob: f.Blob}, f.Blob.Bytes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	rows := parquet.NewGenericReader[columns](in)
	defer rows.Close()
	for {
		batch := make([]columns, batchRows) // fresh: the rows handed out keep its slices
		n, err := rows.Read(batch)
		for i := range batch[:n] {
			if len(batch[i].Vector) != f.Dimension {
				return fmt.Errorf("%w: a vector of dimension %d among %d", ErrCorrupt, len(batch[i].Vector), f.Dimension)
			}
			if err := each(fromColumns(&batch[i])); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}

// recovered turns a decoder's panic over hostile bytes into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: the decoder failed: %v", ErrCorrupt, p)
	}
}

// Vector reads one row's vector into dst, of the file's dimension, in one range read.
func (r *RowFiles) Vector(ctx context.Context, f File, row int, dst []float32) error {
	off, err := f.offset(row)
	if err != nil {
		return err
	}
	raw := make([]byte, 4*f.Dimension)
	if err := r.store.ReadBlob(ctx, f.Blob, raw, off); err != nil {
		return fmt.Errorf("read vector of row %d: %w", row, err)
	}
	for i := range dst[:f.Dimension] {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}

// blobReader is a blob as Parquet readers want it.
type blobReader struct {
	ctx   context.Context // of the one scan that this reader serves
	store Store
	blob  objects.Blob
}

func (b *blobReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > b.blob.Bytes {
		return 0, fmt.Errorf("read at %d of %d bytes: %w", off, b.blob.Bytes, io.EOF)
	}
	short := off+int64(len(p)) > b.blob.Bytes
	if short {
		p = p[:b.blob.Bytes-off]
	}
	if err := b.store.ReadBlob(b.ctx, b.blob, p, off); err != nil {
		return 0, err
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}
