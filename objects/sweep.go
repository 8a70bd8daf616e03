package objects

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// SweepReport says what a sweep gave back.
type SweepReport struct {
	Extents int
	Bytes   int64
	Dead    int // extents that stay for now, because reads that began before go on
}

// sweepWait bounds the wait for reads that may still use a dead extent.
const sweepWait = time.Minute

// Sweep gives back whole extents of which nothing is referred to. An extent is
// dead where it was sealed before the index was scanned, no value and no root
// names a record in it, and nothing lies in it that this process wrote within
// Options.StageKept and may yet commit. It is removed once the reads that began
// before have ended; one that lasts longer than Options.ReadKept is not waited for.
//
// While the journal is sealed, or the fate of an entry is open, nothing is swept:
// what the entry names looks like garbage until it is known to be committed.
func (s *Store) Sweep(ctx context.Context) (SweepReport, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	s.pins.look()
	defer s.pins.looked()
	dead, err := s.deadExtents(ctx)
	if err != nil {
		return SweepReport{}, fmt.Errorf("sweep: %w", err)
	}
	if len(dead) == 0 {
		return SweepReport{}, nil
	}
	wait, cancel := context.WithCancel(ctx)
	stop := s.host.Clock.AfterFunc(sweepWait, cancel)
	drained := s.reads.drained(wait)
	stop()
	cancel()
	if !drained {
		s.reads.expire(s.host.Clock.Now(), s.o.ReadKept)
		return SweepReport{Dead: len(dead)}, ctx.Err()
	}
	return s.remove(ctx, dead)
}

// settle returns when the fate of every transaction is known that began before.
// An entry of its own proves it: the index takes none while that of another is open.
func (s *Store) settle(ctx context.Context) error {
	if !s.pins.commits.drained(ctx) {
		return ctx.Err()
	}
	doubts := s.pins.doubts()
	if _, err := s.idx.Commit(ctx, index.Txn{}); err != nil {
		s.pins.doubted(doubts)
		return fmt.Errorf("learn what is committed: %w", err)
	}
	s.pins.resolved(doubts)
	return nil
}

// deadExtents marks what is alive and gives the rest. The order makes it exact: whatever
// lies in an extent listed here was appended before; it is pinned, or was committed
// before the scan, or is garbage.
func (s *Store) deadExtents(ctx context.Context) (map[place]drive.ExtentInfo, error) {
	sealed := map[place]drive.ExtentInfo{}
	for _, m := range s.drives.list() {
		if !m.well() {
			continue
		}
		for _, e := range m.Extents() {
			if e.Sealed && (e.Class.Blobs() || unrecoverable(e)) {
				sealed[place{m.number, e.Number}] = e
			}
		}
	}
	if !s.pins.appends.drained(ctx) {
		return nil, ctx.Err()
	}
	if s.pins.doubt() { // what is named by transactions of unknown fate is held
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
	held := s.pins.held(s.host.Clock.Now(), s.o.StageKept)
	maps.DeleteFunc(sealed, func(at place, _ drive.ExtentInfo) bool { return held[at] })
	if len(sealed) == 0 {
		return nil, nil
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	live, err := s.liveness(ctx)
	if err == nil {
		err = s.forgetStripes(ctx, live)
	}
	maps.DeleteFunc(sealed, func(at place, _ drive.ExtentInfo) bool { return err != nil || live.extents[at] > 0 })
	return sealed, err
}

// unrecoverable: neither header nor any record of the extent verified when the
// drive was opened, so that its class is not known and nothing of it can be read.
func unrecoverable(e drive.ExtentInfo) bool {
	return e.Class == 0 && errors.Is(e.Retired, drive.ErrCorrupt)
}

func (s *Store) remove(ctx context.Context, dead map[place]drive.ExtentInfo) (SweepReport, error) {
	var report SweepReport
	var errs []error
	for at, e := range dead {
		m := s.drives.find(at.drive)
		if m == nil || !m.well() || !s.pins.give(at, e.Generation) {
			continue
		}
		if err := s.timed(m, s.o.DriveTimeout, func() error { return m.Remove(ctx, at.extent) }); err != nil {
			errs = append(errs, fmt.Errorf("remove extent %d of drive %d: %w", at.extent, at.drive, err))
			continue
		}
		report.Extents++
		report.Bytes += e.Bytes
	}
	s.tidy.gave(report.Bytes)
	return report, errors.Join(errs...)
}
