package s3vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/tarnlake/tarn/vectors"
)

// decode reads the input of an operation. Members that are not known are
// ignored, as the SDKs of later versions send them. What encoding/json would
// mend silently, changing a key, is refused.
func decode[T any](c *call) (*T, error) {
	var in T
	switch {
	case len(c.body) == 0:
		return &in, nil
	case !utf8.Valid(c.body):
		return nil, unreadable("it is not UTF-8")
	case loneSurrogate(c.body):
		return nil, unreadable(`a \u escape is half of a surrogate pair`)
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, decodeFault(err)
	}
	return &in, nil
}

func unreadable(reason string) *fault {
	return &fault{status: http.StatusBadRequest, kind: serialization, message: "the body is not the JSON of this operation: " + reason}
}

func decodeFault(err error) *fault {
	var kind *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &kind):
		return unreadable(err.Error())
	case kind.Field == "":
		return unreadable("it is a JSON " + kind.Value + ", not an object")
	}
	return invalid(kind.Field, "cannot take a JSON %s", kind.Value)
}

// loneSurrogate finds an escape such as \ud800 without its other half, which
// encoding/json reads as U+FFFD: two keys could become one.
func loneSurrogate(body []byte) bool {
	for {
		at := bytes.IndexByte(body, '\\')
		if at < 0 || at+1 >= len(body) {
			return false
		}
		high := surrogate(body[at:])
		switch {
		case high == 0:
			body = body[at+2:]
		case high < 0xdc00 && surrogate(body[at+6:]) >= 0xdc00:
			body = body[at+12:]
		default:
			return true
		}
	}
}

// surrogate is the half of a pair with whose escape the text begins; 0: none.
func surrogate(text []byte) uint64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	if half, err := strconv.ParseUint(string(text[2:6]), 16, 16); err == nil && half >= 0xd800 && half <= 0xdfff {
		return half
	}
	return 0
}

// vectorData is the union of the forms of a vector. The numbers stay raw, as
// encoding/json reads a null among them as 0 and cannot tell which one is wrong.
type vectorData struct {
	Float32 json.RawMessage `json:"float32"`
}

// numbers reads the numbers of a vector that stands at path.
func (d *vectorData) numbers(path string) ([]float32, error) {
	if d == nil || len(d.Float32) == 0 || string(d.Float32) == "null" {
		return nil, invalid(path+".float32", "is needed")
	}
	path += ".float32"
	rest, isList := bytes.CutPrefix(d.Float32, []byte("["))
	if !isList {
		return nil, invalid(path, "must be an array of numbers")
	}
	list := make([]float32, 0, min(bytes.Count(rest, []byte(","))+1, vectors.DimensionMax))
	for rest = blank(rest); rest[0] != ']'; rest = blank(rest) {
		if len(list) == vectors.DimensionMax {
			return nil, invalid(path, "has more than %d numbers", vectors.DimensionMax)
		}
		end := bytes.IndexAny(rest, ",] \t\r\n")
		x, err := number(rest[:max(end, 0)])
		if err != nil {
			return nil, invalid(fmt.Sprintf("%s[%d]", path, len(list)), "%v", err)
		}
		list = append(list, x)
		rest = bytes.TrimPrefix(blank(rest[end:]), []byte(","))
	}
	return list, nil
}

// blank skips white space, as JSON has it.
func blank(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

func number(text []byte) (float32, error) {
	if len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, errors.New("must be a finite number")
	}
	x, err := strconv.ParseFloat(string(text), 32)
	if err != nil {
		return 0, errors.New("does not fit into a float32")
	}
	return float32(x), nil
}
