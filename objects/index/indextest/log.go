package indextest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"sync"

	"github.com/tarnlake/tarn/objects/index"
)

// Log is an index.Log in memory. Closing it forgets nothing: it can be given to
// the next index, as drives can.
type Log struct {
	// Fail, where not nil, decides about each Append: the first stands entries
	// are kept, and err is returned unless nil. It is called without locks held.
	Fail func(entries [][]byte) (stands int, err error)
	// FailReplay, where not nil, may make Replay fail.
	FailReplay func() error

	mu      sync.Mutex
	trimmed uint64 // entries up to it are gone
	entries [][]byte
	bytes   int64
}

var _ index.Log = (*Log)(nil)

// Append keeps copies of the entries.
func (l *Log) Append(_ context.Context, entries [][]byte) (uint64, error) {
	stands, err := len(entries), error(nil)
	if l.Fail != nil {
		stands, err = l.Fail(entries)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.trimmed + uint64(len(l.entries)) + 1
	for _, e := range entries[:stands] {
		l.entries = append(l.entries, bytes.Clone(e))
		l.bytes += int64(len(e))
	}
	return first, err
}

// Replay yields the entries kept at the moment of the call.
func (l *Log) Replay(_ context.Context, after uint64) iter.Seq2[index.LogEntry, error] {
	if l.FailReplay != nil {
		if err := l.FailReplay(); err != nil {
			return failing(err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if after < l.trimmed {
		return failing(index.ErrCompacted)
	}
	from := min(after-l.trimmed, uint64(len(l.entries)))
	kept, first := l.entries[from:len(l.entries):len(l.entries)], l.trimmed+from+1
	return func(yield func(index.LogEntry, error) bool) {
		for i, e := range kept {
			if !yield(index.LogEntry{Sequence: first + uint64(i), Data: e}, nil) {
				return
			}
		}
	}
}

func failing(err error) iter.Seq2[index.LogEntry, error] {
	return func(yield func(index.LogEntry, error) bool) { yield(index.LogEntry{}, err) }
}

// First is the lowest kept sequence.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trimmed + 1
}

// Last is the highest sequence given.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trimmed + uint64(len(l.entries))
}

// Trim forgets entries at once.
func (l *Log) Trim(_ context.Context, through uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.trimmed < through && len(l.entries) > 0 {
		l.bytes -= int64(len(l.entries[0]))
		l.entries = l.entries[1:]
		l.trimmed++
	}
	return nil
}

// Rest has nothing to note.
func (l *Log) Rest(context.Context) error { return nil }

// Bytes of the kept entries.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// Close forgets nothing.
func (l *Log) Close() error { return nil }

// Checkpoints keeps the newest image in memory.
type Checkpoints struct {
	mu      sync.Mutex
	through uint64
	image   []byte
}

var _ index.Checkpoints = (*Checkpoints)(nil)

// Save replaces the image once write ended well.
func (c *Checkpoints) Save(_ context.Context, through uint64, write func(w io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	c.Set(through, b.Bytes())
	return nil
}

// Set puts an image in place, as it is.
func (c *Checkpoints) Set(through uint64, image []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.through, c.image = through, image
}

// Image is the newest image; nil where there is none.
func (c *Checkpoints) Image() (through uint64, image []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.through, c.image
}

// Load opens the newest image.
func (c *Checkpoints) Load(context.Context) (uint64, io.ReadCloser, error) {
	through, image := c.Image()
	if image == nil {
		return 0, nil, index.ErrNotFound
	}
	return through, io.NopCloser(bytes.NewReader(image)), nil
}
