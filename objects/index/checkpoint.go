package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
)

// marks remember how many bytes were logged up to a sequence, coarsely, so that
// a trim can keep a number of bytes.
type marks struct {
	list  []mark // rising
	total int64  // bytes logged so far
	every int64  // bytes between two marks
}

type mark struct {
	sequence uint64
	bytes    int64 // logged up to and with it
}

const (
	markBytesMin = 4 << 10
	marksMax     = 4096
)

// add notes n more bytes of log, which ends at sequence now.
func (m *marks) add(sequence uint64, n int64) {
	m.total += n
	m.every = max(m.every, markBytesMin)
	last := len(m.list) - 1
	if last >= 0 && (m.total-m.list[last].bytes < m.every || sequence <= m.list[last].sequence) {
		return
	}
	m.list = append(m.list, mark{sequence, m.total})
	if len(m.list) > marksMax {
		m.thin()
	}
}

// thin drops every second mark.
func (m *marks) thin() {
	out := m.list[:0]
	for i := 0; i < len(m.list); i += 2 {
		out = append(out, m.list[i])
	}
	m.list, m.every = out, 2*m.every
}

// before is the last mark, at most at through, with at least keep bytes after it.
func (m *marks) before(through uint64, keep int64) uint64 {
	i := sort.Search(len(m.list), func(i int) bool {
		return m.list[i].sequence > through || m.total-m.list[i].bytes < keep
	})
	if i == 0 {
		return 0
	}
	return m.list[i-1].sequence
}

// trimmed drops the marks before a sequence.
func (m *marks) trimmed(through uint64) {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].sequence >= through })
	m.list = append([]mark(nil), m.list[i:]...)
}

// checkpointWhenDue takes a checkpoint whenever the log has grown enough.
func (l *Local) checkpointWhenDue(ctx context.Context) {
	for {
		select {
		case <-l.due:
			if err := l.Checkpoint(ctx); err != nil && !errors.Is(err, ErrClosed) {
				l.opts.Host.Log.Warn("index checkpoint failed", "error", err)
			}
		case <-l.stop:
			return
		}
	}
}

// Checkpoint saves the whole view now, and trims the log to what is newer or
// kept for watchers.
func (l *Local) Checkpoint(ctx context.Context) error {
	if err := l.gate.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	if l.opts.Checkpoints == nil {
		return errors.New("index: opened without checkpoints")
	}
	l.checkpointing.Lock()
	defer l.checkpointing.Unlock()
	through, err := l.save(ctx)
	if err == nil {
		err = l.trim(ctx, through)
	}
	l.opts.Events.Checkpointed(through, err)
	return err
}

func (l *Local) save(ctx context.Context) (uint64, error) {
	m, err := l.view(ctx)
	if err != nil {
		return 0, err
	}
	image, err := m.Image()
	if err != nil {
		return 0, fmt.Errorf("take checkpoint: %w", err)
	}
	through, written := image.Through(), int64(0)
	err = l.opts.Checkpoints.Save(ctx, through, func(w io.Writer) error {
		return image.Write(interruptible{ctx, l.closing, w, &written})
	})
	err = errors.Join(err, image.Close())
	if err == nil {
		l.image.Store(written)
	}
	if err == nil {
		err = m.Flush() // so that the trimmed log still reaches back to the view
	}
	if err != nil {
		return through, fmt.Errorf("save checkpoint through %d: %w", through, err)
	}
	return through, nil
}

// interruptible gives up a long write when the index closes.
type interruptible struct {
	ctx     context.Context
	closing <-chan struct{}
	w       io.Writer
	written *int64
}

func (i interruptible) Write(b []byte) (int, error) {
	select {
	case <-i.closing:
		return 0, ErrClosed
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	default:
		*i.written += int64(len(b))
		return i.w.Write(b)
	}
}

// checkpointLogMax bounds the log after which a checkpoint of a large view is taken:
// so much is replayed at most, in some 15 seconds, and copied when a drive of the log fails.
const checkpointLogMax = 512 << 20

// checkpointAfter is the log after which the next checkpoint is taken: as much as the
// latest image has bytes, so that images are no more than half of what is written.
func (s *sequencer) checkpointAfter() int64 {
	least := s.opts.CheckpointBytes
	return max(least, min(s.image.Load(), checkpointLogMax))
}

// trim is an errand, for the log is the sequencer's.
func (l *Local) trim(ctx context.Context, through uint64) error {
	done := make(chan error, 1)
	errand := func() { done <- l.sequencer.trim(ctx, through) }
	select {
	case l.errands <- errand:
		return <-done
	case <-ctx.Done():
		return fmt.Errorf("trim log: %w", ctx.Err())
	case <-l.stop:
		return ErrClosed
	}
}

func (s *sequencer) trim(ctx context.Context, through uint64) error {
	s.sinceCheckpoint = 0
	to := s.marks.before(through, s.opts.WatchKeptBytes)
	if to < s.log.First() {
		return nil
	}
	if err := s.log.Trim(ctx, to); err != nil {
		return fmt.Errorf("trim log through %d: %w", to, err)
	}
	s.marks.trimmed(to)
	m, _, err := s.views.current()
	if err != nil {
		return err
	}
	return m.Forget(min(to, s.log.First()-1))
}
