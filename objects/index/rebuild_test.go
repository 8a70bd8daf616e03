package index_test

import (
	"context"
	"io"
	"iter"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// meter counts what a rebuild reads.
type meter struct {
	*indextest.Log
	*indextest.Checkpoints
	entries int
	image   int64
}

func (m *meter) Replay(ctx context.Context, after uint64) iter.Seq2[index.LogEntry, error] {
	return func(yield func(index.LogEntry, error) bool) {
		for e, err := range m.Log.Replay(ctx, after) {
			m.entries++
			if !yield(e, err) {
				return
			}
		}
	}
}

func (m *meter) Load(ctx context.Context) (uint64, io.ReadCloser, error) {
	through, r, err := m.Checkpoints.Load(ctx)
	return through, meteredReader{r, &m.image}, err
}

type meteredReader struct {
	io.ReadCloser
	n *int64
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	*r.n += int64(n)
	return n, err
}

// TestARebuildReadsTheImageOnceAndOnlyTheLogAfterIt, however much of the log is kept
// for watchers: so its time is that of the state, not of the history.
func TestARebuildReadsTheImageOnceAndOnlyTheLogAfterIt(t *testing.T) {
	s := newStore(1)
	o := s.options()
	o.WatchKeptBytes = 1 << 20
	i := indextest.Open(t, o)
	for n := range 400 {
		mustCommit(t, i, variety(n))
	}
	if err := i.Checkpoint(background); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		mustCommit(t, i, variety(n))
	}
	closed(t, i)
	if s.log.First() > 1 {
		t.Fatal("the log was trimmed: the test shows nothing")
	}
	hosttest.DiskOf(s.host).Wipe("a")
	m := &meter{Log: s.log, Checkpoints: s.saved}
	o.Log, o.Checkpoints = m, m
	i = indextest.Open(t, o)
	defer closed(t, i)
	s.wantWhole(t, i)
	_, image := s.saved.Image()
	if m.entries != 30 || m.image != int64(len(image)) {
		t.Errorf("it read %d entries and %d bytes of image; 30 came after the image of %d bytes", m.entries, m.image, len(image))
	}
}
