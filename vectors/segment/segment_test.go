package segment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/quantize"
)

func row(t testing.TB, id uint64, key, metadata string, v ...float32) Row {
	t.Helper()
	d, err := filter.Pack([]byte(metadata), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Row{ID: id, Key: key, Vector: v, Inverse: distance.Inverse(v), Document: d}
	if metadata != "" {
		r.Metadata = []byte(metadata)
	}
	return r
}

func someRows(t testing.TB) []Row {
	a := row(t, 7, "a", `{"y":2}`, 3, 4, 0)
	b := row(t, 9, "bé", "", 0, 0, 1)
	b.Source = &Source{Key: "doc", Version: objects.VersionID{1, 2, 15: 3}, Offset: 10, Length: 20}
	b.Neighbourhood = 5
	return []Row{a, b}
}

func TestRowsComeBackFromABlock(t *testing.T) {
	want := someRows(t)
	for shift := range 3 { // bytes that are not aligned are copied, not misread
		data := encode(t, want)
		moved := append(make([]byte, shift), data...)[shift:]
		k, err := OpenBlock(moved)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got := k.Row(i); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("row %d:\n%+v, want\n%+v", i, got, want[i])
			}
		}
		if k.SourceVersion(0) != [16]byte{} || k.SourceVersion(1) != want[1].Source.Version {
			t.Error("source versions differ")
		}
	}
}

func encode(t testing.TB, rows []Row) []byte {
	t.Helper()
	data, err := EncodeBlock(rows, 3)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEmptyBlock(t *testing.T) {
	k, err := OpenBlock(encode(t, nil))
	if err != nil || k.Len() != 0 {
		t.Fatalf("%v, %v", k, err)
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	data := encode(t, someRows(t))
	covered := map[int]bool{}
	for i := range blockFixed + len(plainTiers)*tierEntryBytes {
		covered[i] = true
	}
	for i := range plainTiers {
		e := data[blockFixed+i*tierEntryBytes:]
		for j := range int(e[8]) | int(e[9])<<8 {
			covered[int(e[4])|int(e[5])<<8+j] = true
		}
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x40
		if _, err := OpenBlock(bad); err == nil && covered[i] {
			t.Errorf("a changed byte %d goes unnoticed", i)
		}
	}
	for n := range data {
		if _, err := OpenBlock(data[:n:n]); err == nil {
			t.Fatalf("a block cut to %d bytes opens", n)
		}
	}
	newer := bytes.Clone(data)
	newer[4] = 4
	if _, err := OpenBlock(newer); !errors.Is(err, ErrVersion) {
		t.Errorf("a newer version: %v", err)
	}
}

func TestSegmentLeadsToItsBlocks(t *testing.T) {
	s := Builder{Sequence: 11, Dimension: 3}
	rows := someRows(t)
	for i, n := range []uint32{30, 2, 17} {
		if err := s.Add(n, rows[:1+i%2]); err != nil {
			t.Fatal(err)
		}
	}
	data, head := s.Finish()
	entries, err := Directory(data[:head], 11, int64(len(data)))
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v", entries, err)
	}
	e, ok := Find(entries, 2)
	if !ok || e.Rows != 2 {
		t.Fatalf("neighbourhood 2 is %+v, %v", e, ok)
	}
	k, err := OpenBlock(data[e.Offset : e.Offset+int64(e.Bytes)])
	if err != nil || k.Key(1) != "bé" {
		t.Fatalf("%v, %v", k, err)
	}
	if _, ok := Find(entries, 3); ok {
		t.Error("a neighbourhood that is not there was found")
	}
	for i := range head {
		bad := bytes.Clone(data[:head])
		bad[i] ^= 1
		if _, err := Directory(bad, 11, int64(len(data))); err == nil {
			t.Errorf("a changed byte %d of the directory goes unnoticed", i)
		}
	}
	if _, err := Directory(data[:head], 12, int64(len(data))); err == nil {
		t.Error("another segment's directory was taken")
	}
	if _, err := Directory(data[:head], 11, int64(len(data))-1); err == nil {
		t.Error("a block outside the file was taken")
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares an annotated dump; blocks of zeros are left out.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	var b strings.Builder
	for at := 0; at < len(data); at += 16 {
		line := data[at:min(at+16, len(data))]
		if bytes.Count(line, []byte{0}) < len(line) {
			fmt.Fprintf(&b, "%04x  %-32s\n", at, hex.EncodeToString(line))
		}
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("%s: bytes are\n%s, want\n%s", name, got, want)
	}
}

func TestFormatsStayAsTheyAre(t *testing.T) {
	golden(t, "block.v1", encode(t, someRows(t)))
	s := Builder{Sequence: 11, Dimension: 3}
	if err := s.Add(4, someRows(t)); err != nil {
		t.Fatal(err)
	}
	data, _ := s.Finish()
	golden(t, "segment.v2", data)
	s = Builder{Sequence: 12, Dimension: 3, Metric: distance.Euclidean}
	if err := s.AddCoded(4, []float32{1, 1, 1}, someRows(t)); err != nil {
		t.Fatal(err)
	}
	data, _ = s.Finish()
	golden(t, "coded.v2", data)
}

// celled is rows in cells, the second of them empty, with the cells.
func celled(t testing.TB) (rows []Row, cells *quantize.Cells, ends []uint32) {
	centroid := []float32{1, 1, 1}
	points := append(quantize.RotationOf(3).Turned([]float32{3, 4, 0}), quantize.RotationOf(3).Turned([]float32{-9, 0, 0})...)
	points = append(points, quantize.RotationOf(3).Turned([]float32{0, 0, 2})...)
	return someRows(t), quantize.NewCells(distance.Euclidean, centroid, points), []uint32{1, 1, 2}
}

func celledSegment(t testing.TB) (data []byte, head int) {
	rows, cells, ends := celled(t)
	s := Builder{Sequence: 13, Dimension: 3, Metric: distance.Euclidean}
	if err := s.AddCoded(3, []float32{1, 1, 1}, rows); err != nil {
		t.Fatal(err)
	}
	if err := s.AddCelled(4, cells, ends, rows, nil); err != nil {
		t.Fatal(err)
	}
	return s.Finish()
}

func TestCellsComeBack(t *testing.T) {
	rows, cells, _ := celled(t)
	data, head := celledSegment(t)
	golden(t, "celled.v3", data)
	entries, err := Directory(data[:head], 13, int64(len(data)))
	if err != nil || len(entries) != 2 || entries[0].Cells != nil || !bytes.Equal(entries[1].Cells, cells.Data()) || CellsIn(entries[1].Cells, 3) != 3 {
		t.Fatalf("%+v, %v", entries, err)
	}
	b := data[entries[1].Offset:][:entries[1].Bytes]
	for _, end := range []uint32{entries[1].Hot, entries[1].Warm, entries[1].Bytes} {
		k, err := OpenPart(b[:end:end], len(b))
		if err != nil || k.Cells() != 3 || k.CellOf(0) != 0 || k.CellOf(1) != 2 {
			t.Fatalf("the first %d bytes: %d cells, rows in %d and %d, %v", end, k.Cells(), k.CellOf(0), k.CellOf(1), err)
		}
		size := quantize.ChunkBytes(k.Width())
		for i, want := range []Run{{First: 0, Rows: 1}, {First: 1, Rows: 0}, {First: 1, Rows: 1}} {
			if got := k.Cell(i); got.First != want.First || got.Rows != want.Rows || len(got.Chunks) != size*want.Rows {
				t.Errorf("cell %d: %d rows from %d on, %d bytes", i, got.Rows, got.First, len(got.Chunks))
			}
		}
	}
	whole, err := OpenBlock(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if got := whole.Row(i); !reflect.DeepEqual(got, rows[i]) {
			t.Errorf("row %d:\n%+v, want\n%+v", i, got, rows[i])
		}
	}
}

func TestCellsThatDoNotFitAreRefused(t *testing.T) {
	rows, cells, _ := celled(t)
	for _, ends := range [][]uint32{{1, 2}, {1, 1, 1}, {1, 1, 3}} {
		if _, _, _, err := EncodeCelled(rows, distance.Euclidean, cells, ends, nil); err == nil {
			t.Errorf("cells that end at %v are written", ends)
		}
	}
	data, head := celledSegment(t)
	for _, change := range []func(h []byte){
		func(h []byte) { h[segmentFixed+entryBytes+28] = 2 },                             // cells are left over
		func(h []byte) { h[segmentFixed+entryBytes+28] = 9 },                             // or lacking
		func(h []byte) { copy(h[segmentFixed+2*entryBytes:], []byte{0, 0, 0xc0, 0x7f}) }, // a step that is no number
	} {
		h := bytes.Clone(data[:head])
		change(h)
		putSum(h, 24, directorySum(h))
		if _, err := Directory(h, 13, int64(len(data))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v", err)
		}
	}
}

func TestReleasedSegmentOpens(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "segment.v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Directory(data[:align(segmentFixed+entryBytesV1)], 11, int64(len(data)))
	if err != nil || len(entries) != 1 || entries[0].Neighbourhood != 4 || entries[0].Hot != entries[0].Bytes {
		t.Fatalf("%+v, %v", entries, err)
	}
	k, err := OpenBlock(data[entries[0].Offset:][:entries[0].Bytes])
	if err != nil || k.Coded() {
		t.Fatalf("coded %v, %v", k.Coded(), err)
	}
	if got, want := k.Row(1), someRows(t)[1]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestFrontOfACodedBlockOpensAlone(t *testing.T) {
	want := someRows(t)
	data, hot, warm, err := EncodeCoded(want, distance.Euclidean, []float32{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []int{hot, warm, len(data)} {
		k, err := OpenPart(data[:end:end], len(data))
		if err != nil {
			t.Fatalf("the first %d bytes: %v", end, err)
		}
		if !k.Coded() || k.HasBytes() != (end > hot) || k.HasVectors() != (end > warm) || k.IDs()[1] != want[1].ID {
			t.Errorf("the first %d of %d bytes: coded %v, bytes %v, vectors %v", end, len(data), k.Coded(), k.HasBytes(), k.HasVectors())
		}
		if end > hot && k.Key(1) != want[1].Key {
			t.Errorf("key %q", k.Key(1))
		}
		if at := k.VectorAt(1); words[float32](data[at : at+12])[2] != 1 {
			t.Errorf("row 1 does not lie at %d", at)
		}
	}
	for _, end := range []int{hot - 1, hot + 1, warm - 64, len(data) - 64} {
		if _, err := OpenPart(data[:end:end], len(data)); err == nil && end != warm-64 && end != len(data)-64 {
			t.Errorf("%d bytes, which end within a tier, open", end)
		}
	}
	k, err := OpenBlock(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got := k.Row(i); !reflect.DeepEqual(got, want[i]) {
			t.Errorf("row %d:\n%+v, want\n%+v", i, got, want[i])
		}
	}
}

func FuzzOpenPart(f *testing.F) {
	data, hot, warm, err := EncodeCoded(someRows(f), distance.Euclidean, []float32{1, 1, 1})
	if err != nil {
		f.Fatal(err)
	}
	for _, end := range []int{hot, warm, len(data)} {
		f.Add(data[:end], len(data))
	}
	rows, cells, ends := celled(f)
	data, hot, _, err = EncodeCelled(rows, distance.Euclidean, cells, ends, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:hot], len(data))
	f.Add(data, len(data))
	data, hot, _, err = EncodeCelled(rows, distance.Euclidean, cells, ends, guests(rows))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:hot], len(data))
	f.Add(data, len(data))
	f.Fuzz(func(t *testing.T, data []byte, whole int) {
		seal(data)
		k, err := OpenPart(bytes.Clone(data), whole)
		if err != nil || !k.Coded() || !k.HasBytes() {
			return
		}
		for i := range k.Len() {
			k.Wide(i)
		}
		for i := range k.Cells() {
			c := k.Cell(i)
			for row := range c.Rows {
				k.Wide(c.First + row)
			}
			for row := range c.Rows + len(c.Guests) {
				_ = c.Chunks[row/quantize.ChunkRows*quantize.ChunkBytes(k.Width())]
			}
		}
	})
}

func TestReleasedBlockOpens(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "block.v1.bin"))
	if *update {
		data, err = encode(t, someRows(t)), os.WriteFile(filepath.Join("testdata", "block.v1.bin"), encode(t, someRows(t)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := OpenBlock(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Row(1), someRows(t)[1]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func FuzzOpenBlock(f *testing.F) {
	f.Add(encode(f, someRows(f)))
	f.Add(encode(f, nil))
	f.Add([]byte("TVBK\x01\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seal(data)
		k, err := OpenBlock(bytes.Clone(data))
		if err != nil {
			return
		}
		for i := range k.Len() {
			k.Row(i)
		}
	})
}

// seal sets a block's checksums right, so that the fuzzer gets past them.
func seal(b []byte) {
	if len(b) < blockFixed {
		return
	}
	n := int(b[6]) | int(b[7])<<8
	table := blockFixed + n*tierEntryBytes
	if len(b) < table {
		return
	}
	putSums(b, n, table)
}

func FuzzDirectory(f *testing.F) {
	s := Builder{Sequence: 1, Dimension: 3}
	if err := s.Add(4, someRows(f)); err != nil {
		f.Fatal(err)
	}
	data, head := s.Finish()
	f.Add(data[:head])
	data, head = celledSegment(f)
	f.Add(data[:head])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= segmentFixed {
			putSum(data, 24, directorySum(data))
		}
		entries, err := Directory(data, 1, 1<<20)
		for _, e := range entries {
			if err == nil && e.Offset+int64(e.Bytes) > 1<<20 {
				t.Fatal("a block outside the file")
			}
		}
	})
}

func TestLargeBlocksComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]Row, 1000)
	for i := range rows {
		rows[i] = row(t, rng.Uint64(), fmt.Sprintf("key-%d", i), fmt.Sprintf(`{"n":%d}`, i), rng.Float32(), rng.Float32(), rng.Float32())
	}
	k, err := OpenBlock(encode(t, rows))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if !reflect.DeepEqual(k.Row(i), rows[i]) {
			t.Fatalf("row %d differs", i)
		}
	}
}
