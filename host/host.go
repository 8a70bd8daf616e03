package host

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system, real or fake. Paths are joined with FS.PathJoin.
type FS = vfs.FS

// File is an open file of an FS. WriteAt needs a file from FS.OpenReadWrite.
type File = vfs.File

// Category labels a file's writes in the file system's statistics.
const Category = vfs.WriteCategoryUnspecified

// Clock tells the time and waits.
type Clock interface {
	// Now is the present time, with a monotonic reading where there is one.
	Now() time.Time
	// Sleep waits for d, or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
	// AfterFunc calls f in its own goroutine once d has passed. The stop
	// function reports whether it came in time.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Host is everything that a store takes from outside. The zero value is not
// usable; take Real, or hosttest.New.
type Host struct {
	Clock   Clock
	Entropy io.Reader // unpredictable bytes; seeded in tests
	FS      FS        // where the drives' folders lie
	Log     *slog.Logger
}

// Real is the machine itself. Its log goes to log; nil discards it.
func Real(log *slog.Logger) *Host {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Host{Clock: wallClock{}, Entropy: rand.Reader, FS: vfs.Default, Log: log}
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (wallClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}
