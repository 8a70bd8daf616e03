package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
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

// Format makes a new store of folders that are all missing or empty. It is for
// folders that somebody named: those under AutoFormat are formatted by Open.
func Format(ctx context.Context, o Options) error {
	o.AutoFormat = true
	f, err := survey(o)
	if err != nil {
		return err
	}
	defer f.close()
	for _, at := range f.all {
		if !errors.Is(at.err, drive.ErrNotFormatted) {
			return fmt.Errorf("format a new store: %s is not empty", at.path)
		}
	}
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	return s.Close()
}

// folder is one of Options.Drives as it was found.
type folder struct {
	path   string
	header drive.Header
	drive  *drive.Drive // nil where it could not be opened
	err    error        // why
	taken  bool         // it belongs to a member
}

// folders are all of them.
type folders struct {
	o   Options
	all []*folder
}

// survey opens every drive there is.
func survey(o Options) (*folders, error) {
	f := &folders{o: o}
	for _, path := range o.Drives {
		at := &folder{path: path}
		f.all = append(f.all, at)
		if slices.ContainsFunc(f.all[:len(f.all)-1], func(other *folder) bool { return other.path == path }) {
			f.close()
			return nil, fmt.Errorf("objects: folder %s is named twice", path)
		}
		if f.openFolder(at); errors.Is(at.err, drive.ErrLocked) {
			f.close()
			return nil, fmt.Errorf("open drive in %s: another process has it: %w", path, at.err)
		}
	}
	return f, nil
}

func (f *folders) openFolder(at *folder) {
	at.header, at.err = drive.Identify(f.o.Host, at.path)
	if at.err == nil {
		at.drive, at.err = drive.Open(f.o.Host, at.path, drive.Options{ExtentBytes: f.o.ExtentBytes})
	}
}

func (f *folders) close() {
	for _, at := range f.all {
		if at.drive != nil {
			_ = at.drive.Close() // nothing was written, or it is synced
			at.drive = nil
		}
	}
}

func (f *folders) open(ctx context.Context) (*Store, error) {
	store, err := f.store()
	if err != nil {
		return nil, err
	}
	record, version, err := f.root(store)
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

// store is the id that most of the drives have; zero where there are none.
func (f *folders) store() (id [16]byte, err error) {
	count := map[[16]byte]int{}
	for _, at := range f.all {
		if at.drive != nil {
			count[at.header.Store]++
		}
	}
	most := 0
	for store, n := range count {
		if n > most {
			id, most = store, n
		}
	}
	for store, n := range count {
		if n == most && store != id {
			return id, errors.New("objects: the folders hold drives of several stores, as many of one as of another")
		}
	}
	for _, at := range f.all {
		if at.drive != nil && at.header.Store != id {
			_ = at.drive.Close()
			at.drive, at.err = nil, fmt.Errorf("%w: it belongs to store %x", drive.ErrForeign, at.header.Store)
		}
	}
	return id, nil
}

// root is the newest root record. There is none, version 0, where the store is
// new, or its making was cut short before anything was written.
func (f *folders) root(store [16]byte) (rootRecord, uint64, error) {
	var open []Drive
	used := false
	for _, at := range f.all {
		if at.drive != nil {
			open = append(open, at.drive)
			used = used || len(at.drive.Extents()) > 0 || at.drive.RootErr() != nil
		}
	}
	record, version, err := newestRoot(open)
	switch {
	case err != nil:
		return record, 0, fmt.Errorf("open store: %w", err)
	case version == 0 && used:
		return record, 0, errors.New("objects: none of the drives has a readable root record, though they hold data; bring the others back")
	case version > 0 && record.store != store:
		return record, 0, errors.New("objects: the root record is another store's")
	}
	return record, version, nil
}

// formatAll makes the drives of a new store, or of one whose making was cut short.
func (f *folders) formatAll(store [16]byte) (rootRecord, error) {
	if err := f.mayFormat(); err != nil {
		return rootRecord{}, err
	}
	o := f.o
	o.setDefaults()
	record := rootRecord{store: store, k: o.DataShards, m: o.ParityShards, next: 1}
	if record.k < 1 || record.k+record.m > min(ShardsMax, len(f.all)) {
		return record, fmt.Errorf("objects: %d+%d shards need as many drives, at most %d; %d are given", record.k, record.m, ShardsMax, len(f.all))
	}
	if record.store == [16]byte{} {
		if _, err := io.ReadFull(o.Host.Entropy, record.store[:]); err != nil {
			return record, fmt.Errorf("draw the store's id: %w", err)
		}
	}
	for _, at := range f.all {
		if at.drive != nil {
			record.next = max(record.next, at.header.Number+1)
		}
	}
	for _, at := range f.all {
		if at.drive == nil {
			if err := f.format(at, record.store, record.next); err != nil {
				return record, err
			}
			record.next++
		}
		record.drives = append(record.drives, rootDrive{at.header.Number, at.header.Drive, at.path})
	}
	return record, nil
}

// mayFormat demands that every folder is empty, or was formatted a moment ago.
func (f *folders) mayFormat() error {
	var problems []error
	for _, at := range f.all {
		if at.drive == nil && (!f.o.AutoFormat || !errors.Is(at.err, drive.ErrNotFormatted)) {
			problems = append(problems, at.err)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoStore, errors.Join(problems...))
}

func (f *folders) format(at *folder, store [16]byte, number uint16) error {
	hd := drive.Header{Store: store, Number: number, Created: f.o.Host.Clock.Now()}
	if _, err := io.ReadFull(f.o.Host.Entropy, hd.Drive[:]); err != nil {
		return fmt.Errorf("draw a drive's id: %w", err)
	}
	if err := drive.Format(f.o.Host, at.path, hd); err != nil {
		return err
	}
	f.openFolder(at)
	return at.err
}

// checkShape compares what the store is with what is asked for.
func (f *folders) checkShape(r *rootRecord) error {
	k, m := f.o.DataShards, f.o.ParityShards
	if m < 0 {
		m = 0
	} else if m == 0 {
		m = r.m
	}
	if k != 0 && k != r.k || m != r.m {
		return fmt.Errorf("objects: the store has %d+%d shards, and %d+%d are asked for", r.k, r.m, max(k, r.k), m)
	}
	f.o.DataShards, f.o.ParityShards = r.k, r.m
	if r.m == 0 {
		f.o.ParityShards = -1
	}
	return nil
}

// assemble makes a member of every drive of the layout.
func (f *folders) assemble(record rootRecord, version uint64) (*Store, error) {
	var members []*member
	open := 0
	for _, d := range record.drives {
		m := f.member(d)
		members = append(members, m)
		if m.Drive != nil {
			open++
		}
	}
	if need := max(record.k, len(record.drives)-record.m); open < need {
		return nil, f.tooFew(open, need, len(record.drives))
	}
	s, err := newStore(f.o, nil, members)
	if err != nil {
		return nil, err
	}
	s.id, s.roots.record, s.roots.version = record.store, record, sessionAfter(version)
	for _, at := range f.all {
		if at.taken && at.drive != nil && at.drive.Root().Version < version {
			s.repairs.doubt() // it was away while others were written to
		}
		if !at.taken {
			s.strays = append(s.strays, at.stray())
		}
	}
	return s, nil
}

func (f *folders) tooFew(open, need, all int) error {
	causes := []error{fmt.Errorf("%w: %d of %d drives can be opened, %d are needed", ErrUnavailable, open, all, need)}
	for _, at := range f.all {
		if at.err != nil {
			causes = append(causes, at.err)
		}
	}
	return fmt.Errorf("open store: %w", errors.Join(causes...))
}

// member finds the folder of a drive: by its id, or where it lay last.
func (f *folders) member(d rootDrive) *member {
	m := &member{number: d.number, path: d.path}
	m.mu.state, m.mu.reason = DriveMissing, "its folder is not among those given"
	for _, at := range f.all {
		switch {
		case at.drive != nil && at.header.Number == d.number && at.header.Drive == d.id:
			at.taken = true
			m.open(f.o.Host, at)
			return m
		case at.drive == nil && at.path == d.path:
			at.taken = !errors.Is(at.err, drive.ErrNotFormatted)
			m.mu.state, m.mu.reason = at.state(), at.err.Error()
		}
	}
	return m
}

func (m *member) open(h *host.Host, at *folder) {
	m.Drive, m.path, m.number = at.drive, at.path, at.header.Number
	m.mu.state, m.mu.reason = DriveWell, ""
	m.device = deviceOf(h.FS, at.path)
	m.measure(h.FS)
}

func (at *folder) state() DriveState {
	switch {
	case at.err == nil:
		return DriveRetired
	case errors.Is(at.err, drive.ErrForeign):
		return DriveForeign
	case errors.Is(at.err, drive.ErrCorruptHeader):
		return DriveCorrupt
	case errors.Is(at.err, drive.ErrFormatVersion):
		return DriveFormat
	}
	return DriveMissing
}

// stray tells of a folder that belongs to no drive of the layout, and lets it go.
func (at *folder) stray() DriveStatus {
	d := DriveStatus{Path: at.path, State: at.state(), Adoptable: errors.Is(at.err, drive.ErrNotFormatted)}
	if at.err != nil {
		d.Reason = at.err.Error()
		return d
	}
	d.Number, d.Adoptable = at.header.Number, at.unused()
	d.Reason = "it was replaced by another drive; empty its folder to use it again"
	if d.Adoptable {
		d.Reason = "it was never taken in"
	}
	_ = at.drive.Close() // nothing was written
	at.drive = nil
	return d
}

// unused: formatted for this store, but never taken in.
func (at *folder) unused() bool {
	return at.drive.Root().Version == 0 && at.drive.RootErr() == nil && len(at.drive.Extents()) == 0
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
		DriveTimeout: s.o.DriveTimeout,
		Events:       journal.Events{DriveFailed: func(n uint16, err error) { s.o.Events.driveDown(n, err); s.repairs.wake() }},
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

// chooseJournal gives drives in distinct domains for the copies of the journal.
func (s *Store) chooseJournal(exclude map[uint16]bool) []journal.Drive {
	l := s.drives.layout()
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
		ViewTimeout: viewPatience * min(s.o.DriveTimeout, time.Hour),
		Events:      index.Events{ViewRebuilt: s.o.Events.ViewRebuilt},
	})
}
