package drive_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// meeting is a file system on which a read that expects another one waits until both are under way.
type meeting struct {
	host.FS
	mu       sync.Mutex
	expected int // reads that must be under way before one returns
	begun    int
	met      chan struct{}
}

func (m *meeting) expect(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expected, m.begun, m.met = n, 0, make(chan struct{})
}

func (m *meeting) Open(name string, o ...vfs.OpenOption) (host.File, error) {
	f, err := m.FS.Open(name, o...)
	return meetingFile{f, m}, err
}

type meetingFile struct {
	host.File
	m *meeting
}

func (f meetingFile) ReadAt(p []byte, off int64) (int, error) {
	m := f.m
	m.mu.Lock()
	if m.begun++; m.begun == m.expected {
		close(m.met)
	}
	met, expected := m.met, m.expected
	m.mu.Unlock()
	if expected > 0 {
		select {
		case <-met:
		case <-time.After(30 * time.Second): // only where a read waits for another: the test fails then
		}
	}
	return f.File.ReadAt(p, off)
}

// TestAReadOfARangeIsOneRound: the header of a large record comes at the same time as its bytes, which
// are read at once. A device that answers slowly is waited for once.
func TestAReadOfARangeIsOneRound(t *testing.T) {
	const size = 1<<20 - 777
	h := hosttest.New(1)
	m := &meeting{FS: h.FS}
	h.FS = m
	must(t, drive.Format(h, dir, header()))
	d := reopen(t, h, drive.Options{ExtentBytes: 8 << 20, AheadBytes: 1 << 20, Spares: -1, FilesOpen: 2})
	defer d.Close()
	at := add(t, d, drive.Stripe, record(1, size))[0]
	want := payload(1, size)
	for _, c := range []struct{ off, n, reads int }{
		{0, size, 2}, {1, size - 1, 2}, {0, 64 << 10, 1}, {70_000, 100_000, 2}, {100, 64 << 10, 2},
		{64 << 10, 128 << 10, 2}, {size - 10, 10, 2}, {200_000, 5, 2}, {10, 500, 1}, {size - 100_000, 100_000, 2},
	} {
		m.expect(c.reads)
		p := make([]byte, c.n)
		must(t, d.Read(t.Context(), at, id(1), p, int64(c.off)))
		if !bytes.Equal(p, want[c.off:c.off+c.n]) {
			t.Errorf("%d bytes at %d are not what was written", c.n, c.off)
		}
		if m.begun != c.reads {
			t.Errorf("%d bytes at %d took %d reads, want %d at once", c.n, c.off, m.begun, c.reads)
		}
		m.expect(0)
	}
	for _, c := range []struct{ off, n int }{{size - 5, 6}, {size, 1}, {2 << 20, 100}, {5 << 20, 70_000}} {
		if err := d.Read(t.Context(), at, id(1), make([]byte, c.n), int64(c.off)); err == nil {
			t.Errorf("%d bytes at %d were read of a payload of %d", c.n, c.off, size)
		}
	}
}
