package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	parquetgo "github.com/parquet-go/parquet-go"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

var defaults = vectorColumns{key: "key", values: "vector"}

// readVectors reads a whole file in uneven batches.
func readVectors(name string, columns vectorColumns) ([]*tarnv1.Vector, error) {
	f, err := openVectorFile(name, columns)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []*tarnv1.Vector
	for {
		batch, err := f.next(3)
		out = append(out, batch...)
		if err == io.EOF {
			if n := f.total(); n >= 0 && n != int64(len(out)) {
				return out, fmt.Errorf("the total is %d, %d were read", n, len(out))
			}
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func put(t *testing.T, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// rowsJSON is what eight rows of every kind of vector column hold; row 2 has no note.
func rowsJSON() string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range 8 {
		note := fmt.Sprintf(`"note ü %d"`, i)
		if i == 2 {
			note = "null"
		}
		fmt.Fprintf(&b, `{"key":"k/%d","vector":[%d,0.1,-3e-9],"note":%s,"count":%d,"good":%v,"day":%d},`, i, i, note, i*1000, i%2 == 0, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "]"
}

func schemaOf(vector arrow.DataType) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "key", Type: arrow.BinaryTypes.String}, {Name: "vector", Type: vector},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "count", Type: arrow.PrimitiveTypes.Int64},
		{Name: "good", Type: arrow.FixedWidthTypes.Boolean}, {Name: "day", Type: arrow.FixedWidthTypes.Date32},
	}, nil)
}

func recordOf(t *testing.T, schema *arrow.Schema, rows string) arrow.RecordBatch {
	t.Helper()
	r, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parquetBytes(t *testing.T, parts ...arrow.RecordBatch) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pqarrow.NewFileWriter(parts[0].Schema(), &b, parquet.NewWriterProperties(), pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	// Two row groups of batches of their own: the writer forgets the offset of a sliced
	// fixed-size list.
	for _, part := range parts {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func arrowBytes(t *testing.T, batch arrow.RecordBatch, stream bool) []byte {
	t.Helper()
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	if stream {
		w = ipc.NewWriter(&b, ipc.WithSchema(batch.Schema()))
	} else {
		file, err := ipc.NewFileWriter(&b, ipc.WithSchema(batch.Schema()))
		if err != nil {
			t.Fatal(err)
		}
		w = file
	}
	// Slices, so that offsets within a batch are not zero.
	if err := errors.Join(w.Write(batch.NewSlice(0, 5)), w.Write(batch.NewSlice(5, batch.NumRows())), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func expectRows(t *testing.T, got []*tarnv1.Vector, metadata ...string) {
	t.Helper()
	if len(got) != 8 {
		t.Fatalf("%d rows", len(got))
	}
	all := func(i int) map[string]any {
		m := map[string]any{"note": fmt.Sprintf("note ü %d", i), "count": float64(i * 1000), "good": i%2 == 0}
		if i == 2 {
			delete(m, "note")
		}
		return m
	}
	for i, v := range got {
		want := all(i)
		for name := range all(i) {
			if len(metadata) > 0 && !strings.Contains(strings.Join(metadata, " "), name) {
				delete(want, name)
			}
		}
		values := littleEndian([]float32{float32(i), 0.1, -3e-9})
		if v.Key != fmt.Sprintf("k/%d", i) || !bytes.Equal(v.Values, values) || !reflect.DeepEqual(v.Metadata.AsMap(), want) {
			t.Errorf("row %d: %v, want metadata %v", i, v, want)
		}
	}
}

func TestColumnsAreReadExactlyAsWritten(t *testing.T) {
	kinds := map[string]arrow.DataType{
		"list of float32":    arrow.ListOf(arrow.PrimitiveTypes.Float32),
		"fixed-size list":    arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Float32),
		"list of float64":    arrow.ListOf(arrow.PrimitiveTypes.Float64),
		"fixed-size float64": arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Float64),
		"large list":         arrow.LargeListOf(arrow.PrimitiveTypes.Float32),
	}
	for kind, vector := range kinds {
		batch := recordOf(t, schemaOf(vector), rowsJSON())
		head, tail, _ := strings.Cut(rowsJSON(), `,{"key":"k/5"`)
		parts := []arrow.RecordBatch{recordOf(t, schemaOf(vector), head+"]"), recordOf(t, schemaOf(vector), `[{"key":"k/5"`+tail)}
		for name, content := range map[string][]byte{
			"a.parquet": parquetBytes(t, parts...), "file.arrow": arrowBytes(t, batch, false), "stream.arrow": arrowBytes(t, batch, true),
		} {
			path := put(t, name, content)
			t.Run(kind+" "+name, func(t *testing.T) {
				got, err := readVectors(path, defaults)
				if err != nil {
					t.Fatal(err)
				}
				expectRows(t, got)
				chosen := defaults
				chosen.metadata = []string{"note", "good"}
				if got, err = readVectors(path, chosen); err != nil {
					t.Fatal(err)
				}
				expectRows(t, got, "note", "good")
			})
		}
	}
}

func TestParquetOfAnotherWriterIsRead(t *testing.T) {
	type row struct {
		Name  string    `parquet:"name"`
		Plain []float32 `parquet:"plain"`
		List  []float64 `parquet:"list,list"`
		Big   uint64    `parquet:"big"`
	}
	var b bytes.Buffer
	w := parquetgo.NewGenericWriter[row](&b, parquetgo.MaxRowsPerRowGroup(2))
	var rows []row
	for i := range 7 {
		rows = append(rows, row{fmt.Sprint("n", i), []float32{float32(i), 2.5}, []float64{float64(i), 2.5}, uint64(i)})
	}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := put(t, "other.PARQUET", b.Bytes())
	for _, column := range []string{"plain", "list"} {
		got, err := readVectors(name, vectorColumns{key: "name", values: column})
		if err != nil || len(got) != 7 {
			t.Fatalf("%s: %d rows, %v", column, len(got), err)
		}
		for i, v := range got {
			if v.Key != fmt.Sprint("n", i) || !bytes.Equal(v.Values, littleEndian([]float32{float32(i), 2.5})) || v.Metadata.Fields["big"].GetNumberValue() != float64(i) {
				t.Errorf("%s, row %d: %v", column, i, v)
			}
		}
	}
}

func TestColumnErrorsNameColumnAndRow(t *testing.T) {
	list := schemaOf(arrow.ListOf(arrow.PrimitiveTypes.Float64))
	good := rowsJSON()
	cases := []struct {
		about   string
		columns vectorColumns
		rows    string
		want    []string
	}{
		{"no key column", vectorColumns{key: "id", values: "vector"}, good, []string{"--key-column", `"id"`, "[key vector note count good day]"}},
		{"no vector column", vectorColumns{key: "key", values: "v"}, good, []string{"--vector-column", `"v"`, "[key vector note"}},
		{"no metadata column", vectorColumns{key: "key", values: "vector", metadata: []string{"note", "colour"}}, good, []string{"--metadata", `"colour"`, "[key vector note"}},
		{"metadata of a kind that is none", vectorColumns{key: "key", values: "vector", metadata: []string{"day"}}, good, []string{"--metadata", "column day is date32"}},
		{"a vector column of text", vectorColumns{key: "key", values: "note"}, good, []string{"column note", "utf8"}},
		{"a key column of lists", vectorColumns{key: "vector", values: "vector"}, good, []string{"column vector", "needs text or whole numbers"}},
		{"a null key", vectorColumns{key: "note", values: "vector"}, good, []string{"row 2", "column note", "null"}},
		{"a null within", defaults, strings.Replace(good, "[6,0.1", "[6,null", 1), []string{"row 6", "column vector", "holds null"}},
		{"too great", defaults, strings.Replace(good, "[6,0.1", "[6,1e300", 1), []string{"row 6", "column vector", "too great for float32"}},
	}
	for _, c := range cases {
		batch := recordOf(t, list, c.rows)
		for name, content := range map[string][]byte{"a.parquet": parquetBytes(t, batch), "a.arrow": arrowBytes(t, batch, false)} {
			_, err := readVectors(put(t, name, content), c.columns)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: %v, want %q", c.about, name, err, want)
				}
			}
		}
	}
}

func TestMetadataNumbersAreFinite(t *testing.T) {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues([]float64{1, math.NaN(), math.Inf(1)}, nil)
	a := b.NewArray()
	for row, want := range []bool{true, false, false} {
		if _, ok := scalar(a, row); ok != want {
			t.Errorf("row %d: %v", row, ok)
		}
	}
}

// TestDamagedColumnFilesAreErrors cuts files at many lengths and spoils bytes: an
// error or rows, never a panic.
func TestDamagedColumnFilesAreErrors(t *testing.T) {
	batch := recordOf(t, schemaOf(arrow.ListOf(arrow.PrimitiveTypes.Float32)), rowsJSON())
	for name, whole := range map[string][]byte{"a.parquet": parquetBytes(t, batch), "file.arrow": arrowBytes(t, batch, false), "stream.arrow": arrowBytes(t, batch, true)} {
		step := max(1, len(whole)/20) // some spoilt lengths make the decoder take much memory
		if os.Getenv("TARN_SOAK") != "" {
			step = 1
		}
		path := put(t, name, nil)
		for at := 0; at < len(whole); at += step {
			if err := os.WriteFile(path, whole[:at], 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := readVectors(path, defaults); err == nil && len(got) == 8 && name == "a.parquet" {
				t.Errorf("%s of %d bytes: all rows from %d bytes", name, len(whole), at)
			}
			spoilt := bytes.Clone(whole)
			spoilt[at] ^= 0xff
			if err := os.WriteFile(path, spoilt, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _ = readVectors(path, defaults)
		}
	}
	if _, err := readVectors(filepath.Join(t.TempDir(), "none.parquet"), defaults); statusOf(err) != statusUsage {
		t.Errorf("no such file: %v", err)
	}
	if _, err := readVectors("a.csv", defaults); statusOf(err) != statusUsage || !strings.Contains(err.Error(), ".csv") {
		t.Errorf("another kind: %v", err)
	}
}
