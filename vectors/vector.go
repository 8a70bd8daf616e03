package vectors

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/segment"
)

// Source is the object version, and the bytes in it, that a vector describes.
// The object lies in the index's bucket.
type Source = segment.Source

// Vector is one vector as callers give and get it.
type Vector struct {
	Key      string
	Values   []float32
	Metadata []byte // JSON object of strings, numbers, booleans and arrays of them; nil: none
	Source   *Source
}

// squareMax bounds the squared length of a vector, so that no distance overflows.
const squareMax = 1e37

// Between these a squared length is one that any metric takes.
const plainLeast, plainMost = 1e-20, 1e20

// validateBatch turns vectors into rows without ids, or names what is wrong.
func validateBatch(spec *Spec, vectors []Vector) ([]segment.Row, error) {
	if len(vectors) == 0 || len(vectors) > BatchMax {
		return nil, invalid("vectors", "has %d vectors, must have 1 to %d", len(vectors), BatchMax)
	}
	rows := make([]segment.Row, len(vectors))
	seen := make(map[string]int, len(vectors))
	for i := range vectors {
		at := fmt.Sprintf("vectors[%d]", i)
		if first, twice := seen[vectors[i].Key]; twice {
			return nil, invalid(at+".key", "is that of vectors[%d] too", first)
		}
		seen[vectors[i].Key] = i
		row, err := validateVector(spec, &vectors[i], at)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

func validateVector(spec *Spec, v *Vector, at string) (segment.Row, error) {
	if err := validateKey(v.Key, at+".key"); err != nil {
		return segment.Row{}, err
	}
	if err := validateValues(spec, v.Values, at+".data"); err != nil {
		return segment.Row{}, err
	}
	doc, err := filter.Pack(v.Metadata, spec.filterable)
	if err != nil {
		return segment.Row{}, invalidBelow(at+".metadata", err)
	}
	if err := validateSource(v.Source, at+".source"); err != nil {
		return segment.Row{}, err
	}
	return segment.Row{Key: v.Key, Vector: v.Values, Inverse: distance.Inverse(v.Values), Document: doc, Metadata: v.Metadata, Source: v.Source}, nil
}

func validateKey(key, field string) error {
	if len(key) == 0 || len(key) > KeyBytesMax {
		return invalid(field, "has %d bytes, must have 1 to %d", len(key), KeyBytesMax)
	}
	if !utf8.ValidString(key) {
		return invalid(field, "is not UTF-8")
	}
	return nil
}

func validateValues(spec *Spec, values []float32, field string) error {
	if len(values) != spec.Dimension {
		return invalid(field, "has %d numbers, but the index has dimension %d", len(values), spec.Dimension)
	}
	if s := distance.Dot(values, values); s > plainLeast && s < plainMost {
		return nil // which it would not be with a number that is not finite
	}
	var square float64
	for i, x := range values {
		f := float64(x)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return invalid(fmt.Sprintf("%s[%d]", field, i), "is %v, must be finite", x)
		}
		square += f * f
	}
	if square > squareMax {
		return invalid(field, "is longer than %.2g", math.Sqrt(squareMax))
	}
	if spec.Metric == distance.Cosine && square < 1/squareMax {
		return invalid(field, "is zero, or too short to have a direction, which cosine needs")
	}
	return nil
}

func validateSource(s *Source, field string) error {
	switch {
	case s == nil:
		return nil
	case s.Version == objects.VersionID{}:
		return invalid(field+".version", "is missing")
	case s.Key == "" || len(s.Key) > objects.KeyBytesMax:
		return invalid(field+".key", "has %d bytes, must have 1 to %d", len(s.Key), objects.KeyBytesMax)
	case s.Offset < 0 || s.Length < 0:
		return invalid(field, "offset and length must not be negative")
	}
	return nil
}

func validateKeys(keys []string, most int) error {
	if len(keys) == 0 || len(keys) > most {
		return invalid("keys", "has %d keys, must have 1 to %d", len(keys), most)
	}
	for i, k := range keys {
		if err := validateKey(k, fmt.Sprintf("keys[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}
