package objects

import (
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// NewTestStore is a store for the tests that look from outside.
func NewTestStore(t testing.TB, partBytesMin int64) *Store {
	s, _ := newMemStore(t, Options{Host: hosttest.New(1), PartBytesMin: partBytesMin}, indextest.New(t), 6)
	return s
}

// WrapIndex puts something between a store and its index, before its first use.
func WrapIndex(s *Store, wrap func(index.Index) index.Index) { s.idx = wrap(s.idx) }

// Hurrying lets time pass for a host.
var Hurrying = hurrying
