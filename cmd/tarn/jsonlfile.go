package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

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
	if !utf8.Valid(line) {
		return nil, errors.New("is not UTF-8")
	}
	var row struct {
		Key      string          `json:"key"`
		Vector   json.RawMessage `json:"vector"`
		Metadata map[string]any  `json:"metadata"`
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return nil, err
	}
	if row.Key == "" || len(row.Vector) == 0 {
		return nil, errors.New(`needs "key" and "vector"`)
	}
	if bytes.Contains(row.Vector, []byte("null")) { // which encoding/json takes for zero
		return nil, errors.New("vector: is or holds null")
	}
	var values []float32
	if err := json.Unmarshal(row.Vector, &values); err != nil {
		return nil, fmt.Errorf("vector: %w", err)
	}
	metadata, err := structpb.NewStruct(row.Metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return &tarnv1.Vector{Key: row.Key, Values: littleEndian(values), Metadata: metadata}, nil
}
