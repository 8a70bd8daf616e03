package index

import (
	"time"

	"github.com/tarnlake/tarn/host"
)

// Options of a Local index.
type Options struct {
	Host *host.Host // its clock and log; its file system unless FS is given
	Log  Log        // the index closes it with itself

	FS     host.FS  // default Host.FS
	Dir    string   // where the view lies; it may vanish at any time between runs
	Spares []string // folders, best on other drives, for the view once Dir fails

	// ViewTimeout bounds each call to the file system below Dir and Spares, after
	// which the drive counts as hung, and the view is made anew on another one.
	// Default: calls are not bounded.
	ViewTimeout time.Duration

	Checkpoints     Checkpoints // nil: none are taken, and the log grows for ever
	CheckpointBytes int64       // of log after which one is taken, a quarter of it where no more comes; default 64 MiB
	WatchKeptBytes  int64       // of log that are kept for watchers; default 16 MiB

	SnapshotMax   time.Duration // how long a snapshot pins its state; default 10 min
	SnapshotBytes int64         // of log that may come meanwhile; default 1 GiB
	CacheBytes    int64         // of Pebble's block cache; default 64 MiB
	Shard         uint32        // whose positions this index gives
	Identity      [16]byte      // of the store: another's view or checkpoint is refused

	Events Events
}

// Events tell what the index does by itself. Nil fields are skipped. They are
// called from its goroutines and must not wait.
type Events struct {
	Checkpointed func(through uint64, err error)
	ViewLost     func(cause error)                // a view failed while serving
	ViewRebuilt  func(dir string, applied uint64) // a view was made anew
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = o.Host.FS
	}
	if o.ViewTimeout > 0 {
		o.FS = patientFS{o.FS, newPatiences(o.Host.Clock, o.ViewTimeout, append([]string{o.Dir}, o.Spares...))}
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = 64 << 20
	}
	if o.WatchKeptBytes == 0 {
		o.WatchKeptBytes = 16 << 20
	}
	if o.SnapshotMax == 0 {
		o.SnapshotMax = 10 * time.Minute
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 1 << 30
	}
	e := &o.Events
	if e.Checkpointed == nil {
		e.Checkpointed = func(uint64, error) {}
	}
	if e.ViewLost == nil {
		e.ViewLost = func(error) {}
	}
	if e.ViewRebuilt == nil {
		e.ViewRebuilt = func(string, uint64) {}
	}
}
