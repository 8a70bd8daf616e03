package objects

import "time"

// Bounds of the background work that keeps the drives tidy.
const (
	packDue    = 32 << 20  // bytes of small blobs that are worth a packing
	sweepDue   = 256 << 20 // packed bytes that are worth a look at everything
	tidyShare  = 10        // such looks take at most one part in so many of the time
	crowdedAt  = 90        // percent of a device in use, from which space is hurried for
	busyAtOnce = 2         // transactions under way that count as busy
	stillLooks = 3         // looks between which no small blob was written, after which nothing is kept ready for many
)

// busy: requests of others are under way.
func (s *Store) busy() bool { return s.pins.commits.count() >= busyAtOnce }

// crowded: some drive that is well has little room.
func (s *Store) crowded() bool {
	for _, m := range s.drives.list() {
		if m.Drive != nil && m.usedPercent() >= crowdedAt {
			return true
		}
	}
	return false
}

// tidyLoop packs, reclaims and sweeps, as there is something to do.
func (s *Store) tidyLoop() {
	last, quiet := s.host.Clock.Now(), time.Duration(0)
	unswept, joint, seen, still := int64(0), int64(0), int64(-1), 0
	for s.host.Clock.Sleep(s.life, s.o.PackPause) == nil {
		idle := s.host.Clock.Now().Sub(last)
		due := idle >= s.o.SweepPause
		if _, bytes, _ := s.tidy.backlog.size(); bytes >= packDue || due {
			unswept += s.packOnce()
		}
		_, bytes := s.tidy.backlog.jointly()
		unswept, joint = unswept+bytes-joint, bytes
		if now := s.tidy.backlog.arrivals(); now != seen {
			seen, still = now, 0
		} else {
			still++
		}
		due = due || still == stillLooks && unswept > 0
		if due || unswept >= sweepDue && idle >= quiet {
			began := s.host.Clock.Now()
			s.sweepOnce()
			last, unswept = s.host.Clock.Now(), 0
			quiet = tidyShare * last.Sub(began)
		}
		if still == stillLooks {
			s.trimDrives()
		}
	}
}

func (s *Store) packOnce() int64 {
	report, err := s.Pack(s.life)
	if s.life.Err() == nil && s.o.Events.Packed != nil {
		s.o.Events.Packed(report, err)
	}
	return report.Bytes
}

// sweepOnce also empties sparse extents before.
func (s *Store) sweepOnce() {
	reclaimed, err := s.Reclaim(s.life)
	if s.life.Err() == nil && s.o.Events.Reclaimed != nil {
		s.o.Events.Reclaimed(reclaimed, err)
	}
	swept, err := s.Sweep(s.life)
	if s.life.Err() == nil && s.o.Events.Swept != nil {
		s.o.Events.Swept(swept, err)
	}
}

// trimmed is a drive that keeps space ready.
type trimmed interface{ Trim() }

// trimDrives gives back what drives kept ready for more than they get.
func (s *Store) trimDrives() {
	for _, m := range s.drives.list() {
		if d, ok := m.Drive.(trimmed); ok && m.well() {
			_ = s.timed(m, s.o.DriveTimeout, func() error { d.Trim(); return nil }) // one that is late finds out by itself
		}
	}
}
