package indextest

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
)

// New is a whole index in memory. It is closed with the test.
func New(t testing.TB) index.Index {
	t.Helper()
	l := Open(t, Options(&Log{}))
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close index: %v", err)
		}
	})
	return l
}

// Options of an index on a new file system in memory.
func Options(log index.Log) index.Options {
	h := *host.Real(nil)
	h.FS = vfs.NewMem()
	return index.Options{Host: &h, Log: log, Dir: "index", CacheBytes: 1 << 20}
}

// Open opens an index or ends the test.
func Open(t testing.TB, o index.Options) *index.Local {
	t.Helper()
	l, err := index.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open index: %v", err)
	}
	return l
}
