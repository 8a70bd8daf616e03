package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func npy(version byte, header string, numbers ...any) []byte {
	b := []byte("\x93NUMPY")
	b = append(b, version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	b = append(b, header...)
	for _, n := range numbers {
		b, _ = binary.Append(b, binary.LittleEndian, n)
	}
	return b
}

func npyText(descr, order, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }          \n", descr, order, shape)
}

func fvecs(rows ...[]float32) []byte {
	var b []byte
	for _, row := range rows {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(row)))
		b = append(b, littleEndian(row)...)
	}
	return b
}

func TestFlatFilesAreReadExactlyAsWritten(t *testing.T) {
	rows := [][]float32{{1, -0.5}, {0.1, 3e-9}, {7, 8}, {float32(math.Pi), -0}}
	var singles, doubles []any
	for _, r := range rows {
		singles = append(singles, r)
		doubles = append(doubles, []float64{float64(r[0]), float64(r[1])})
	}
	for name, content := range map[string][]byte{
		"f4-1.npy": npy(1, npyText("<f4", "False", "(4, 2)"), singles...), "f4-2.npy": npy(2, npyText("<f4", "False", "(4, 2)"), singles...),
		"f8-1.npy": npy(1, npyText("<f8", "False", "(4,2)"), doubles...), "f8-3.npy": npy(3, npyText("<f8", "False", "(4, 2)"), doubles...),
		"a.fvecs": fvecs(rows...),
	} {
		got, err := readVectors(put(t, name, content), defaults)
		if err != nil || len(got) != len(rows) {
			t.Errorf("%s: %d rows, %v", name, len(got), err)
			continue
		}
		for i, v := range got {
			if v.Key != fmt.Sprint(i) || !bytes.Equal(v.Values, littleEndian(rows[i])) || v.Metadata != nil {
				t.Errorf("%s, row %d: %v", name, i, v)
			}
		}
	}
}

func TestLinesAreReadExactlyAsWritten(t *testing.T) {
	text := "\n{\"key\":\"a/ü\\n\",\"vector\":[1,-0.5,1e-9],\"metadata\":{\"n\":1.5,\"list\":[\"x\"],\"nothing\":null,\"yes\":true}}\r\n" +
		"  \n{\"vector\":[0.1],\"key\":\"b\",\"other\":1}\n{\"key\":\"c\",\"vector\":[]}"
	got, err := readVectors(put(t, "a.jsonl", []byte(text)), defaults)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	if v := got[0]; v.Key != "a/ü\n" || !bytes.Equal(v.Values, littleEndian([]float32{1, -0.5, 1e-9})) || fmt.Sprint(v.Metadata.AsMap()) != "map[list:[x] n:1.5 nothing:<nil> yes:true]" {
		t.Errorf("%v", v)
	}
	if got[1].Key != "b" || !bytes.Equal(got[1].Values, littleEndian([]float32{0.1})) || got[2].Key != "c" {
		t.Errorf("%v", got[1:])
	}
}

func TestDamagedFlatFilesSayWhatIsWrong(t *testing.T) {
	text := npyText("<f4", "False", "(2, 2)")
	four := []float32{1, 2, 3, 4}
	good := `{"key":"a","vector":[1]}` + "\n"
	cases := []struct{ name, content, want string }{
		{"order.npy", string(npy(1, npyText("<f4", "True", "(2, 2)"), four)), "C-ordered"},
		{"one.npy", string(npy(1, npyText("<f4", "False", "(4,)"), four)), "two dimensions"},
		{"three.npy", string(npy(1, npyText("<f4", "False", "(2, 2, 1)"), four)), "two dimensions"},
		{"big.npy", string(npy(1, npyText(">f4", "False", "(2, 2)"), four)), `">f4"`},
		{"ints.npy", string(npy(1, npyText("<i4", "False", "(2, 2)"), four)), `"<i4"`},
		{"wide.npy", string(npy(1, npyText("<f4", "False", "(1, 4097)"), four)), "dimension 4097"},
		{"huge.npy", string(npy(1, npyText("<f4", "False", "(99999999999999999999, 2)"), four)), "number of rows"},
		{"many.npy", string(npy(1, npyText("<f4", "False", "(9223372036854775807, 4096)"), four)), "cut off"},
		{"cut.npy", string(npy(1, text, four)[:len(npy(1, text, four))-1]), "names 2 rows, holds 1"},
		{"header.npy", string(npy(1, text)[:40]), "header is cut off"},
		{"headers.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", "header has 4294967295 bytes"},
		{"length.npy", "\x93NUMPY\x01\x00\x05", "header is cut off"},
		{"version.npy", string(npy(9, text, four)), "version 9"},
		{"empty.npy", "", "is not an .npy file"},
		{"inf.npy", string(npy(1, npyText("<f8", "False", "(1, 2)"), []float64{1, 1e300})), "row 0: 1e+300 is too great"},
		{"empty.fvecs", "", "no row"},
		{"zero.fvecs", "\x00\x00\x00\x00", "dimension 0"},
		{"negative.fvecs", "\xff\xff\xff\xff", "is not fvecs"},
		{"cut.fvecs", string(fvecs([]float32{1, 2}, []float32{3, 4})[:23]), "no whole rows"},
		{"uneven.fvecs", string(fvecs([]float32{1, 2}, []float32{3, 4, 5}, []float32{1})), "row 1: has dimension 3"},
		{"json.jsonl", good + "{", "line 2: unexpected end"},
		{"array.jsonl", "[1,2]", "line 1: json: cannot unmarshal array"},
		{"key.jsonl", good + "\n" + `{"vector":[1]}`, `line 3: needs "key"`},
		{"vector.jsonl", `{"key":"a"}`, `needs "key" and "vector"`},
		{"null.jsonl", `{"key":"a","vector":[1,null]}`, "null"},
		{"text.jsonl", `{"key":"a","vector":["1"]}`, "vector: json"},
		{"great.jsonl", `{"key":"a","vector":[1e39]}`, "vector: json"},
		{"number.jsonl", `{"key":5,"vector":[1]}`, "line 1: json"},
		{"utf8.jsonl", "{\"key\":\"\xff\",\"vector\":[1]}", "UTF-8"},
		{"long.jsonl", good + strings.Repeat("x", lineBytesMax+1), "line 2: bufio.Scanner: token too long"},
	}
	for _, c := range cases {
		if _, err := readVectors(put(t, c.name, []byte(c.content)), defaults); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// fuzzRows reads all rows that a parser finds, within what the input can hold.
func fuzzRows(t *testing.T, raw []byte, parse func(*bufio.Reader, int64) (*rowFile, error)) {
	r, err := parse(bufio.NewReader(bytes.NewReader(raw)), int64(len(raw)))
	if err != nil {
		return
	}
	if r.rows < 0 || r.rows > int64(len(raw)) {
		t.Fatalf("%d rows in %d bytes", r.rows, len(raw))
	}
	var read int64
	for {
		batch, err := r.next(100)
		for _, v := range batch {
			if len(v.Values) == 0 || len(v.Values)%4 != 0 {
				t.Fatalf("row of %d bytes", len(v.Values))
			}
		}
		read += int64(len(batch))
		if err != nil {
			if err == io.EOF && read != r.rows {
				t.Fatalf("%d rows, %d were read", r.rows, read)
			}
			return
		}
	}
}

func FuzzNPY(f *testing.F) {
	f.Add(npy(1, npyText("<f4", "False", "(2, 1)"), []float32{1, 2}))
	f.Add(npy(2, npyText("<f8", "False", "(2, 1)"), []float64{1, 1e300}))
	f.Add(npy(3, npyText("<f8", "True", "(99999999999999999999, 1)")))
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzRows(t, raw, parseNPY) })
}

func FuzzFvecs(f *testing.F) {
	f.Add(fvecs([]float32{1, 2}, []float32{3, 4}))
	f.Add([]byte("\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzRows(t, raw, parseFvecs) })
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"key":"a","vector":[1,2e-3],"metadata":{"a":[1,{"b":null}]}}`))
	f.Add([]byte(`{"key":"a","vector":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := parseLine(raw)
		if err == nil && (v.Key == "" || len(v.Values)%4 != 0) {
			t.Errorf("%v", v)
		}
	})
}
