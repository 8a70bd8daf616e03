package objects

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

// member is one drive of the layout, open or not.
type member struct {
	Drive   // nil unless it is open
	number  uint16
	path    string
	device  string
	tried   time.Time       // when a write was last tried after it failed; the probe's
	opening <-chan struct{} // closed when an open that took too long has ended; nil: there is none

	mu struct { // never held across I/O
		sync.Mutex
		state    DriveState // as far as the store found out; see state for the drive's own word
		reason   string
		late     int // calls that are overdue
		space    *space
		labels   Labels
		draining bool
		groups   []int // of the layout, that it is in

		shown DriveState // as it was last looked at
		since time.Time  // when it became so; zero: it was never looked at
	}
}

// state of the member, and why it is not well.
func (m *member) state() (DriveState, string) {
	m.mu.Lock()
	state, reason, space, draining := m.mu.state, m.mu.reason, m.mu.space, m.mu.draining
	m.mu.Unlock()
	if state != DriveWell || m.Drive == nil {
		return state, reason
	}
	err := m.Err()
	switch {
	case err != nil && !errors.Is(err, drive.ErrFull):
		return DriveFailed, err.Error()
	case err != nil && !space.roomy(): // else there is room again: the next append tells
		return DriveFull, err.Error()
	case space.full():
		return DriveFull, space.String()
	case draining:
		return DriveDraining, "its shards are moved to other drives"
	}
	return DriveWell, ""
}

func (m *member) set(s DriveState, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.state, m.mu.reason = s, reason
}

// inherit takes what the layout says of another member.
func (m *member) inherit(o *member) {
	o.mu.Lock()
	space, labels, draining, groups := o.mu.space, o.mu.labels, o.mu.draining, o.mu.groups
	shown, since := o.mu.shown, o.mu.since
	o.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.space, m.mu.labels, m.mu.draining, m.mu.groups = space, labels, draining, groups
	m.mu.shown, m.mu.since = shown, since
}

// look notes since when the member is in its state.
func (m *member) look(now time.Time) (state DriveState, reason string, since time.Time) {
	state, reason = m.state()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.since.IsZero() || m.mu.shown != state {
		m.mu.shown, m.mu.since = state, now
	}
	return state, reason, m.mu.since
}

func (m *member) readable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Drive != nil && m.mu.state.readable()
}

// well: it takes what the store keeps on it, though perhaps no more shards.
func (m *member) well() bool {
	s, _ := m.state()
	return s <= DriveDraining && m.Drive != nil
}

// takes reports whether the member takes new shards; sparing: also into the space
// that is kept for what makes room or redundancy again.
func (m *member) takes(sparing bool) bool {
	s, _ := m.state()
	switch {
	case m.Drive == nil:
		return false
	case s == DriveFull && sparing:
		return m.Err() == nil && !m.leaving() && !m.room().spent()
	}
	return s == DriveWell
}

func (m *member) leaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.draining
}

func (m *member) room() *space {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.space
}

func (m *member) placed(sparing bool) placement.Drive {
	well := m.takes(sparing)
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.mu.labels
	return placement.Drive{
		Number: m.number, Zone: l.Zone, Rack: l.Rack, Node: l.Node, Device: m.device,
		Well: well, Free: m.mu.space.left(), Groups: m.mu.groups,
	}
}

func (m *member) status(now time.Time) DriveStatus {
	state, reason, since := m.look(now)
	d := DriveStatus{Number: m.number, Path: m.path, State: state, Reason: reason, Since: since, Device: m.device}
	if m.Drive != nil {
		d.ID = m.Header().Drive.String()
		for _, e := range m.Extents() {
			d.BytesUsed += e.Bytes
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.BytesTotal, d.BytesFree = m.mu.space.size()
	d.Labels, d.Draining = m.mu.labels, m.mu.draining
	return d
}

// space is that of one device; drives that share it share this.
type space struct{ total, free atomic.Int64 }

// The reserve is what user's writes leave free on a device, so that deletes, the
// journal, checkpoints and repair go on when it is full: a twentieth of it, at most
// reserveMax, which holds the journal, its copy in a next epoch, and a checkpoint of
// ten million entries.
const (
	reserveShare = 20
	reserveMax   = 4 << 30
)

func (s *space) size() (total, free int64) {
	if s == nil {
		return 0, 0
	}
	return s.total.Load(), max(s.free.Load(), 0)
}

func (s *space) left() int64 {
	_, free := s.size()
	return free
}

func (s *space) reserve() int64 { return min(s.total.Load()/reserveShare, reserveMax) }

// full: only the reserve is left.
func (s *space) full() bool { return s != nil && s.free.Load() <= s.reserve() }

// roomy: there is so much more than the reserve that a drive which was full is
// tried again.
func (s *space) roomy() bool {
	return s != nil && s.free.Load() >= s.reserve()+min(s.reserve()/4, roomBytes)+1
}

// spent: most of the reserve is gone too.
func (s *space) spent() bool { return s != nil && s.free.Load() <= s.reserve()/4 }

// roomBytes above the reserve make a drive that was full be tried again.
const roomBytes = 64 << 20

// take counts bytes that were written since the device was asked.
func (s *space) take(n int) {
	if s != nil {
		s.free.Add(-int64(n))
	}
}

func (s *space) String() string {
	total, free := s.size()
	return "only the reserve of " + inWords(s.reserve()) + " is left: " + inWords(free) + " of " + inWords(total) + " are free"
}

// inWords gives bytes as a person reads them.
func inWords(n int64) string {
	value, unit := float64(n), 0
	for value >= 1<<10 && unit < len(byteUnits)-1 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.4g %s", value, byteUnits[unit])
}

var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// measure takes the device's space anew.
func (m *member) measure(fs host.FS) {
	u, err := fs.GetDiskUsage(m.path)
	if err != nil {
		return
	}
	s := m.room()
	if s == nil {
		return
	}
	s.total.Store(int64(u.TotalBytes))
	s.free.Store(int64(u.AvailBytes))
}
