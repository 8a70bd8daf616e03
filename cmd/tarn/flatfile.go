package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// What is believed of a file before its rows are read.
const (
	dimensionMax   = 4096
	headerBytesMax = 1 << 16
)

// rowFile holds rows of float32 one after another; row numbers are the keys.
type rowFile struct {
	file   *os.File
	in     *bufio.Reader
	rows   int64
	row    int64
	values func(in io.Reader) ([]byte, error) // one row, 4 bytes a number
}

func (r *rowFile) total() int64 { return r.rows }
func (r *rowFile) Close() error { return r.file.Close() }

func (r *rowFile) next(n int) ([]*tarnv1.Vector, error) {
	var out []*tarnv1.Vector
	for len(out) < n {
		if r.row == r.rows {
			return out, io.EOF
		}
		values, err := r.values(r.in)
		if err != nil {
			return out, fmt.Errorf("row %d: %w", r.row, err)
		}
		out = append(out, &tarnv1.Vector{Key: strconv.FormatInt(r.row, 10), Values: values})
		r.row++
	}
	return out, nil
}

// openRows opens a file and lets its format's parser find the rows.
func openRows(name string, parse func(in *bufio.Reader, size int64) (*rowFile, error)) (vectorFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	info, err := f.Stat()
	if err == nil {
		var r *rowFile
		if r, err = parse(bufio.NewReaderSize(f, 1<<20), info.Size()); err == nil {
			r.file = f
			return r, nil
		}
	}
	_ = f.Close()
	return nil, &usageError{name + ": " + err.Error()}
}

// openFvecs reads the TEXMEX form: each row is its dimension as int32, then float32.
func openFvecs(name string) (vectorFile, error) {
	return openRows(name, parseFvecs)
}

func parseFvecs(in *bufio.Reader, size int64) (*rowFile, error) {
	head, err := in.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("no row: %w", err)
	}
	dimension := int64(binary.LittleEndian.Uint32(head))
	if dimension < 1 || dimension > dimensionMax || size%(4+4*dimension) != 0 {
		return nil, fmt.Errorf("is not fvecs: %d bytes are no whole rows of dimension %d", size, dimension)
	}
	return &rowFile{in: in, rows: size / (4 + 4*dimension), values: func(in io.Reader) ([]byte, error) {
		row := make([]byte, 4+4*dimension)
		if _, err := io.ReadFull(in, row); err != nil {
			return nil, err
		}
		if d := int64(binary.LittleEndian.Uint32(row)); d != dimension {
			return nil, fmt.Errorf("has dimension %d, the first has %d", d, dimension)
		}
		return row[4:], nil
	}}, nil
}

var (
	npyDescr = regexp.MustCompile(`'descr':\s*'([^']*)'`)
	npyOrder = regexp.MustCompile(`'fortran_order':\s*(True|False)`)
	npyShape = regexp.MustCompile(`'shape':\s*\((\d+),\s*(\d+)\)`)
)

// openNPY reads a two-dimensional, C-ordered array of float32 or float64 (NumPy
// Enhancement Proposal 1, versions 1 to 3).
func openNPY(name string) (vectorFile, error) { return openRows(name, parseNPY) }

func parseNPY(in *bufio.Reader, size int64) (*rowFile, error) {
	header, begin, err := npyHeader(in)
	if err != nil {
		return nil, err
	}
	descr, order, shape := npyDescr.FindStringSubmatch(header), npyOrder.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || order == nil || shape == nil || order[1] != "False" {
		return nil, fmt.Errorf("needs a C-ordered array of two dimensions, has %.200q", strings.TrimSpace(header))
	}
	rows, err := strconv.ParseInt(shape[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("number of rows: %w", err)
	}
	dimension, err := strconv.ParseInt(shape[2], 10, 64)
	if err != nil || dimension < 1 || dimension > dimensionMax {
		return nil, fmt.Errorf("dimension %.20s is not in 1 to %d", shape[2], dimensionMax)
	}
	width := map[string]int64{"<f4": 4, "<f8": 8}[descr[1]]
	if width == 0 {
		return nil, fmt.Errorf("numbers of type %.20q; needs <f4 or <f8", descr[1])
	}
	if whole := (size - begin) / (width * dimension); rows > whole {
		return nil, fmt.Errorf("is cut off: names %d rows, holds %d", rows, whole)
	}
	return &rowFile{in: in, rows: rows, values: func(in io.Reader) ([]byte, error) {
		row := make([]byte, width*dimension)
		if _, err := io.ReadFull(in, row); err != nil {
			return nil, err
		}
		if width == 8 {
			return narrow(row)
		}
		return row, nil
	}}, nil
}

// narrow turns float64 into float32, both little endian.
func narrow(row []byte) ([]byte, error) {
	out := make([]byte, 0, len(row)/2)
	for ; len(row) > 0; row = row[8:] {
		v, err := narrowNumber(math.Float64frombits(binary.LittleEndian.Uint64(row)))
		if err != nil {
			return nil, err
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}

// narrowNumber rounds, but never to infinity.
func narrowNumber(v float64) (float32, error) {
	n := float32(v)
	if math.IsInf(float64(n), 0) && !math.IsInf(v, 0) {
		return 0, fmt.Errorf("%g is too great for float32", v)
	}
	return n, nil
}

// npyHeader returns the header's text and where the numbers begin.
func npyHeader(in io.Reader) (text string, begin int64, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:6]) != "\x93NUMPY" {
		return "", 0, errors.New("is not an .npy file")
	}
	if head[6] < 1 || head[6] > 3 {
		return "", 0, fmt.Errorf("is of .npy version %d, known are 1 to 3", head[6])
	}
	length := make([]byte, 4)
	field := length
	if head[6] == 1 {
		field = length[:2]
	}
	if _, err := io.ReadFull(in, field); err != nil {
		return "", 0, fmt.Errorf("its header is cut off: %w", err)
	}
	n := int64(binary.LittleEndian.Uint32(length))
	if n > headerBytesMax {
		return "", 0, fmt.Errorf("its header has %d bytes, the most is %d", n, headerBytesMax)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(in, header); err != nil {
		return "", 0, fmt.Errorf("its header is cut off: %w", err)
	}
	return string(header), int64(len(head)+len(field)) + n, nil
}
