package vectors

import (
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/filter"
)

// Errors on which callers branch.
var (
	ErrNoIndex     = errors.New("vectors: no such index")
	ErrIndexExists = errors.New("vectors: index exists")
	ErrNoVector    = errors.New("vectors: no such vector")
	ErrCorrupt     = errors.New("vectors: an index value does not decode")
	ErrClosed      = errors.New("vectors: engine closed")
)

// InvalidError names the field that is wrong, and why. Nothing was applied.
type InvalidError = objects.InvalidError

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// invalidBelow places a complaint about metadata or a filter below a field.
func invalidBelow(field string, err error) error {
	var e *filter.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Path != "" {
		field += "." + e.Path
	}
	return &InvalidError{Field: field, Reason: e.Reason}
}
