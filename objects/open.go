package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/journal"
)

// viewFolder lies in a drive's folder and may vanish with it: the index's view.
const viewFolder = "index-view"

// Open opens the store on its drives, or makes a new one under AutoFormat. It
// needs k of its drives; the others are reported by Drives. It refuses where a
// drive is open already (drive.ErrLocked), or too many are of another format
// (drive.ErrFormatVersion).
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Host == nil || len(o.Drives) == 0 {
		return nil, errors.New("objects: options: Host and Drives must be set")
	}
	f, err := survey(o)
	if err != nil {
		return nil, err
	}
	s, err := f.open(ctx)
	if err != nil {
		f.close()
		return nil, err
	}
	return s, nil
}

func (f *folders) open(ctx context.Context) (*Store, error) {
	store, err := f.store()
	if err != nil {
		return nil, err
	}
	record, version, err := f.root(store)
	for more := err == nil; more; {
		if more, err = f.openRecorded(&record); err == nil && more {
			record, version, err = f.root(store)
		}
		more = more && err == nil
	}
	if err != nil {
		return nil, err
	}
	fresh := version == 0
	if fresh {
		if record, err = f.formatAll(store); err != nil {
			return nil, err
		}
	}
	if err := f.checkShape(&record); err != nil {
		return nil, err
	}
	s, err := f.assemble(record, version)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, f, fresh); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// start saves the roots, opens journal and index, and begins the background work.
func (s *Store) start(ctx context.Context, f *folders, fresh bool) error {
	err := s.roots.open(ctx)
	if err != nil && fresh {
		return fmt.Errorf("make store: %w", err)
	}
	if f.o.AutoFormat {
		s.adoptOwn(ctx)
	}
	if err := s.arrangeAtOpen(ctx, f); err != nil {
		s.host.Log.Warn("the drives' labels and groups stay as they were", "error", err)
	}
	record := s.roots.get()
	if s.journal, err = s.openJournal(ctx, &record); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if s.idx, err = s.openIndex(ctx, &record); err != nil {
		return fmt.Errorf("open store: %w", errors.Join(err, s.journal.Close()))
	}
	if !record.ready {
		if err := s.roots.save(ctx, func(r *rootRecord) { r.ready = true }); err != nil {
			return fmt.Errorf("open store: %w", errors.Join(err, s.idx.Close()))
		}
	}
	s.startBackground()
	return nil
}

func (s *Store) openJournal(ctx context.Context, r *rootRecord) (*journal.Journal, error) {
	return journal.Open(ctx, journal.Options{
		Host: s.host, Parity: r.m, Members: len(r.drives), New: !r.ready,
		Drives: s.journalDrives, Choose: s.chooseJournal, Roots: journalRoots{&s.roots},
		DriveTimeout: s.o.DriveTimeout, Leaves: s.leaving,
		Events: journal.Events{DriveFailed: func(n uint16, err error) { s.o.Events.driveDown(n, err); s.repairs.wake() }},
	})
}

func (s *Store) journalDrives() []journal.Drive {
	var open []journal.Drive
	for _, m := range s.drives.list() {
		if m.readable() {
			open = append(open, m)
		}
	}
	return open
}

func (s *Store) leaving(number uint16) bool {
	m := s.drives.find(number)
	return m != nil && m.leaving()
}

// chooseJournal gives drives in distinct domains for the copies of the journal.
func (s *Store) chooseJournal(exclude map[uint16]bool) []journal.Drive {
	l := s.drives.layout(true)
	for i := range l {
		l[i].Well = l[i].Well && !exclude[l[i].Number]
	}
	var chosen []journal.Drive
	for _, n := range l.Choose(s.id, s.o.ParityShards+1, s.o.ParityShards) {
		chosen = append(chosen, s.drives.find(n))
	}
	return chosen
}

// viewPatience is how many times longer than others a drive that holds the index's view
// may take for one call: a busy one is to be waited for rather than left, for a view
// of 100 million objects takes minutes to make.
const viewPatience = 10

func (s *Store) openIndex(ctx context.Context, r *rootRecord) (index.Index, error) {
	var dirs []string
	for _, m := range s.drives.list() {
		if m.well() {
			dirs = append(dirs, s.host.FS.PathJoin(m.path, viewFolder))
		}
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%w: no drive is well enough to hold the index's view", ErrReadOnly)
	}
	return index.Open(ctx, index.Options{
		Host: s.host, Log: s.journal, Dir: dirs[0], Spares: dirs[1:], Identity: r.store,
		Checkpoints: checkpoints{s}, CheckpointBytes: s.o.CheckpointBytes, WatchKeptBytes: s.o.watchKept, CacheBytes: s.o.CacheBytes,
		SnapshotMax: s.o.SnapshotKept, SnapshotBytes: s.o.SnapshotBytes,
		ViewTimeout: viewPatience * min(s.o.DriveTimeout, time.Hour),
		Events:      index.Events{ViewRebuilt: s.o.Events.ViewRebuilt},
	})
}
