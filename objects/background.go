package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

const (
	probePause      = time.Second      // between two looks at every drive
	repairPauseMax  = 10 * time.Minute // between two repairs that got nowhere
	repairPauseVain = 30 * time.Second // after one, however much is reported meanwhile
)

// startBackground begins probing and counting, and unless the store is to be still
// repair and tidying.
func (s *Store) startBackground() {
	s.repairs.wake() // what was left incomplete before
	s.moves.wake()
	loops := []func(){s.probeLoop, s.tallyLoop}
	if !s.o.Still {
		loops = append(loops, s.repairLoop, s.tidyLoop, s.moveLoop, s.auditLoop, s.measureLoop, s.hintLoop)
	}
	for _, work := range loops {
		s.background.Go(work)
	}
}

// Close ends the background work, the index and the drives. What was answered is
// safe without it. A drive that hangs is left behind after DriveTimeout.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	s.end()
	s.background.Wait()
	var errs []error
	s.tally.mu.Lock()
	s.tally.drop()
	s.tally.mu.Unlock()
	if s.idx != nil {
		errs = append(errs, s.idx.Close())
	}
	answers := make(chan error)
	all := s.drives.list()
	for _, m := range all {
		go func() { answers <- s.closeDrive(m) }()
	}
	for range all {
		errs = append(errs, <-answers)
	}
	return errors.Join(errs...)
}

func (s *Store) closeDrive(m *member) error {
	if m.Drive == nil {
		return nil
	}
	err := s.timed(m, s.o.DriveTimeout, m.Close)
	if errors.Is(err, errLate) {
		s.host.Log.Warn("a drive hangs and is left behind", "drive", m.number)
		return nil
	}
	if err != nil {
		return fmt.Errorf("close drive %d: %w", m.number, err)
	}
	return nil
}

// probeLoop looks at every drive's folder again and again: it may have been
// emptied or pulled out although the files in it that are open still work.
func (s *Store) probeLoop() {
	for s.host.Clock.Sleep(s.life, probePause) == nil {
		s.probe(s.life)
	}
}

func (s *Store) probe(ctx context.Context) {
	for _, m := range s.drives.list() {
		s.probeOne(ctx, m)
	}
	s.placeView()
	if s.o.AutoFormat {
		s.adoptOwn(ctx)
	}
}

func (s *Store) probeOne(ctx context.Context, m *member) {
	state, _, _ := m.look(s.host.Clock.Now())
	if state == DriveSlow {
		s.probeSlow(m)
		return
	}
	var found drive.Header
	err := s.timed(m, s.o.DriveTimeout, func() (err error) {
		m.measure(s.host.FS)
		found, err = drive.Identify(s.host, m.path)
		return err
	})
	record := s.roots.get()
	known := record.drive(m.number)
	if err == nil && known != nil && found.Drive != known.id {
		err = drive.ErrForeign
	}
	switch {
	case errors.Is(err, errLate) || known == nil:
	case err != nil && m.Drive != nil && state < DriveMissing:
		m.set(DriveMissing, err.Error())
		s.o.Events.driveDown(m.number, err)
		s.changed(ctx)
	case err == nil && (m.Drive == nil || state == DriveMissing):
		s.reattach(ctx, m)
	case err == nil && state == DriveFailed:
		s.revive(ctx, m)
	}
	m.look(s.host.Clock.Now())
}

// probeSlow waits for an open that hung; all else that is overdue tells by itself.
func (s *Store) probeSlow(m *member) {
	if m.Drive != nil || m.opening == nil {
		return
	}
	select {
	case <-m.opening:
		m.set(DriveMissing, "it took too long to open, and is tried again")
	default:
	}
}

// revivePause lies between two tries to write to a drive whose write side gave up.
const revivePause = 30 * time.Second

// revive opens a drive anew whose write side gave up, once its folder takes writes
// again. Until then it is read.
func (s *Store) revive(ctx context.Context, m *member) {
	now := s.host.Clock.Now()
	if now.Sub(m.tried) < revivePause {
		return
	}
	m.tried = now
	if err := s.timed(m, s.o.DriveTimeout, func() error { return s.tryWrite(m.path) }); err != nil {
		return
	}
	m.set(DriveMissing, "it takes writes again, and is opened anew")
	s.reattach(ctx, m)
}

// tryWrite writes to a folder and leaves nothing there.
func (s *Store) tryWrite(dir string) error {
	name := s.host.FS.PathJoin(dir, "root.new") // what a root record that is cut off leaves, too
	f, err := s.host.FS.Create(name, host.Category)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, drive.SectorBytes))
	return errors.Join(err, f.Sync(), f.Close(), s.host.FS.Remove(name))
}

// reattach opens a drive that was missing, anew also where its files are open still:
// what lies there now may be another state of it.
func (s *Store) reattach(ctx context.Context, m *member) {
	if _, err := s.AdoptDrive(ctx, m.path); err != nil {
		s.host.Log.Warn("a drive that is back cannot be opened", "drive", m.number, "error", err)
		return
	}
	s.o.Events.driveBack(m.number)
}

// repairLoop repairs whenever there may be something to repair.
func (s *Store) repairLoop() {
	retry := s.o.RepairPause
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.repairs.due:
		}
		complete := s.repairOnce()
		pause := s.o.RepairPause
		if complete {
			retry = pause
		} else {
			retry = min(2*retry, repairPauseMax)
			s.later(retry, s.repairs.wake)
			pause = max(pause, min(retry, repairPauseVain))
		}
		if !s.rest(pause) {
			return
		}
	}
}

// later calls f after a while, unless the store is closed before: a timer that were left would keep a closed
// store in memory.
func (s *Store) later(d time.Duration, f func()) {
	var release func() bool
	set := make(chan struct{})
	stop := s.host.Clock.AfterFunc(d, func() {
		<-set
		release()
		f()
	})
	release = context.AfterFunc(s.life, func() { stop() })
	close(set)
}

// repairOnce reports whether nothing is left to be done.
func (s *Store) repairOnce() (complete bool) {
	s.roots.refresh(s.life)
	if err := s.journal.Reconfigure(s.life); err != nil {
		s.host.Log.Warn("journal not moved", "error", err)
	}
	doubted := s.repairs.doubted()
	_, search, soon := s.repairs.owners(s.o.RepairPause)
	report, err := s.Repair(s.life, RepairOptions{trusting: !doubted, queued: !doubted && !search})
	complete = err == nil && report.Complete()
	if doubted && !complete {
		s.repairs.asked.Store(true) // what could not be placed now must not be believed to be there
	}
	if soon {
		s.later(s.o.RepairPause, s.repairs.wake)
	}
	if s.life.Err() == nil && s.o.Events.Repaired != nil {
		s.o.Events.Repaired(report, err)
	}
	return complete
}

// rest waits between two repairs, less long when a drive came or went. It
// reports false when the store is closed.
func (s *Store) rest(pause time.Duration) bool {
	over := make(chan struct{})
	stop := s.host.Clock.AfterFunc(pause, func() { close(over) })
	defer stop()
	select {
	case <-s.life.Done():
		return false
	case <-s.repairs.news:
		return s.host.Clock.Sleep(s.life, s.o.RepairPause) == nil
	case <-over:
	}
	return true
}
