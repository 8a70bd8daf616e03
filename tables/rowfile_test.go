package tables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
)

// shelf is a store of blobs in memory; each blob's Inline holds its number.
type shelf struct {
	blobs [][]byte
	spoil func(raw []byte) // changes what is kept, after it was written
}

func (s *shelf) WriteBlob(_ context.Context, r io.Reader, size int64) (objects.Blob, error) {
	raw, err := io.ReadAll(r)
	if err != nil || int64(len(raw)) != size {
		return objects.Blob{}, fmt.Errorf("wrote %d of %d: %w", len(raw), size, err)
	}
	if s.spoil != nil {
		s.spoil(raw)
	}
	s.blobs = append(s.blobs, raw)
	return objects.Blob{Bytes: size, Inline: []byte{byte(len(s.blobs) - 1)}}, nil
}

func (s *shelf) ReadBlob(_ context.Context, b objects.Blob, p []byte, off int64) error {
	raw := s.blobs[b.Inline[0]]
	if off < 0 || off+int64(len(p)) > int64(len(raw)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, raw[off:])
	return nil
}

func someRows(seed uint64, n, dimension int) []Row {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = Row{ID: uint64(1000 + i), Key: fmt.Sprintf("key-%d", i), Vector: make([]float32, dimension)}
		for j := range rows[i].Vector {
			rows[i].Vector[j] = float32(r.NormFloat64())
		}
		if i%3 != 0 {
			rows[i].Metadata = fmt.Appendf(nil, `{"n":%d,"text":"row %d"}`, i, i)
		}
		if i%5 == 0 {
			rows[i].Source = Source{Key: "doc", Version: strings.Repeat("ab", 16), Offset: int64(i), Bytes: 7}
		}
	}
	return rows
}

func TestEveryRowIsOneRangeRead(t *testing.T) {
	for _, c := range []struct{ rows, dimension int }{{1, 1}, {7, 3}, {3000, 384}, {40000, 17}, {300, 4096}} {
		s := &shelf{}
		files := NewRowFiles(s)
		rows := someRows(7, c.rows, c.dimension)
		f, err := files.Write(t.Context(), rows)
		if err != nil {
			t.Fatalf("%d × %d: %v", c.rows, c.dimension, err)
		}
		got := make([]float32, c.dimension)
		for i := range rows {
			if err := files.Vector(t.Context(), f, i, got); err != nil {
				t.Fatal(err)
			}
			if !equal(got, rows[i].Vector) {
				t.Fatalf("%d × %d: row %d reads back differently", c.rows, c.dimension, i)
			}
		}
		if err := files.Vector(t.Context(), f, c.rows, got); !errors.Is(err, ErrRow) {
			t.Errorf("a row beyond the end: %v", err)
		}
		if f.FirstID != 1000 || f.LastID != uint64(999+c.rows) || f.Rows != c.rows {
			t.Errorf("file says ids %d to %d, %d rows", f.FirstID, f.LastID, f.Rows)
		}
	}
}

func TestAFileThatDoesNotReadBackIsRefused(t *testing.T) {
	rows := someRows(3, 500, 16)
	whole := &shelf{}
	if _, err := NewRowFiles(whole).Write(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	size := len(whole.blobs[0])
	missed := 0
	for at := 0; at < size; at += 97 {
		s := &shelf{spoil: func(raw []byte) { raw[at] ^= 0x55 }}
		if _, err := NewRowFiles(s).Write(t.Context(), rows); err == nil {
			missed++ // statistics and names may rot without changing a row
		}
	}
	if tried := size/97 + 1; missed > tried/4 {
		t.Errorf("%d of %d spoiled files were taken for good", missed, tried)
	}
	s := &shelf{spoil: func(raw []byte) { // one bit of one number
		at := bytes.Index(raw, floatBytes(rows[200].Vector[:4]))
		raw[at] ^= 1
	}}
	if _, err := NewRowFiles(s).Write(t.Context(), rows); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a flipped bit of a vector: %v", err)
	}
}

func floatBytes(v []float32) []byte {
	var out []byte
	for _, x := range v {
		b := math.Float32bits(x)
		out = append(out, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	return out
}

func TestBadRowsAreRefusedByName(t *testing.T) {
	cases := map[string][]Row{
		"rows": nil, "dimension": {{Key: "a"}},
		"rows[1].vector": {{Key: "a", Vector: []float32{1}}, {Key: "b", Vector: []float32{1, 2}}},
	}
	for field, rows := range cases {
		_, err := NewRowFiles(&shelf{}).Write(t.Context(), rows)
		var bad *objects.InvalidError
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("want %s refused, got %v", field, err)
		}
	}
}

// Another reader must see the same rows: pyarrow, where it is installed beside python3.
func TestOthersReadTheRows(t *testing.T) {
	s := &shelf{}
	if _, err := NewRowFiles(s).Write(t.Context(), someRows(5, 2000, 24)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rows.parquet")
	if err := os.WriteFile(name, s.blobs[0], 0o600); err != nil {
		t.Fatal(err)
	}
	python := os.Getenv("TARN_TEST_PYTHON")
	if python == "" {
		t.Skip("needs an interpreter with pyarrow in TARN_TEST_PYTHON; `make test-clients` prepares one")
	}
	out, err := exec.Command(python, "-c", `
import sys, pyarrow.parquet as pq
t = pq.read_table(sys.argv[1])
print(t.num_rows, t.schema.field("vector").type, t["key"][1999], len(t["vector"][0]), t["metadata"][1])`, name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := `2000 list<element: float not null> key-1999 24 {"n":1,"text":"row 1"}`; strings.TrimSpace(string(out)) != want {
		t.Errorf("pyarrow reads %q, want %q", strings.TrimSpace(string(out)), want)
	}
}

func FuzzScanNeverPanics(f *testing.F) {
	s := &shelf{}
	if _, err := NewRowFiles(s).Write(context.Background(), someRows(1, 20, 4)); err != nil {
		f.Fatal(err)
	}
	f.Add(s.blobs[0])
	f.Add([]byte("PAR1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &shelf{blobs: [][]byte{raw}}
		file := File{Blob: objects.Blob{Bytes: int64(len(raw)), Inline: []byte{0}}, Rows: 20, Dimension: 4}
		_ = NewRowFiles(s).Scan(t.Context(), file, func(Row) error { return nil })
	})
}

func TestRowsAreReadByPlace(t *testing.T) {
	s := &shelf{}
	files := NewRowFiles(s)
	rows := someRows(11, 5000, 8)
	f, err := files.Write(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	places := []int{4999, 0, 1, 2, 2500, 17, 4998}
	got, err := files.Rows(t.Context(), f, places)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		if !same(&rows[p], &got[i]) {
			t.Errorf("row %d reads back as %+v", p, got[i])
		}
	}
	if _, err := files.Rows(t.Context(), f, []int{5000}); !errors.Is(err, ErrRow) {
		t.Errorf("a place beyond the end: %v", err)
	}
}

func TestDetailSurvivesItsEncoding(t *testing.T) {
	s := &shelf{}
	f, err := NewRowFiles(s).Write(t.Context(), someRows(2, 3000, 300))
	if err != nil {
		t.Fatal(err)
	}
	detail := f.EncodeDetail()
	back := File{Blob: f.Blob, FirstID: f.FirstID, LastID: f.LastID}
	if err := back.DecodeDetail(detail); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(back) != fmt.Sprint(f) || len(f.Pages) < 2 {
		t.Errorf("decodes to %v, was %v", back, f)
	}
	for n := range detail {
		if err := back.DecodeDetail(detail[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func FuzzDetailNeverPanics(f *testing.F) {
	whole := File{Rows: 10, Dimension: 4, Pages: []Page{{0, 100}, {5, 300}}}
	f.Add(whole.EncodeDetail(), int64(1000))
	f.Fuzz(func(t *testing.T, raw []byte, size int64) {
		var file File
		file.Blob.Bytes = size
		if err := file.DecodeDetail(raw); err == nil && (file.Rows < 1 || len(file.Pages) < 1) {
			t.Errorf("took %x for %+v", raw, file)
		}
	})
}
