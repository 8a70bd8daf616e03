package index_test

import (
	"testing"

	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func TestIndexOnACrashableDiskConforms(t *testing.T) {
	seed := int64(0)
	indextest.Run(t, func(t testing.TB) index.Index {
		seed++
		s := newStore(seed)
		i := s.open(t)
		t.Cleanup(func() { closed(t, i) })
		return i
	})
}
