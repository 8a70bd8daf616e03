package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// lineBytesMax bounds one line of JSON.
const lineBytesMax = 16 << 20

// jsonlFile reads {"key":…,"vector":[…],"metadata":{…}} a line.
type jsonlFile struct {
	file  *os.File
	lines *bufio.Scanner
	line  int
}

func openJSONL(name string) (vectorFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<20), lineBytesMax)
	return &jsonlFile{file: f, lines: lines}, nil
}

func (j *jsonlFile) total() int64 { return -1 }
func (j *jsonlFile) Close() error { return j.file.Close() }

func (j *jsonlFile) next(n int) ([]*tarnv1.Vector, error) {
	var out []*tarnv1.Vector
	for len(out) < n {
		if !j.lines.Scan() {
			if err := j.lines.Err(); err != nil {
				return out, fmt.Errorf("line %d: %w", j.line+1, err)
			}
			return out, io.EOF
		}
		j.line++
		if strings.TrimSpace(j.lines.Text()) == "" {
			continue
		}
		v, err := parseLine(j.lines.Bytes())
		if err != nil {
			return out, &usageError{fmt.Sprintf("line %d: %v", j.line, err)}
		}
		out = append(out, v)
	}
	return out, nil
}

func parseLine(line []byte) (*tarnv1.Vector, error) {
	var row struct {
		Key      string         `json:"key"`
		Vector   []float32      `json:"vector"`
		Metadata map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return nil, err
	}
	metadata, err := structpb.NewStruct(row.Metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return &tarnv1.Vector{Key: row.Key, Values: littleEndian(row.Vector), Metadata: metadata}, nil
}

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

// openFvecs reads the TEXMEX form: each row is its dimension as int32, then float32.
func openFvecs(name string) (vectorFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	in := bufio.NewReaderSize(f, 1<<20)
	head, err := in.Peek(4)
	if err != nil {
		return nil, &usageError{name + ": no row: " + err.Error()}
	}
	dimension := int64(binary.LittleEndian.Uint32(head))
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if dimension < 1 || dimension > 4096 || info.Size()%(4+4*dimension) != 0 {
		return nil, &usageError{fmt.Sprintf("%s: is not fvecs: %d bytes are no whole rows of dimension %d", name, info.Size(), dimension)}
	}
	return &rowFile{file: f, in: in, rows: info.Size() / (4 + 4*dimension), values: func(in io.Reader) ([]byte, error) {
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
func openNPY(name string) (vectorFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	in := bufio.NewReaderSize(f, 1<<20)
	header, err := npyHeader(in)
	if err != nil {
		return nil, &usageError{name + ": " + err.Error()}
	}
	descr, order, shape := npyDescr.FindStringSubmatch(header), npyOrder.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || order == nil || shape == nil || order[1] != "False" {
		return nil, &usageError{name + ": needs a C-ordered array of two dimensions, has " + header}
	}
	rows, _ := strconv.ParseInt(shape[1], 10, 64)
	dimension, _ := strconv.ParseInt(shape[2], 10, 64)
	if dimension < 1 || dimension > 4096 {
		return nil, &usageError{fmt.Sprintf("%s: dimension %d is not in 1 to 4096", name, dimension)}
	}
	width := map[string]int64{"<f4": 4, "<f8": 8}[descr[1]]
	if width == 0 {
		return nil, &usageError{fmt.Sprintf("%s: numbers of type %s; needs <f4 or <f8", name, descr[1])}
	}
	return &rowFile{file: f, in: in, rows: rows, values: func(in io.Reader) ([]byte, error) {
		row := make([]byte, width*dimension)
		if _, err := io.ReadFull(in, row); err != nil {
			return nil, err
		}
		if width == 8 {
			row = narrow(row)
		}
		return row, nil
	}}, nil
}

// narrow turns float64 into float32, both little endian.
func narrow(row []byte) []byte {
	out := make([]byte, 0, len(row)/2)
	for ; len(row) > 0; row = row[8:] {
		v := math.Float64frombits(binary.LittleEndian.Uint64(row))
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
	}
	return out
}

func npyHeader(in io.Reader) (string, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:6]) != "\x93NUMPY" {
		return "", fmt.Errorf("is not an .npy file")
	}
	length := make([]byte, 2)
	if head[6] > 1 {
		length = make([]byte, 4)
	}
	if _, err := io.ReadFull(in, length); err != nil {
		return "", err
	}
	n := int64(binary.LittleEndian.Uint16(length))
	if len(length) == 4 {
		n = int64(binary.LittleEndian.Uint32(length))
	}
	if n > 1<<16 {
		return "", fmt.Errorf("its header has %d bytes, the most is 65536", n)
	}
	header := make([]byte, n)
	_, err := io.ReadFull(in, header)
	return string(header), err
}
