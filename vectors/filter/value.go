package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the type of a packed value. Its numbers are kept on disk.
type kind byte

const (
	kindString kind = 1 + iota
	kindNumber
	kindFalse
	kindTrue
)

// value is one string, number or boolean.
type value struct {
	kind   kind
	text   string
	number float64
}

// Error says what is wrong with metadata or a filter, and where.
type Error struct {
	Path   string // such as "$and[1].year"; empty for the whole
	Reason string // with the limit
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

func fail(path, format string, args ...any) error {
	return &Error{Path: path, Reason: fmt.Sprintf(format, args...)}
}

// member is one name of a JSON object with its undecoded value, in order.
type member struct {
	name string
	raw  json.RawMessage
}

// members reads a JSON object, keeping order and refusing repeated names, which
// encoding/json would silently merge.
func members(raw []byte, path string) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	open, err := dec.Token()
	if err != nil {
		return nil, fail(path, "is not JSON: %v", err)
	}
	if open != json.Delim('{') {
		return nil, fail(path, "must be a JSON object")
	}
	var out []member
	seen := map[string]bool{}
	for dec.More() {
		m, err := nextMember(dec)
		if err != nil {
			return nil, fail(path, "is not JSON: %v", err)
		}
		if seen[m.name] {
			return nil, fail(join(path, m.name), "is named twice")
		}
		seen[m.name] = true
		out = append(out, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fail(path, "is not JSON: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fail(path, "has something after its end")
	}
	return out, nil
}

func nextMember(dec *json.Decoder) (member, error) {
	name, err := dec.Token()
	if err != nil {
		return member{}, err
	}
	m := member{name: name.(string)} // a decoder yields only strings here
	return m, dec.Decode(&m.raw)
}

// elements reads a JSON array.
func elements(raw []byte, path string) ([]json.RawMessage, error) {
	var out []json.RawMessage
	if first(raw) != '[' {
		return nil, fail(path, "must be an array")
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fail(path, "is not JSON: %v", err)
	}
	return out, nil
}

// first is the first byte of a JSON value that says its type.
func first(raw []byte) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// scalar reads a string, number or boolean.
func scalar(raw []byte, path string) (value, error) {
	switch c := first(raw); {
	case c == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return value{}, fail(path, "is not JSON: %v", err)
		}
		return value{kind: kindString, text: s}, nil
	case c == 't':
		return value{kind: kindTrue}, nil
	case c == 'f':
		return value{kind: kindFalse}, nil
	case c == '-' || c >= '0' && c <= '9':
		n, err := strconv.ParseFloat(strings.TrimSpace(string(raw)), 64)
		if err != nil || math.IsInf(n, 0) {
			return value{}, fail(path, "number is out of range")
		}
		return value{kind: kindNumber, number: n + 0}, nil
	case c == 'n':
		return value{}, fail(path, "null is not a value")
	}
	return value{}, fail(path, "must be a string, a number or a boolean")
}

func join(path, name string) string {
	if !utf8.ValidString(name) || len(name) > 64 {
		name = strconv.QuoteToASCII(name[:min(len(name), 64)])
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// compare orders two values of one kind: -1, 0 or 1. Only strings and numbers
// have an order; ok is false for anything else.
func compare(a, b value) (order int, ok bool) {
	switch {
	case a.kind != b.kind:
		return 0, false
	case a.kind == kindString:
		return strings.Compare(a.text, b.text), true
	case a.kind == kindNumber && a.number < b.number:
		return -1, true
	case a.kind == kindNumber && a.number > b.number:
		return 1, true
	}
	return 0, a.kind == kindNumber
}

func same(a, b value) bool {
	return a.kind == b.kind && a.text == b.text && a.number == b.number
}
