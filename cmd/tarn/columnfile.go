package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// columnFile reads vectors from Arrow record batches, wherever they come from.
type columnFile struct {
	columns vectorColumns
	rows    int64
	batch   func() (arrow.RecordBatch, error) // io.EOF at the end; the batch is the caller's
	close   func() error

	current arrow.RecordBatch
	row     int   // within current
	before  int64 // rows of the batches before it
}

func openParquet(name string, columns vectorColumns) (out vectorFile, err error) {
	defer hostile(&err)
	in, err := file.OpenParquetFile(name, false)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	reader, err := pqarrow.NewFileReader(in, pqarrow.ArrowReadProperties{BatchSize: 4096}, memory.DefaultAllocator)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	records, err := reader.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	return &columnFile{columns: columns, rows: in.NumRows(), close: in.Close, batch: func() (arrow.RecordBatch, error) {
		if !records.Next() {
			if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return nil, io.EOF
		}
		b := records.RecordBatch()
		b.Retain()
		return b, nil
	}}, nil
}

func openArrow(name string, columns vectorColumns) (out vectorFile, err error) {
	defer hostile(&err)
	f, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	if in, err := ipc.NewFileReader(f); err == nil {
		next := 0
		return &columnFile{columns: columns, rows: -1, close: f.Close, batch: func() (arrow.RecordBatch, error) {
			if next == in.NumRecords() {
				return nil, io.EOF
			}
			next++
			return in.RecordBatchAt(next - 1)
		}}, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in, err := ipc.NewReader(f)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%s: is no Arrow file and no Arrow stream: %v", name, err)}
	}
	return &columnFile{columns: columns, rows: -1, close: f.Close, batch: func() (arrow.RecordBatch, error) {
		if !in.Next() {
			if err := in.Err(); err != nil {
				return nil, err
			}
			return nil, io.EOF
		}
		b := in.RecordBatch()
		b.Retain()
		return b, nil
	}}, nil
}

func (c *columnFile) total() int64 { return c.rows }

func (c *columnFile) Close() error {
	if c.current != nil {
		c.current.Release()
	}
	return c.close()
}

func (c *columnFile) next(n int) (out []*tarnv1.Vector, err error) {
	defer hostile(&err)
	for len(out) < n {
		if c.current == nil || c.row == int(c.current.NumRows()) {
			if c.current != nil {
				c.before += c.current.NumRows()
				c.current.Release()
				c.current = nil
			}
			b, err := c.batch()
			if err == io.EOF && c.rows >= 0 && c.before != c.rows {
				return out, &usageError{fmt.Sprintf("the file is damaged: names %d rows, holds %d", c.rows, c.before)}
			}
			if err != nil {
				return out, err
			}
			c.current, c.row = b, 0
			continue
		}
		v, err := c.vector(c.current, c.row)
		if err != nil {
			return out, fmt.Errorf("row %d: %w", c.before+int64(c.row), err)
		}
		out = append(out, v)
		c.row++
	}
	return out, nil
}

// hostile turns a panic of the decoders into an error: they trust what a file says of
// itself more than a stranger's file deserves.
func hostile(err *error) {
	if p := recover(); p != nil {
		*err = &usageError{fmt.Sprintf("the file is damaged: %v", p)}
	}
}

func (c *columnFile) vector(b arrow.RecordBatch, row int) (*tarnv1.Vector, error) {
	key, err := column(b, c.columns.key, "--key-column")
	if err != nil {
		return nil, err
	}
	values, err := column(b, c.columns.values, "--vector-column")
	if err != nil {
		return nil, err
	}
	name, err := rowKey(key, row)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.columns.key, err)
	}
	numbers, err := rowValues(values, row)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.columns.values, err)
	}
	metadata, err := c.metadata(b, row)
	if err != nil {
		return nil, err
	}
	return &tarnv1.Vector{Key: name, Values: littleEndian(numbers), Metadata: metadata}, nil
}

// rowKey is text as it stands, bytes that are text, or a whole number.
func rowKey(a arrow.Array, row int) (string, error) {
	if a.IsNull(row) {
		return "", errors.New("is null")
	}
	key := ""
	switch a := a.(type) {
	case *array.Binary:
		key = string(a.Value(row))
	case *array.String, *array.LargeString, *array.StringView, *array.Dictionary,
		*array.Int8, *array.Int16, *array.Int32, *array.Int64, *array.Uint8, *array.Uint16, *array.Uint32, *array.Uint64:
		key = a.ValueStr(row)
	default:
		return "", fmt.Errorf("is %s; needs text or whole numbers", a.DataType())
	}
	if !utf8.ValidString(key) {
		return "", fmt.Errorf("%.40q is not UTF-8", key)
	}
	return strings.Clone(key), nil
}

func column(b arrow.RecordBatch, name, flag string) (arrow.Array, error) {
	at := b.Schema().FieldIndices(name)
	if len(at) == 0 {
		var have []string
		for _, f := range b.Schema().Fields() {
			have = append(have, f.Name)
		}
		return nil, &usageError{fmt.Sprintf("%s: no column %q; the file has %v", flag, name, have)}
	}
	return b.Column(at[0]), nil
}

// rowValues reads a list, a fixed-size list, or fixed-size binary of float32.
func rowValues(a arrow.Array, row int) ([]float32, error) {
	if a.IsNull(row) {
		return nil, errors.New("is null")
	}
	switch a := a.(type) {
	case array.ListLike:
		begin, end := a.ValueOffsets(row)
		return floats(a.ListValues(), int(begin), int(end))
	case *array.FixedSizeBinary:
		raw := a.Value(row)
		if len(raw)%4 != 0 {
			return nil, fmt.Errorf("%d bytes are no float32 values", len(raw))
		}
		return arrow.Float32Traits.CastFromBytes(raw), nil
	}
	return nil, fmt.Errorf("is %s; needs a list of numbers", a.DataType())
}

func floats(a arrow.Array, begin, end int) ([]float32, error) {
	if begin < 0 || begin > end || end > a.Len() {
		return nil, fmt.Errorf("is damaged: numbers %d to %d of %d", begin, end, a.Len())
	}
	for i := begin; a.NullN() > 0 && i < end; i++ {
		if a.IsNull(i) {
			return nil, errors.New("holds null")
		}
	}
	switch a := a.(type) {
	case *array.Float32:
		return a.Float32Values()[begin:end], nil
	case *array.Float64:
		out := make([]float32, end-begin)
		for i := range out {
			var err error
			if out[i], err = narrowNumber(a.Value(begin + i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *array.Float16:
		out := make([]float32, end-begin)
		for i := range out {
			out[i] = a.Value(begin + i).Float32()
		}
		return out, nil
	}
	return nil, fmt.Errorf("is a list of %s; needs floating-point numbers", a.DataType())
}

func (c *columnFile) metadata(b arrow.RecordBatch, row int) (*structpb.Struct, error) {
	for _, name := range c.columns.metadata {
		if _, err := column(b, name, "--metadata"); err != nil {
			return nil, err
		}
	}
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for i, f := range b.Schema().Fields() {
		if f.Name == c.columns.key || f.Name == c.columns.values {
			continue
		}
		chosen := slices.Contains(c.columns.metadata, f.Name)
		if (len(c.columns.metadata) > 0 && !chosen) || b.Column(i).IsNull(row) {
			continue
		}
		v, ok := scalar(b.Column(i), row)
		if !ok && chosen {
			return nil, &usageError{fmt.Sprintf("--metadata: column %s is %s; row %d needs text, a finite number or a boolean", f.Name, f.Type, c.before+int64(row))}
		}
		if ok {
			out.Fields[f.Name] = v
		}
	}
	return out, nil
}

func scalar(a arrow.Array, row int) (*structpb.Value, bool) {
	switch a := a.(type) {
	case *array.String:
		return text(a.Value(row))
	case *array.LargeString:
		return text(a.Value(row))
	case *array.StringView:
		return text(a.Value(row))
	case *array.Dictionary:
		return text(a.ValueStr(row))
	case *array.Boolean:
		return structpb.NewBoolValue(a.Value(row)), true
	case *array.Float64:
		return number(a.Value(row))
	case *array.Float32:
		return number(float64(a.Value(row)))
	case *array.Int64:
		return number(float64(a.Value(row)))
	case *array.Int32:
		return number(float64(a.Value(row)))
	case *array.Int16:
		return number(float64(a.Value(row)))
	case *array.Int8:
		return number(float64(a.Value(row)))
	case *array.Uint64:
		return number(float64(a.Value(row)))
	case *array.Uint32:
		return number(float64(a.Value(row)))
	case *array.Uint16:
		return number(float64(a.Value(row)))
	case *array.Uint8:
		return number(float64(a.Value(row)))
	}
	return nil, false
}

// text outlives the batch that it stood in.
func text(v string) (*structpb.Value, bool) {
	return structpb.NewStringValue(strings.Clone(v)), utf8.ValidString(v)
}

// number is metadata's one kind of number, which JSON must be able to write.
func number(v float64) (*structpb.Value, bool) {
	return structpb.NewNumberValue(v), !math.IsNaN(v) && !math.IsInf(v, 0)
}
