package objects

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

// Drive is what the store needs of one drive; *drive.Drive is one.
type Drive interface {
	Header() drive.Header
	Number() uint16
	Append(ctx context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error)
	Read(ctx context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error
	Length(ctx context.Context, a drive.Address, id drive.Identity) (int, error)
	Scan(ctx context.Context, class drive.Class) iter.Seq2[drive.Found, error]
	Extents() []drive.ExtentInfo
	Remove(ctx context.Context, extent uint32) error
	Seal(ctx context.Context, class drive.Class) error
	Root() drive.Root
	SetRoot(ctx context.Context, r drive.Root) error
	Err() error
	Close() error
}

// DriveState says what a drive is good for.
type DriveState uint8

// The states. Of those after DriveFailed nothing is read.
const (
	DriveWell    DriveState = iota // reads and writes
	DriveFull                      // no room: reads only, until there is some again
	DriveFailed                    // its write side gave up: reads only
	DriveSlow                      // did not answer in time; skipped until it does
	DriveMissing                   // its folder is missing, empty or unreadable
	DriveForeign                   // its folder holds something else, or another store's drive
	DriveCorrupt                   // its header is unreadable
	DriveFormat                    // written by another format version
	DriveRetired                   // was replaced by another one, and has come back
)

func (s DriveState) String() string {
	return [...]string{"well", "full", "failed", "slow", "missing", "foreign", "corrupt", "format", "retired"}[s]
}

func (s DriveState) readable() bool { return s <= DriveFailed }

// DriveStatus is one drive as status shows it.
type DriveStatus struct {
	Number     uint16 // 0: it has none yet
	ID         string // "" where it could not be opened
	Path       string // "" where no folder is known
	State      DriveState
	Reason     string // why it is not well
	Device     string // drives with one device are one failure domain
	BytesTotal int64  // of the device
	BytesFree  int64
	BytesUsed  int64 // by this drive's extents
	Journal    bool  // it holds a copy of the journal
	View       bool  // it holds the index's view
	Adoptable  bool  // AdoptDrive would make this folder a drive of the store
}

// member is one drive of the layout, open or not.
type member struct {
	Drive  // nil unless it is open
	number uint16
	path   string
	device string

	mu struct { // never held across I/O
		sync.Mutex
		state       DriveState // as far as the store found out; see status for the drive's own word
		reason      string
		late        int // calls that are overdue
		total, free int64
	}
}

// roomBytes that are free make a drive that was full be tried again.
const roomBytes = 64 << 20

// state of the member, and why it is not well.
func (m *member) state() (DriveState, string) {
	m.mu.Lock()
	state, reason, free := m.mu.state, m.mu.reason, m.mu.free
	m.mu.Unlock()
	if state != DriveWell || m.Drive == nil {
		return state, reason
	}
	err := m.Err()
	switch {
	case err == nil:
		return DriveWell, ""
	case errors.Is(err, drive.ErrFull) && free >= roomBytes:
		return DriveWell, "" // there is room again: the next append tells
	case errors.Is(err, drive.ErrFull):
		return DriveFull, err.Error()
	}
	return DriveFailed, err.Error()
}

func (m *member) set(s DriveState, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.state, m.mu.reason = s, reason
}

func (m *member) readable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Drive != nil && m.mu.state.readable()
}

func (m *member) well() bool {
	s, _ := m.state()
	return s == DriveWell && m.Drive != nil
}

func (m *member) placed() placement.Drive {
	well := m.well()
	m.mu.Lock()
	defer m.mu.Unlock()
	return placement.Drive{Number: m.number, Device: m.device, Well: well, Free: m.mu.free}
}

func (m *member) status() DriveStatus {
	state, reason := m.state()
	d := DriveStatus{Number: m.number, Path: m.path, State: state, Reason: reason, Device: m.device}
	if m.Drive != nil {
		d.ID = m.Header().Drive.String()
		for _, e := range m.Extents() {
			d.BytesUsed += e.Bytes
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.BytesTotal, d.BytesFree = m.mu.total, m.mu.free
	return d
}

// drives is the set of members; it changes when one is adopted.
type drives struct {
	mu  sync.RWMutex
	all []*member // by number; replaced, never changed in place
}

func (d *drives) list() []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.all
}

// find is the member with a number; nil where there is none.
func (d *drives) find(number uint16) *member {
	for _, m := range d.list() {
		if m.number == number {
			return m
		}
	}
	return nil
}

func (d *drives) layout() placement.Layout {
	all := d.list()
	l := make(placement.Layout, 0, len(all))
	for _, m := range all {
		l = append(l, m.placed())
	}
	return l
}

// well counts the members that take writes, and those that only lack room.
func (d *drives) well() (well, full int) {
	for _, m := range d.list() {
		switch s, _ := m.state(); {
		case m.Drive == nil:
		case s == DriveWell:
			well++
		case s == DriveFull:
			full++
		}
	}
	return well, full
}

// needed drives for a durable write of k data and m parity shards.
func needed(k, m int) int { return k + min(m, 1) }

// writable says why a stripe of k+m shards cannot be written now; nil: it can.
func (d *drives) writable(k, m int) error {
	well, full := d.well()
	need := needed(k, m)
	switch {
	case well >= need:
		return nil
	case well+full >= need:
		return fmt.Errorf("%w: %d of %d drives have room, %d are needed", ErrFull, well, len(d.list()), need)
	}
	return fmt.Errorf("%w: %d of %d drives are well, %d are needed", ErrReadOnly, well, len(d.list()), need)
}
