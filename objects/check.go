package objects

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/journal"
)

// CheckOptions of Check. Host, Drives and Scratch must be set.
type CheckOptions struct {
	Host     *host.Host
	Drives   []string                        // folders, of which no process has any
	Scratch  string                          // an empty folder elsewhere, in which the index's view is made
	Progress func(drive uint16, bytes int64) // so many more were read; may be nil
}

// CheckReport is what Check found.
type CheckReport struct {
	Drives  []DriveCheck
	Missing []uint16 // drives of the layout that are not among the folders given
	Index   IndexCheck
	Refused error // why index and drives were not compared; nil: they were
}

// DriveCheck is what lies on one drive beside what should.
type DriveCheck struct {
	Path     string
	Number   uint16
	Root     uint64 // version of its root record
	Outdated bool   // the others' root record is newer: it missed what they were told
	Journal  bool   // it is of the journal's epoch
	Found    audit.Found
	Lacking  int64    // shards that are named, and not there or not whole
	Problems []string // at most problemsMax; what is worth knowing first
	Strays   []string // files and folders in its folder that are not the store's; they harm nothing
}

// Sound: nothing on the drive is damaged and nothing is missing from it.
func (d *DriveCheck) Sound() bool { return len(d.Problems) == 0 && !d.Outdated }

func (d *DriveCheck) problem(format string, args ...any) {
	if len(d.Problems) < problemsMax {
		d.Problems = append(d.Problems, fmt.Sprintf(format, args...))
	}
}

// IndexCheck is what the index says beside the drives.
type IndexCheck struct {
	Last        uint64 // entry of the log
	Values      int64
	Undecodable int64 // values that do not decode
	Dangling    int64 // packed blobs of which the stripe is not named
	Stripes     int64
	Degraded    int64    // stripes that lack shards and can be rebuilt
	Lost        int64    // stripes of which fewer than k shards are good
	Problems    []string // at most problemsMax
}

func (c *IndexCheck) problem(format string, args ...any) {
	if len(c.Problems) < problemsMax {
		c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
	}
}

// Sound: every drive is, and everything that the index names is there whole.
func (r *CheckReport) Sound() bool {
	for i := range r.Drives {
		if !r.Drives[i].Sound() {
			return false
		}
	}
	c := &r.Index
	return r.Refused == nil && len(r.Missing) == 0 && c.Undecodable+c.Dangling+c.Degraded+c.Lost == 0 && len(c.Problems) == 0
}

// Check reads every byte of drives that no process has, brings the index up from its
// checkpoint and the journal in a folder elsewhere, and compares both ways: what the
// index names and the drives lack, and what lies on the drives and nobody names. It writes
// nothing to the drives. A drive that is in use: drive.ErrLocked.
//
//	root records ─► journal, checkpoint ─► index ─┐
//	                                              ├─ missing, rotten, superfluous
//	drives: extent after extent, from the device ─┘
func Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	c := &checking{o: o}
	defer c.end()
	if err := c.lock(); err != nil {
		return c.report, err
	}
	if err := c.open(ctx); err != nil {
		return c.report, err
	}
	for i := range c.folders.all {
		if err := c.drive(ctx, i); err != nil {
			return c.report, err
		}
	}
	if c.s != nil && c.s.idx != nil {
		if err := c.compare(ctx); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

// checking is a check under way.
type checking struct {
	o       CheckOptions
	locks   []io.Closer
	folders *folders
	s       *Store // nil where the root records do not make a store
	bad     map[shardID]bool
	report  CheckReport
}

func (c *checking) lock() error {
	fs := c.o.Host.FS
	for _, path := range c.o.Drives {
		l, err := fs.Lock(fs.PathJoin(path, "lock"))
		if err != nil {
			if _, missing := drive.Identify(c.o.Host, path); missing != nil {
				return fmt.Errorf("check %s: %w", path, missing)
			}
			return &DriveInUseError{path}
		}
		c.locks = append(c.locks, l)
	}
	return nil
}

// DriveInUseError: another process has a drive.
type DriveInUseError struct{ Path string }

func (e *DriveInUseError) Error() string { return e.Path + " is in use" }

func (e *DriveInUseError) Unwrap() error { return drive.ErrLocked }

func (c *checking) end() {
	if c.s != nil {
		_ = c.s.close() // nothing was written
		for _, at := range c.folders.all {
			if !at.taken {
				at.letGo()
			}
		}
	} else if c.folders != nil {
		c.folders.close()
	}
	for _, l := range c.locks {
		_ = l.Close()
	}
}

// open brings up as much of the store as there is.
func (c *checking) open(ctx context.Context) (err error) {
	c.bad = map[shardID]bool{}
	o := Options{Host: c.o.Host, Drives: c.o.Drives, reading: true}
	if c.folders, err = survey(o); err != nil {
		return err
	}
	newest := uint64(0)
	for _, at := range c.folders.all {
		d := DriveCheck{Path: at.path, Number: at.header.Number}
		if at.drive != nil {
			d.Root = at.drive.Root().Version
			newest = max(newest, d.Root)
		}
		c.report.Drives = append(c.report.Drives, d)
	}
	for i := range c.report.Drives {
		c.report.Drives[i].Outdated = c.report.Drives[i].Root < newest
	}
	c.report.Refused = c.openStore(ctx)
	return ctx.Err()
}

func (c *checking) openStore(ctx context.Context) error {
	f := c.folders
	store, err := f.store()
	if err != nil {
		return err
	}
	record, version, err := f.root(store)
	if err == nil && version == 0 {
		err = errors.New("no drive has a root record")
	}
	if err != nil {
		return err
	}
	f.o.DataShards, f.o.ParityShards = record.k, record.m
	if record.m == 0 {
		f.o.ParityShards = -1
	}
	s, err := f.assemble(record, version)
	if err != nil {
		return err
	}
	c.s = s
	for _, m := range s.drives.list() {
		if m.Drive == nil {
			c.report.Missing = append(c.report.Missing, m.number)
		}
	}
	return c.openIndex(ctx, &record)
}

// openIndex makes the index's view in the scratch folder.
func (c *checking) openIndex(ctx context.Context, r *rootRecord) error {
	s := c.s
	j, partial, err := journal.Read(ctx, journal.Options{
		Host: s.host, Parity: r.m, Members: len(r.drives), Drives: s.journalDrives, Roots: journalRoots{&s.roots}, DriveTimeout: s.o.DriveTimeout,
	})
	if err != nil {
		return err
	}
	s.journal = j
	_, drives, _ := j.Epoch()
	for i := range c.report.Drives {
		d := &c.report.Drives[i]
		for _, n := range drives {
			d.Journal = d.Journal || n == d.Number
		}
		for _, n := range partial {
			if n == d.Number {
				d.problem("its copy of the journal is not whole")
			}
		}
	}
	s.idx, err = index.Open(ctx, index.Options{
		Host: s.host, Log: j, Dir: c.o.Scratch, Identity: r.store,
		Checkpoints: checkpoints{s}, CheckpointBytes: 1 << 62, CacheBytes: 64 << 20,
	})
	if err != nil {
		s.idx = nil
		return errors.Join(err, j.Close())
	}
	c.report.Index.Last = j.Last()
	return nil
}
